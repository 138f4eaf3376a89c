//! Rows of a file: CSV records or lines of JSON, plain or gzip, one after the other and from any row on.

use std::io::{self, BufRead};
use std::path::Path;
use std::time::Duration;

use crate::decode::feed::{FeedFormat, FeedSettings, read_header};
pub use crate::files::FileRow;
use crate::files::{not_empty, open_plain_or_gzip, read_record, take_header_line};
use crate::words::EventTime;

/// How to read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileOptions {
    /// CSV (with a header line), or one JSON object a line.
    pub format: FeedFormat,
    /// Between the fields of CSV.
    pub delimiter: u8,
    /// Rows to pass over: those that were read before. Neither the header nor blank lines count.
    pub skip_rows: u64,
    /// Of a longer row only so many bytes are kept.
    pub max_row_bytes: usize,
}

impl FileOptions {
    /// As `settings` say, for a feed that compiles.
    pub fn new(settings: &FeedSettings, skip_rows: u64, max_row_bytes: usize) -> Self {
        Self {
            format: settings.format,
            delimiter: u8::try_from(settings.delimiter).unwrap_or(b','),
            skip_rows,
            max_row_bytes,
        }
    }
}

/// The rows of an open file, in order. After an error there are no more.
///
/// A CSV record may hold line breaks inside quotes. Should a quote never close, the record ends with the first line that
/// goes beyond `max_row_bytes`, so that one stray quote does not swallow the rest of the file.
pub struct FileRows {
    lines: Box<dyn BufRead + Send>,
    options: FileOptions,
    columns: Vec<String>,
    next_row: u64,
    ended: bool,
}

impl FileRows {
    /// Opens `path`, reads the header line of CSV, and passes over `skip_rows` rows.
    ///
    /// # Errors
    /// What the system says; `InvalidData`, with what to do, when it is empty or no text, or a CSV file has no usable
    /// header line.
    pub fn open(path: &Path, options: FileOptions) -> io::Result<Self> {
        let mut lines = open_plain_or_gzip(path)?;
        not_empty(&mut *lines)?;
        let mut rows = Self {
            lines,
            options,
            columns: Vec::new(),
            next_row: 0,
            ended: false,
        };
        if options.format == FeedFormat::Csv {
            let line = take_header_line(&mut rows.lines, options.delimiter)?;
            rows.columns = read_header(&line, options.delimiter)
                .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
        }
        let mut passed = FileRow::default();
        while rows.next_row < options.skip_rows && rows.read_row(&mut passed)? {}
        Ok(rows)
    }

    /// Names of the columns of CSV, from its header line; none for JSON.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The number of the row that comes next; where to go on later.
    pub fn next_row(&self) -> u64 {
        self.next_row
    }

    /// Reads the next row into `row`, whose room is used again. `false` at the end of the file.
    ///
    /// # Errors
    /// What the system says, also of damaged gzip.
    pub fn read_row(&mut self, row: &mut FileRow) -> io::Result<bool> {
        let delimiter = (self.options.format == FeedFormat::Csv).then_some(self.options.delimiter);
        loop {
            if self.ended || !read_record(&mut self.lines, delimiter, self.options.max_row_bytes, row)? {
                self.ended = true;
                return Ok(false);
            }
            let blank = match delimiter {
                Some(_) => row.length == 0,
                None => !row.is_truncated() && row.bytes.trim_ascii().is_empty(),
            };
            if !blank {
                row.row = self.next_row;
                self.next_row += 1;
                return Ok(true);
            }
        }
    }
}

impl Iterator for FileRows {
    type Item = io::Result<FileRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut row = FileRow::default();
        match self.read_row(&mut row) {
            Ok(true) => Some(Ok(row)),
            Ok(false) => None,
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

/// When the rows of a file are due, so that they come as they happened, faster or slower.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Event seconds in one second of play; `None` plays as fast as it goes.
    pub speed: Option<f64>,
    /// The event time with which play began.
    pub first_event: EventTime,
}

impl Pace {
    /// How long after the start an event of `event_time` is due; at once when it is not later than the first.
    pub fn due(&self, event_time: EventTime) -> Duration {
        let Some(speed) = self.speed else {
            return Duration::ZERO;
        };
        let micros = event_time.since(self.first_event).max(0);
        Duration::try_from_secs_f64(micros as f64 / 1e6 / speed).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    const CSV: FileOptions = FileOptions {
        format: FeedFormat::Csv,
        delimiter: b',',
        skip_rows: 0,
        max_row_bytes: 100,
    };
    const JSON: FileOptions = FileOptions {
        format: FeedFormat::Json,
        ..CSV
    };

    fn written(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn texts(content: &[u8], options: FileOptions) -> Vec<String> {
        let file = written(content);
        FileRows::open(file.path(), options)
            .unwrap()
            .map(|row| String::from_utf8(row.unwrap().bytes).unwrap())
            .collect()
    }

    #[test]
    fn records_keep_their_quoted_line_breaks_and_blank_lines_do_not_count() {
        let content = "\u{feff}\"a\",b\r\n1,2\r\n\r\n\"x\ny\",\"\"\"\n\"\n5\" pipe,\"z\"\n\n3,4".as_bytes();
        let file = written(content);
        let mut rows = FileRows::open(file.path(), CSV).unwrap();
        assert_eq!(rows.columns(), ["a", "b"]);
        let all: Vec<FileRow> = rows.by_ref().map(Result::unwrap).collect();
        let bytes: Vec<&[u8]> = all.iter().map(|row| row.bytes.as_slice()).collect();
        assert_eq!(
            bytes,
            [&b"1,2"[..], b"\"x\ny\",\"\"\"\n\"", b"5\" pipe,\"z\"", b"3,4"]
        );
        assert_eq!(all.iter().map(|row| row.row).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(!all.iter().any(FileRow::is_truncated));
        assert_eq!(rows.next_row(), 4);
    }

    #[test]
    fn any_row_can_be_the_first() {
        let content = b"a\n1\n\n\"2\n2\"\n3\n";
        for (skip_rows, expected) in [(1, &["\"2\n2\"", "3"][..]), (2, &["3"]), (3, &[]), (9, &[])] {
            assert_eq!(texts(content, FileOptions { skip_rows, ..CSV }), expected);
        }
        let file = written(content);
        let options = FileOptions { skip_rows: 2, ..CSV };
        assert_eq!(
            FileRows::open(file.path(), options)
                .unwrap()
                .next()
                .unwrap()
                .unwrap()
                .row,
            2
        );
    }

    #[test]
    fn gzip_of_several_parts_reads_like_plain_text_and_damage_is_told_once() {
        let mut packed = Vec::new();
        for part in ["{\"a\":1}\n{\"a\"", ":2}\n \n{\"a\":3}"] {
            let mut encoder = GzEncoder::new(&mut packed, Compression::fast());
            encoder.write_all(part.as_bytes()).unwrap();
            encoder.finish().unwrap();
        }
        assert_eq!(texts(&packed, JSON), ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"]);
        let file = written(packed.get(..packed.len() - 9).unwrap());
        let rows: Vec<_> = FileRows::open(file.path(), JSON).unwrap().collect();
        assert!(matches!(rows.as_slice(), [.., Err(_)]));
        assert_eq!(rows.iter().filter(|row| row.is_err()).count(), 1);
    }

    #[test]
    fn a_long_row_is_cut_and_a_quote_that_never_closes_costs_few_rows() {
        let fits = "x".repeat(100);
        let long = "y".repeat(300_000);
        let content = format!("{fits}\r\n{long}\r\n{fits}z\n{{}}\n");
        let file = written(content.as_bytes());
        let rows: Vec<FileRow> = FileRows::open(file.path(), JSON)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let shape: Vec<_> = rows
            .iter()
            .map(|row| (row.bytes.len(), row.length, row.is_truncated()))
            .collect();
        assert_eq!(
            shape,
            [
                (100, 100, false),
                (100, 300_000, true),
                (100, 101, true),
                (2, 2, false)
            ]
        );

        let stray = format!("a\n\"1\n{}", "2222222222\n".repeat(50));
        let rows = texts(stray.as_bytes(), CSV);
        // One record of 10 lines too many, then the 40 that are left.
        assert_eq!(rows.len(), 41);
        assert_eq!(rows.last().map(String::as_str), Some("2222222222"));
    }

    #[test]
    fn a_csv_file_needs_a_header_line() {
        for content in [&b""[..], b"\n1,2\n", b"\"a\n1,2\n", b"\xff,b\n"] {
            let file = written(content);
            let error = FileRows::open(file.path(), CSV).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn an_empty_file_is_told() {
        for options in [CSV, JSON] {
            let error = FileRows::open(written(b"").path(), options).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(error.to_string().contains("empty"), "{error}");
        }
    }

    #[test]
    fn rows_are_due_as_they_happened() {
        let start = EventTime::from_micros(1_000_000);
        let pace = |speed| Pace {
            speed,
            first_event: start,
        };
        assert_eq!(
            pace(Some(60.0)).due(start.plus(120_000_000)),
            Duration::from_secs(2)
        );
        assert_eq!(pace(Some(60.0)).due(start.plus(-5)), Duration::ZERO);
        assert_eq!(pace(None).due(start.plus(120_000_000)), Duration::ZERO);
        assert_eq!(pace(Some(1e-300)).due(start.plus(1)), Duration::MAX);
        assert_eq!(pace(Some(0.0)).due(start), Duration::MAX);
    }
}
