//! Lines into a file, or to standard output.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use riskgrid_fixtures::load::Line;

pub(super) enum FileTarget {
    Plain(BufWriter<Box<dyn Write + Send>>),
    Gzip(GzEncoder<BufWriter<File>>),
}

impl FileTarget {
    pub(super) fn create(path: &Path) -> Result<Self, String> {
        if path == Path::new("-") {
            return Ok(Self::Plain(BufWriter::new(Box::new(io::stdout()))));
        }
        let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if path.extension().is_some_and(|extension| extension == "gz") {
            let out = BufWriter::new(file);
            return Ok(Self::Gzip(GzEncoder::new(out, Compression::fast())));
        }
        Ok(Self::Plain(BufWriter::new(Box::new(file))))
    }

    pub(super) fn write(&mut self, lines: &[Line]) -> io::Result<()> {
        let out: &mut dyn Write = match self {
            Self::Plain(out) => out,
            Self::Gzip(out) => out,
        };
        for line in lines {
            out.write_all(line.json.as_bytes())?;
            out.write_all(b"\n")?;
        }
        // A reader of a pipe sees each batch when it is due.
        out.flush()
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => {
                out.try_finish()?;
                out.get_mut().flush()
            }
        }
    }
}
