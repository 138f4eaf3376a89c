//! One pass over the bytes of a structured event as nearly every producer writes it: an object of texts, numbers and
//! nulls, and one object `data`. It copies nothing but texts with escapes, and knows the fields of all three kinds.
//!
//! It either reads what the thorough way of [`super`] would read, to the bit, or gives up; it never judges. So it may
//! give up on anything: a field of an unexpected type, one that is there twice, `data_base64`.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::BinaryAttributes;
use super::fields::{Fields, Text};
use crate::words::text_limits::check_levels;

/// Attributes and data of a plain structured event; `None` when it takes the thorough way to read it.
pub(super) fn scan(payload: &[u8]) -> Option<(BinaryAttributes<'_>, Fields<'_>)> {
    let mut scanner = Scanner {
        text: std::str::from_utf8(payload).ok()?,
        at: 0,
    };
    let mut attributes = BinaryAttributes::default();
    let mut fields = Fields::default();
    let mut seen = Seen::default();
    scanner.object(|scanner, key| {
        let (bit, slot) = match key.short {
            ID => (1, &mut attributes.id),
            SOURCE => (2, &mut attributes.source),
            TYPE => (3, &mut attributes.kind),
            TIME => (4, &mut attributes.time),
            DATA => {
                seen.first_time(5)?;
                return if scanner.null() {
                    Some(())
                } else {
                    scanner.data(&mut fields)
                };
            }
            _ if key.text == "specversion" => (0, &mut attributes.specversion),
            _ if key.text == "data_base64" => return None,
            _ => return scanner.skip(),
        };
        seen.first_time(bit)?;
        *slot = if scanner.null() {
            None
        } else {
            Some(scanner.string()?)
        };
        Some(())
    })?;
    scanner.ends().then_some((attributes, fields))
}

/// The data of an event in binary mode; `None` as in [`scan`].
pub(super) fn scan_data(payload: &[u8]) -> Option<Fields<'_>> {
    let mut scanner = Scanner {
        text: std::str::from_utf8(payload).ok()?,
        at: 0,
    };
    let mut fields = Fields::default();
    scanner.data(&mut fields)?;
    scanner.ends().then_some(fields)
}

/// A key of up to eight bytes as a number, so that telling many apart costs a comparison each; 0 for a longer one, and for
/// one with a NUL, which would be another's number.
const fn short_key(key: &str) -> u64 {
    let bytes = key.as_bytes();
    if bytes.len() > 8 {
        return 0;
    }
    let mut word = [0; 8];
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == 0 {
            return 0;
        }
        word[at] = bytes[at];
        at += 1;
    }
    u64::from_le_bytes(word)
}

const ID: u64 = short_key("id");
const SOURCE: u64 = short_key("source");
const TYPE: u64 = short_key("type");
const TIME: u64 = short_key("time");
const DATA: u64 = short_key("data");
const SENSOR: u64 = short_key("sensor");
const PROPERTY: u64 = short_key("property");
const VALUE: u64 = short_key("value");
const UNIT: u64 = short_key("unit");
const LON: u64 = short_key("lon");
const LAT: u64 = short_key("lat");
const REPORT: u64 = short_key("report");
const OP: u64 = short_key("op");
const CATEGORY: u64 = short_key("category");
const SEVERITY: u64 = short_key("severity");
const CHANNEL: u64 = short_key("channel");
const REPORTER: u64 = short_key("reporter");
const OUTCOME: u64 = short_key("outcome");
const STATUS: u64 = short_key("status");
const SKILLS: u64 = short_key("skills");

/// Which known fields of one object came already.
#[derive(Default)]
struct Seen(u32);

impl Seen {
    /// `None` when the field came before.
    fn first_time(&mut self, bit: u32) -> Option<()> {
        let before = self.0 & (1 << bit);
        self.0 |= 1 << bit;
        (before == 0).then_some(())
    }
}

/// A key of an object.
struct Key<'a> {
    /// As [`short_key`] has it.
    short: u64,
    text: Cow<'a, str>,
}

enum Slot<'slot, 'a> {
    Text(&'slot mut Option<Text<'a>>),
    Number(&'slot mut Option<f64>),
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn data(&mut self, fields: &mut Fields<'a>) -> Option<()> {
        let mut seen = Seen::default();
        self.object(|scanner, key| {
            let (bit, slot) = match key.short {
                SENSOR => (0, Slot::Text(&mut fields.sensor)),
                PROPERTY => (1, Slot::Text(&mut fields.property)),
                VALUE => (2, Slot::Number(&mut fields.value)),
                UNIT => (3, Slot::Text(&mut fields.unit)),
                LON => (4, Slot::Number(&mut fields.lon)),
                LAT => (5, Slot::Number(&mut fields.lat)),
                REPORT => (6, Slot::Text(&mut fields.report)),
                OP => (7, Slot::Text(&mut fields.op)),
                CATEGORY => (8, Slot::Text(&mut fields.category)),
                SEVERITY => (9, Slot::Number(&mut fields.severity)),
                CHANNEL => (10, Slot::Text(&mut fields.channel)),
                REPORTER => (11, Slot::Text(&mut fields.reporter)),
                OUTCOME => (12, Slot::Text(&mut fields.outcome)),
                STATUS => (13, Slot::Text(&mut fields.status)),
                SKILLS => {
                    seen.first_time(14)?;
                    fields.skills = scanner.nested()?;
                    return Some(());
                }
                _ => return scanner.skip(),
            };
            seen.first_time(bit)?;
            match slot {
                Slot::Text(slot) => {
                    *slot = if scanner.null() {
                        None
                    } else {
                        Some(Text(scanner.string()?))
                    }
                }
                Slot::Number(slot) => {
                    *slot = if scanner.null() {
                        None
                    } else {
                        Some(scanner.number()?)
                    }
                }
            }
            Some(())
        })
    }

    /// The next byte that is no white space, without taking it.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Nothing but white space follows.
    fn ends(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Calls `field` with each key, standing before its value, which `field` must take.
    fn object(&mut self, mut field: impl FnMut(&mut Self, &Key<'_>) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.key()?;
            self.take(b':')?;
            field(self, &key)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn key(&mut self) -> Option<Key<'a>> {
        self.take(b'"')?;
        let bytes = self.text.as_bytes().get(self.at..)?;
        // Nearly every key is in one word, and its quote there or after it.
        if let Some(chunk) = bytes.first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let length = match specials_of(word) {
                0 => 8,
                specials => specials.trailing_zeros() as usize / 8,
            };
            if bytes.get(length) == Some(&b'"') {
                let text = self.text.get(self.at..self.at + length)?;
                self.at += length + 1;
                // Without what follows the key. No NUL is in it: it would be the first of the specials.
                let short = word & u64::MAX.checked_shr(64 - 8 * length as u32).unwrap_or(0);
                return Some(Key {
                    short,
                    text: Cow::Borrowed(text),
                });
            }
        }
        let text = self.rest_of_string()?;
        Some(Key {
            short: short_key(&text),
            text,
        })
    }

    fn null(&mut self) -> bool {
        self.peek() == Some(b'n') && self.literal("null")
    }

    fn literal(&mut self, literal: &str) -> bool {
        self.peek();
        let found = self.text.as_bytes()[self.at..].starts_with(literal.as_bytes());
        if found {
            self.at += literal.len();
        }
        found
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.take(b'"')?;
        self.rest_of_string()
    }

    /// The string whose first quote was taken.
    fn rest_of_string(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        let mut end = start;
        let mut has_escapes = false;
        loop {
            end = next_special(self.text.as_bytes(), end)?;
            match self.text.as_bytes()[end] {
                b'"' => break,
                // Whatever is escaped is one byte at least, and no end.
                b'\\' => {
                    has_escapes = true;
                    end += 2;
                }
                _ => return None,
            }
        }
        self.at = end + 1;
        if has_escapes {
            let quoted = self.text.get(start - 1..=end)?;
            return serde_json::from_str(quoted).ok().map(Cow::Owned);
        }
        self.text.get(start..end).map(Cow::Borrowed)
    }

    /// A number as serde_json reads it. With at most 15 digits and a power of ten below 10^23 one division of exact
    /// values is correctly rounded (Clinger 1990) and is what serde_json does; others are left to it.
    fn number(&mut self) -> Option<f64> {
        self.peek()?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut at = start + usize::from(bytes[start] == b'-');
        let mut mantissa = 0_u64;
        let mut digits = |at: &mut usize| -> usize {
            let first = *at;
            while let Some(digit) = bytes.get(*at).filter(|byte| byte.is_ascii_digit()) {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
                *at += 1;
            }
            *at - first
        };
        let first = at;
        let whole = digits(&mut at);
        let mut decimals = 0;
        if whole == 0 || (whole > 1 && bytes[first] == b'0') {
            return None;
        }
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            decimals = digits(&mut at);
            if decimals == 0 {
                return None;
            }
        }
        let has_exponent = matches!(bytes.get(at), Some(b'e' | b'E'));
        if !has_exponent && whole + decimals <= EXACT_DIGITS {
            self.at = at;
            let value = mantissa as f64 / POWERS_OF_TEN[decimals];
            return Some(if bytes[start] == b'-' { -value } else { value });
        }
        self.nested()
    }

    fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'n' => self.literal("null").then_some(()),
            b't' => self.literal("true").then_some(()),
            b'f' => self.literal("false").then_some(()),
            b'{' | b'[' => self.nested::<IgnoredAny>().map(drop),
            _ => self.number().map(drop),
        }
    }

    /// A value of any shape, by serde_json.
    fn nested<T: Deserialize<'a>>(&mut self) -> Option<T> {
        self.peek()?;
        let mut values = serde_json::Deserializer::from_str(self.text.get(self.at..)?).into_iter::<T>();
        let value = values.next()?.ok()?;
        let end = self.at + values.byte_offset();
        // Too deep is told by the thorough way.
        check_levels(self.text.as_bytes().get(self.at..end)?).ok()?;
        self.at = end;
        Some(value)
    }
}

/// Digits of which every whole number is exact in a double, with room to spare.
const EXACT_DIGITS: usize = 15;
const POWERS_OF_TEN: [f64; EXACT_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// The quotes, backslashes and control characters of eight bytes, the first in the low bits: the lowest bit that is set is
/// the high bit of the first of them, what is above may be wrong. By the carries of one subtraction (Mycroft 1987).
const fn specials_of(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word
    }
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    let quotes = zeros(word ^ (ONES * b'"' as u64));
    let backslashes = zeros(word ^ (ONES * b'\\' as u64));
    (controls | quotes | backslashes) & HIGHS
}

/// Where the next quote, backslash or control character is, from `at` on.
fn next_special(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(chunk) = bytes.get(at..)?.first_chunk::<8>() {
        let specials = specials_of(u64::from_le_bytes(*chunk));
        if specials != 0 {
            // Carries spoil only what is above the first hit.
            return Some(at + specials.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    let found = rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    Some(at + found)
}
