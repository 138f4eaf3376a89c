//! The rows of an open file, one after the other: lines, and records of CSV whose quoted fields hold line breaks.

use std::io::{self, BufRead};
use std::path::Path;

use super::open::{not_empty, open_plain_or_gzip};

/// A longer header line is not one.
const MAX_HEADER_BYTES: usize = 1024 * 1024;

/// One row, without its line end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileRow {
    /// Its number, from 0: the offset of its record.
    pub row: u64,
    /// Its bytes, at most `max_row_bytes`.
    pub bytes: Vec<u8>,
    /// How long it is in the file, in bytes.
    pub length: u64,
}

impl FileRow {
    /// Whether bytes are missing: the row is `too_large`.
    pub fn is_truncated(&self) -> bool {
        self.length > self.bytes.len() as u64
    }
}

/// The header line of the CSV file at `path`.
pub(crate) fn read_header_line(path: &Path, delimiter: u8) -> io::Result<Vec<u8>> {
    let mut lines = open_plain_or_gzip(path)?;
    not_empty(&mut *lines)?;
    take_header_line(&mut lines, delimiter)
}

/// Looks at how a file begins, without reading it.
///
/// # Errors
/// As [`FileRows::open`].
pub(crate) fn check_start(path: &Path) -> io::Result<()> {
    not_empty(&mut *open_plain_or_gzip(path)?)
}

pub(crate) fn take_header_line(lines: &mut Box<dyn BufRead + Send>, delimiter: u8) -> io::Result<Vec<u8>> {
    let mut header = FileRow::default();
    read_record(lines, Some(delimiter), MAX_HEADER_BYTES, &mut header)?;
    if header.is_truncated() {
        let why = "the header line is longer than 1 MiB";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(header.bytes)
}

/// Reads one record; `delimiter` is that of CSV, whose quoted fields may hold line breaks. `false` at the end.
pub(crate) fn read_record(
    lines: &mut Box<dyn BufRead + Send>,
    delimiter: Option<u8>,
    max_bytes: usize,
    row: &mut FileRow,
) -> io::Result<bool> {
    row.bytes.clear();
    row.length = 0;
    let mut open = false;
    loop {
        let line_start = row.bytes.len();
        let line_end = read_line(lines, max_bytes, row)?;
        let too_long = row.is_truncated();
        let line = row.bytes.get(line_start..).unwrap_or_default();
        open = delimiter.is_some_and(|delimiter| quote_stays_open(line, delimiter, open));
        if open && !too_long && line_end > 0 {
            continue;
        }
        let read_anything = row.length > 0;
        row.length -= line_end;
        row.bytes
            .truncate(max_bytes.min(usize::try_from(row.length).unwrap_or(max_bytes)));
        return Ok(read_anything);
    }
}

/// Appends one line with its end to `row`, keeping `max_bytes` and room for a line end; gives the length of the line end, 0 at the end of
/// the file.
fn read_line(lines: &mut Box<dyn BufRead + Send>, max_bytes: usize, row: &mut FileRow) -> io::Result<u64> {
    let mut last = 0;
    loop {
        let available = lines.fill_buf()?;
        if available.is_empty() {
            return Ok(0);
        }
        let mut rest = available;
        let used = rest.skip_until(b'\n')?;
        let Some(part) = available.get(..used) else {
            return Ok(0);
        };
        let room = max_bytes.saturating_add(2).saturating_sub(row.bytes.len());
        row.bytes.extend_from_slice(part.get(..room).unwrap_or(part));
        row.length += used as u64;
        let carriage_return_before = match part {
            [.., before, b'\n'] => *before == b'\r',
            [b'\n'] => last == b'\r',
            _ => false,
        };
        let ended = part.last() == Some(&b'\n');
        last = part.last().copied().unwrap_or_default();
        lines.consume(used);
        if ended {
            return Ok(1 + u64::from(carriage_return_before));
        }
    }
}

/// Whether a quoted field is still open where `line` ends, given whether one was `open` where it began.
/// `line` holds whole fields except perhaps the first and the last.
///
/// Not csv-core's reader, which hands over fields without their quotes: a row's bytes stay as they are in the file, also in a
/// dead letter, and the `csv` crate reads them later.
pub(crate) fn quote_stays_open(line: &[u8], delimiter: u8, open: bool) -> bool {
    if !line.contains(&b'"') {
        return open;
    }
    let mut quoted = open;
    let mut at_field_start = !open;
    for &byte in line {
        if quoted {
            // A doubled quote closes and opens again: the second one follows at once.
            if byte == b'"' {
                quoted = false;
                at_field_start = true;
            }
        } else if byte == b'"' && at_field_start {
            quoted = true;
            at_field_start = false;
        } else {
            at_field_start = byte == delimiter;
        }
    }
    quoted
}
