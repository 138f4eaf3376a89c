//! When a certificate ends, read from its DER: rustls looks at that of the other side only.

use chrono::{NaiveDate, NaiveDateTime};

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`: the version, which is left out where it is 1.
const VERSION: u8 = 0xa0;

/// The last second in which a certificate holds, since 1970; none when it cannot be read.
pub(super) fn ends_at(der: &[u8]) -> Option<i64> {
    let mut certificate = Reader(Reader(der).value_of(SEQUENCE)?);
    let mut signed = Reader(certificate.value_of(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.next()?;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        signed.next()?;
    }
    let mut validity = Reader(signed.value_of(SEQUENCE)?);
    validity.next()?;
    let (tag, text) = validity.next()?;
    read_time(tag, std::str::from_utf8(text).ok()?)
}

/// Reads values one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next value, if it has this tag.
    fn value_of(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .filter(|(found, _)| *found == tag)
            .map(|(_, value)| value)
    }

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            let bytes = usize::from(*first & 0x7f);
            let (length, rest) = rest
                .split_at_checked(bytes)
                .filter(|_| (1..=4).contains(&bytes))?;
            (
                length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
                rest,
            )
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, value))
    }
}

/// As RFC 5280 §4.1.2.5 writes it: with seconds, in UTC.
fn read_time(tag: u8, text: &str) -> Option<i64> {
    let digits = text
        .strip_suffix('Z')
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let (year, rest) = match tag {
        UTC_TIME if digits.len() == 12 => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year: i32 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME if digits.len() == 14 => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |from: usize| rest.get(from..from + 2)?.parse::<u32>().ok();
    let date = NaiveDate::from_ymd_opt(year, part(0)?, part(2)?)?;
    let time: NaiveDateTime = date.and_hms_opt(part(4)?, part(6)?, part(8)?)?;
    Some(time.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_of_either_form() {
        for (tag, text, time) in [
            (UTC_TIME, "261122080000Z", Some(1_795_334_400)),
            (UTC_TIME, "500101000000Z", Some(-631_152_000)),
            (GENERALIZED_TIME, "20261122080000Z", Some(1_795_334_400)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "20261122080000Z", None),
            (UTC_TIME, "261322080000Z", None),
            (UTC_TIME, "2611220800Z", None),
            (GENERALIZED_TIME, "20261122080000+0100", None),
            (SEQUENCE, "261122080000Z", None),
        ] {
            assert_eq!(read_time(tag, text), time, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = ends_at(&bytes);
        }
    }
}
