//! Files of text that people bring: opened, and read row by row.

mod open;
mod rows;

pub(crate) use open::{not_empty, open_plain_or_gzip};
pub use rows::FileRow;
#[cfg(test)]
pub(crate) use rows::quote_stays_open;
pub(crate) use rows::{check_start, read_header_line, read_record, take_header_line};
