//! One CSV record (RFC 4180), split without copying.
//!
//! A quote opens a quoted field only where the field begins; elsewhere it is a character like any other, as in `5" pipe`.

use std::borrow::Cow;

use super::field::Fields;
use crate::words::{Number, Refusal, RefusalReason};

/// Where one field lies in its record, without its quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    end: usize,
    /// Holds doubled quotes that stand for single ones.
    doubled: bool,
}

/// A record and its fields.
pub(super) struct CsvRow<'a, 's> {
    text: &'a str,
    spans: &'s [Span],
}

impl<'a, 's> CsvRow<'a, 's> {
    /// Splits `text` into exactly `columns` fields; `spans` is room to work in.
    ///
    /// # Errors
    /// `malformed` when the number differs, a quote is not closed or followed by text, or there is a second record.
    pub(super) fn split(
        text: &'a str,
        delimiter: u8,
        columns: usize,
        spans: &'s mut Vec<Span>,
    ) -> Result<Self, Refusal> {
        let malformed = |detail: String| Refusal::new(RefusalReason::Malformed, detail);
        if text.trim_end_matches(['\r', '\n']).is_empty() {
            return Err(malformed("the record is empty".to_owned()));
        }
        split_record(text, delimiter, columns, spans).map_err(|why| malformed(why.to_owned()))?;
        if spans.len() != columns {
            let more = if spans.len() > columns { "more" } else { "fewer" };
            return Err(malformed(format!("{more} fields than the {columns} columns")));
        }
        Ok(Self { text, spans })
    }

    fn raw(&self, slot: usize) -> Option<(&'a str, bool)> {
        let span = self.spans.get(slot)?;
        let text = self.text.get(span.start..span.end)?;
        (!text.is_empty()).then_some((text, span.doubled))
    }

    fn field(&self, slot: usize) -> Option<Cow<'a, str>> {
        let (text, doubled) = self.raw(slot)?;
        Some(if doubled {
            Cow::Owned(text.replace("\"\"", "\""))
        } else {
            Cow::Borrowed(text)
        })
    }
}

impl<'a> Fields<'a> for CsvRow<'a, '_> {
    fn text(&self, slot: usize) -> Result<Option<Cow<'a, str>>, Refusal> {
        Ok(self.field(slot))
    }

    fn number(&self, slot: usize) -> Result<Number<'a>, Refusal> {
        let Some((text, _)) = self.raw(slot) else {
            return Ok(Number::Missing);
        };
        let trimmed = text.trim();
        Ok(match trimmed.parse() {
            Ok(value) => Number::Value(value),
            Err(_) if trimmed.is_empty() => Number::Missing,
            Err(_) => self.field(slot).map_or(Number::Missing, Number::Text),
        })
    }

    fn list(&self, slot: usize) -> Result<Vec<Cow<'a, str>>, Refusal> {
        Ok(self.field(slot).map(split_list).unwrap_or_default())
    }
}

/// The parts of a text with `;` between them.
pub(super) fn split_list(text: Cow<'_, str>) -> Vec<Cow<'_, str>> {
    fn parts(text: &str) -> impl Iterator<Item = &str> {
        text.split(';').map(str::trim).filter(|part| !part.is_empty())
    }
    match text {
        Cow::Borrowed(text) => parts(text).map(Cow::Borrowed).collect(),
        Cow::Owned(text) => parts(&text).map(|part| Cow::Owned(part.to_owned())).collect(),
    }
}

/// The names in a header line.
///
/// # Errors
/// What is wrong with it: not UTF-8, bad quoting, no name at all.
pub(crate) fn read_header(line: &[u8], delimiter: u8) -> Result<Vec<String>, &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "the header line is not UTF-8")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut spans = Vec::new();
    split_record(text, delimiter, usize::MAX, &mut spans)?;
    let row = CsvRow { text, spans: &spans };
    let names: Vec<String> = (0..spans.len())
        .map(|slot| {
            row.field(slot)
                .map(|name| name.trim().to_owned())
                .unwrap_or_default()
        })
        .collect();
    if names.iter().all(String::is_empty) {
        return Err("the header line names no column");
    }
    Ok(names)
}

/// Fills `spans` with the fields of the one record in `text`; stops after the first field beyond `columns`.
fn split_record(
    text: &str,
    delimiter: u8,
    columns: usize,
    spans: &mut Vec<Span>,
) -> Result<(), &'static str> {
    spans.clear();
    let bytes = text.as_bytes();
    let mut at = 0;
    while spans.len() <= columns {
        let rest = bytes.get(at..).unwrap_or_default();
        let end = if rest.first() == Some(&b'"') {
            let span = quoted_field(bytes, at + 1).ok_or("a quote is not closed")?;
            spans.push(span);
            span.end + 1
        } else {
            let length = rest
                .iter()
                .position(|&byte| byte == delimiter || byte == b'\n' || byte == b'\r')
                .unwrap_or(rest.len());
            spans.push(Span {
                start: at,
                end: at + length,
                doubled: false,
            });
            at + length
        };
        match bytes.get(end) {
            None => return Ok(()),
            Some(&byte) if byte == delimiter => at = end + 1,
            Some(b'\n' | b'\r') => {
                let rest = bytes.get(end..).unwrap_or_default();
                let only_line_ends = rest.iter().all(|byte| matches!(byte, b'\n' | b'\r'));
                return if only_line_ends {
                    Ok(())
                } else {
                    Err("more than one record; a line break inside a field needs quotes")
                };
            }
            Some(_) => return Err("text follows a closing quote"),
        }
    }
    Ok(())
}

/// The quoted field whose text begins at `start`; `None` when its quote is not closed.
fn quoted_field(bytes: &[u8], start: usize) -> Option<Span> {
    let mut at = start;
    let mut doubled = false;
    loop {
        let end = at + bytes.get(at..)?.iter().position(|&byte| byte == b'"')?;
        if bytes.get(end + 1) != Some(&b'"') {
            return Some(Span { start, end, doubled });
        }
        doubled = true;
        at = end + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::quote_stays_open;
    use proptest::prelude::*;

    fn fields(text: &str, columns: usize) -> Result<Vec<String>, String> {
        let mut spans = Vec::new();
        let row = CsvRow::split(text, b',', columns, &mut spans).map_err(|refusal| refusal.detail)?;
        Ok((0..columns)
            .map(|slot| row.field(slot).unwrap_or_default().into_owned())
            .collect())
    }

    #[test]
    fn quotes_line_breaks_and_line_ends() {
        assert_eq!(fields("a,,c\r\n", 3).unwrap(), ["a", "", "c"]);
        assert_eq!(fields("a,", 2).unwrap(), ["a", ""]);
        assert_eq!(
            fields("\"a,\"\"b\"\"\nc\",5\" pipe", 2).unwrap(),
            ["a,\"b\"\nc", "5\" pipe"]
        );
        assert_eq!(fields("\"\",\"\"\"\"", 2).unwrap(), ["", "\""]);
        for (bad, why) in [
            ("a,b\nc,d", "more than one record"),
            ("a,\"b", "not closed"),
            ("a,\"b\"c", "follows"),
            ("a", "fewer fields"),
            ("a,b,c", "more fields"),
            ("\n", "empty"),
            ("", "empty"),
        ] {
            let detail = fields(bad, 2).unwrap_err();
            assert!(detail.contains(why), "{bad:?}: {detail}");
        }
    }

    #[test]
    fn a_borrowed_field_is_not_copied() {
        let mut spans = Vec::new();
        let row = CsvRow::split("x,\"y z\"", b',', 2, &mut spans).unwrap();
        assert!(matches!(row.text(1), Ok(Some(Cow::Borrowed("y z")))));
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_writes_is_read_back(
            record in proptest::collection::vec("[a\",\n\r é]{0,6}", 2..6)
        ) {
            let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
            writer.write_record(&record).unwrap();
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            prop_assert_eq!(fields(&text, record.len()).unwrap(), record);
            prop_assert!(!quote_stays_open(text.trim_end_matches('\n').as_bytes(), b',', false));
        }

        #[test]
        fn a_quote_is_open_at_a_line_end_just_where_a_record_goes_on(text in "[a\",\n]{0,12}") {
            let mut spans = Vec::new();
            let not_closed = split_record(&text, b',', 100, &mut spans) == Err("a quote is not closed");
            if !text.contains('\n') && not_closed {
                prop_assert!(quote_stays_open(text.as_bytes(), b',', false));
            }
        }
    }
}
