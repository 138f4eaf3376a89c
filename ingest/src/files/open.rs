//! Opening a file of text: plain or gzip, UTF-8, with or without a byte order mark. Anything else that people have under
//! such a name is told by its first bytes, with what to do.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// A buffer of this size keeps the number of reads low; larger ones gain nothing.
const BUFFER_BYTES: usize = 128 * 1024;
/// Bytes that are looked at for zeros, which no text in UTF-8 has.
const LOOKED_AT: usize = 1024;
/// The mark before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How files of other kinds begin, and what to do with them.
const OTHERS: [(&[u8], &str); 12] = [
    // The longer mark first: the shorter one is its beginning.
    (b"\xff\xfe\x00\x00", "it is UTF-32, not UTF-8: save it as UTF-8"),
    (b"\x00\x00\xfe\xff", "it is UTF-32, not UTF-8: save it as UTF-8"),
    (b"\xff\xfe", UTF_16),
    (b"\xfe\xff", UTF_16),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "it is a workbook of Excel (.xls): save it as CSV UTF-8",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "it is packed with zstd: unpack it, or pack it with gzip",
    ),
    (
        b"\xfd7zXZ\x00",
        "it is packed with xz: unpack it, or pack it with gzip",
    ),
    (b"BZh", "it is packed with bzip2: unpack it, or pack it with gzip"),
    (
        b"7z\xbc\xaf\x27\x1c",
        "it is packed with 7-Zip: unpack it, or pack it with gzip",
    ),
    (b"PAR1", "it is Parquet: write it as CSV or as lines of JSON"),
    (b"%PDF-", "it is a PDF: get the data as CSV or as lines of JSON"),
    (
        b"<!doctype html",
        "it is a web page, perhaps of an error or a login: get the data themselves",
    ),
];
const UTF_16: &str = "it is UTF-16, not UTF-8: save it as UTF-8 (in Excel as \"CSV UTF-8\"), or convert it by iconv -f UTF-16 -t UTF-8";
const ZIP: &[u8] = b"PK";

/// Opens a file; what begins like gzip is unpacked, of as many parts as there are. A byte order mark of UTF-8 is passed
/// over.
///
/// # Errors
/// What the system says; `InvalidData`, with what to do, when it is no text in UTF-8. Damaged gzip is told where it is
/// read.
pub(crate) fn open_plain_or_gzip(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    let is_named_gzip = path
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
    if file.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        let unpacked = Unpacking(MultiGzDecoder::new(file));
        return as_text(BufReader::with_capacity(BUFFER_BYTES, unpacked));
    }
    if is_named_gzip && !is_plain(file.fill_buf()?) && problem_of_mark(file.buffer()).is_none() {
        let problem = "its name ends in .gz, but it is neither gzip nor text: it is damaged, or something else; get it again";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    as_text(file)
}

/// Whether a file begins as text in UTF-8 does.
fn is_plain(start: &[u8]) -> bool {
    let looked_at = start.get(..LOOKED_AT).unwrap_or(start);
    let is_text = match std::str::from_utf8(looked_at) {
        Ok(_) => true,
        // A character that is cut off where the look ends.
        Err(error) => error.error_len().is_none(),
    };
    is_text
        && !looked_at
            .iter()
            .any(|byte| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r' | b'\n'))
}

/// `InvalidData` when the file has nothing in it.
pub(crate) fn not_empty(lines: &mut (dyn BufRead + Send)) -> io::Result<()> {
    if lines.fill_buf()?.is_empty() {
        let problem = "it is empty: put the data there, or take the feed out of the configuration";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(())
}

fn as_text(mut bytes: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let start = bytes.fill_buf()?;
    if let Some(problem) = problem_of(start) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    if start.starts_with(BYTE_ORDER_MARK) {
        bytes.consume(BYTE_ORDER_MARK.len());
    }
    Ok(Box::new(bytes))
}

/// What is wrong with a file that begins so, and what to do; none for what may be text in UTF-8.
fn problem_of(start: &[u8]) -> Option<&'static str> {
    problem_of_mark(start).or_else(|| problem_of_zeros(start))
}

/// The same, by the marks with which files of a kind begin.
fn problem_of_mark(start: &[u8]) -> Option<&'static str> {
    let begins = |mark: &[u8]| {
        let start = start.get(..mark.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(mark))
    };
    if start.starts_with(ZIP) && matches!(start.get(2..4), Some([3, 4] | [5, 6] | [7, 8])) {
        let is_of = |part: &[u8]| start.windows(part.len()).any(|window| window == part);
        return Some(if is_of(b"[Content_Types].xml") || is_of(b"xl/") {
            "it is a workbook of Excel (.xlsx): save it as CSV UTF-8"
        } else {
            "it is packed with zip: unpack it, or pack it with gzip"
        });
    }
    OTHERS
        .into_iter()
        .find(|(mark, _)| begins(mark))
        .map(|(_, problem)| problem)
}

/// The same, by bytes that no text in UTF-8 has.
fn problem_of_zeros(start: &[u8]) -> Option<&'static str> {
    let looked_at = start.get(..LOOKED_AT).unwrap_or(start);
    let zeros = |from: usize| {
        looked_at
            .iter()
            .skip(from)
            .step_by(2)
            .filter(|byte| **byte == 0)
            .count()
    };
    let (even, odd) = (zeros(0), zeros(1));
    if even + odd == 0 {
        return None;
    }
    // The texts of most languages have one zero in each two bytes now and then, and always on the same side.
    Some(if even == 0 || odd == 0 {
        UTF_16
    } else {
        "it is not text: it holds zero bytes. Get the data as CSV or as lines of JSON, in UTF-8"
    })
}

/// Gzip whose damage is told with what to do.
struct Unpacking<R>(MultiGzDecoder<R>);

impl<R: BufRead> Read for Unpacking<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(
                error.kind(),
                "its gzip ends in the middle: it is cut off, or still being written; get it again, whole",
            ),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                let problem = format!("its gzip is damaged ({error}); get it again");
                io::Error::new(io::ErrorKind::InvalidData, problem)
            }
            _ => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn opened(name: &str, content: &[u8]) -> io::Result<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let mut bytes = Vec::new();
        open_plain_or_gzip(&path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn utf_16(text: &str, mark: bool, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let mark = mark.then_some('\u{feff}');
        let text: String = mark.into_iter().chain(text.chars()).collect();
        text.encode_utf16().flat_map(bytes_of).collect()
    }

    #[test]
    fn what_is_no_text_in_utf_8_is_told_by_its_first_bytes_with_what_to_do() {
        let text = "id,lon,lat\n1,113.9,22.5\n\u{79ef}\u{6c34},114,22\n";
        let mut cases: Vec<(Vec<u8>, &str)> = vec![
            (b"PK\x03\x04\x14\0\x06\0[Content_Types].xml".to_vec(), "Excel"),
            (b"PK\x03\x04\x14\0\0\0data.csv".to_vec(), "zip"),
            (b"PK\x05\x06".to_vec(), "zip"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest".to_vec(), "Excel"),
            (b"\x28\xb5\x2f\xfdrest".to_vec(), "zstd"),
            (b"PAR1rest".to_vec(), "Parquet"),
            (b"<!DOCTYPE HTML><html>".to_vec(), "web page"),
            (b"\xff\xfe\0\0i\0\0\0".to_vec(), "UTF-32"),
            (b"id,lon\0\0\0,lat".to_vec(), "zero bytes"),
        ];
        for mark in [true, false] {
            cases.push((utf_16(text, mark, u16::to_le_bytes), "UTF-16"));
            cases.push((utf_16(text, mark, u16::to_be_bytes), "UTF-16"));
        }
        for (content, says) in cases {
            for (name, content) in [("a.csv", content.clone()), ("a.csv.gz", packed(&content))] {
                let error = opened(name, &content).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                assert!(error.to_string().contains(says), "{says}: {error}");
            }
        }
    }

    #[test]
    fn gzip_that_is_none_or_is_cut_off_is_told() {
        let content = packed("1,2\n".repeat(50_000).as_bytes());
        for none in [&b"\x1f\x8c\x08\0rest"[..], b"\xc3\x28rest", b"\x1e\x8b\x08"] {
            let error = opened("a.csv.gz", none).unwrap_err();
            assert!(error.to_string().contains("neither gzip nor text"), "{error}");
        }
        // Text that somebody unpacked without giving it another name is read.
        assert_eq!(opened("a.csv.gz", b"1,2\n").unwrap(), b"1,2\n");
        for length in [3, 12, content.len() / 2, content.len() - 1] {
            let error = opened("a.csv.gz", content.get(..length).unwrap()).unwrap_err();
            assert!(error.to_string().contains("cut off"), "{length}: {error}");
        }
        let mut damaged = content.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0x55;
        let error = opened("a.csv.gz", &damaged).unwrap_err();
        assert!(error.to_string().contains("gzip"), "{error}");
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_in_gzip_too() {
        let content = b"\xef\xbb\xbfid\n\xe7\xa7\xaf\n";
        assert_eq!(opened("a.csv", content).unwrap(), content[3..]);
        assert_eq!(opened("a.csv.gz", &packed(content)).unwrap(), content[3..]);
        assert_eq!(opened("a.csv", b"").unwrap(), b"");
    }
}
