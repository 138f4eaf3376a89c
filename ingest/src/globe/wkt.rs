//! Well-known text (WKT), read and written.

use std::str::FromStr as _;

use super::wkb::{DEEPEST, InvalidGeometry, read};

/// Bytes before the first parenthesis, blanks included.
const LONGEST_NAME: usize = 64;

/// The WKB of a text such as `POINT(113.93 22.53)`.
///
/// # Errors
/// [`InvalidGeometry`] if the text is no geometry.
pub fn wkb_of_text(text: &str) -> Result<Vec<u8>, InvalidGeometry> {
    let parsed = parse(text)?;
    let mut bytes = Vec::new();
    wkb::writer::write_geometry(&mut bytes, &parsed, &wkb::writer::WriteOptions::default())
        .map_err(|_| InvalidGeometry::NotText("it has no binary form"))?;
    read(&bytes)?;
    Ok(bytes)
}

/// A text as it is written: neither whether rings are closed nor whether numbers are finite is looked at.
pub(crate) fn parse(text: &str) -> Result<wkt::Wkt<f64>, InvalidGeometry> {
    let text = text.trim();
    // The parser calls itself for each collection in a collection, and does not look at what follows.
    if depth_of_one(text)? > DEEPEST + 3 {
        return Err(InvalidGeometry::TooDeep);
    }
    wkt::Wkt::from_str(text).map_err(InvalidGeometry::NotText)
}

/// Appends a WKB geometry as text, each number with as few digits as tell it apart from all others; false, and nothing
/// appended, if it is no geometry.
pub fn push_text(bytes: &[u8], out: &mut String) -> bool {
    // `read` refuses what would make the other reader panic.
    if read(bytes).is_err() {
        return false;
    }
    let Ok(geometry) = wkb::reader::read_wkb(bytes) else {
        return false;
    };
    let start = out.len();
    let written = wkt::to_wkt::write_geometry(out, &geometry).is_ok();
    if !written {
        out.truncate(start);
    }
    written
}

#[cfg(test)]
pub(super) fn text_of(bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    push_text(bytes, &mut text).then_some(text)
}

/// How deep parentheses lie in parentheses.
///
/// # Errors
/// [`InvalidGeometry::More`] if something follows the first geometry.
fn depth_of_one(text: &str) -> Result<usize, InvalidGeometry> {
    let name = text.split('(').next().unwrap_or_default();
    if name.len() > LONGEST_NAME {
        return Err(InvalidGeometry::LongName);
    }
    let is_empty = |word: &str| word.eq_ignore_ascii_case("EMPTY");
    let ends_with_name =
        name.split_whitespace().next_back().is_some_and(is_empty) && name.len() == text.len();
    if name.split_whitespace().filter(|word| is_empty(word)).count() > usize::from(ends_with_name) {
        return Err(InvalidGeometry::More);
    }
    let mut depth = 0_usize;
    let mut deepest = 0;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        deepest = deepest.max(depth);
        if depth == 0 && place + 1 < text.len() {
            return Err(InvalidGeometry::More);
        }
    }
    Ok(deepest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_no_geometry_are_refused() {
        let deep = format!(
            "{}POINT(1 2){}",
            "GEOMETRYCOLLECTION(".repeat(50_000),
            ")".repeat(50_000)
        );
        for text in [
            "",
            "nothing",
            "POINT",
            "POINT(1)",
            "POINT(1 2",
            "POINT(1 2) POINT(3 4)",
            "POINT(1 2) x",
            "POINT EMPTY x",
            "POINT EMPTY POINT(1 2)",
            "POINT EMPTY EMPTY",
            "POINT(nan 2)",
            "POINT(1 inf)",
            "POLYGON((0 0,1 1,2 2,3 3))",
            "POLYGON((0 0,1 1,0 0))",
            "LINESTRING(1 1)",
            deep.as_str(),
        ] {
            let text_start = text.get(..40).unwrap_or(text);
            assert!(wkb_of_text(text).is_err(), "{text_start}");
        }
    }

    #[test]
    fn case_and_blanks_do_not_matter() {
        let expected = wkb_of_text("POINT(1 -2.5)");
        assert!(expected.is_ok());
        for text in ["point(1 -2.5)", " Point ( 1   -2.5 ) ", "POINT(1.0 -25e-1)"] {
            assert_eq!(wkb_of_text(text), expected, "{text}");
        }
    }
}
