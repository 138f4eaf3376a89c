//! The `ce-` headers of an event in binary mode, as the HTTP binding of CloudEvents 1.0, §3.1.3.2, has them.

use std::borrow::Cow;

use axum::http::HeaderMap;
use riskgrid_ingest::decode::cloudevent::BinaryAttributes;
use riskgrid_ingest::{Refusal, RefusalReason};

/// The attributes of the event.
///
/// # Errors
/// `malformed`: one is given twice, or its value cannot be decoded.
pub fn binary_attributes(headers: &HeaderMap) -> Result<BinaryAttributes<'_>, Refusal> {
    let mut attributes = BinaryAttributes::default();
    for name in headers.keys() {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else {
            continue;
        };
        let malformed = |why: &str| Refusal::new(RefusalReason::Malformed, format!("header {name}: {why}"));
        let mut values = headers.get_all(name).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(malformed("it is given twice"));
        };
        attributes.set(attribute, decode(value.as_bytes()).map_err(malformed)?);
    }
    Ok(attributes)
}

/// One value: first quotes are taken off (RFC 9110 §5.6.4), then `%` and two digits become a byte, once; the bytes are UTF-8.
///
/// # Errors
/// What is wrong with it.
pub fn decode(value: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    const NOT_UTF8: &str = "it is not UTF-8";
    if !value.iter().any(|byte| matches!(byte, b'%' | b'"')) {
        return std::str::from_utf8(value)
            .map(Cow::Borrowed)
            .map_err(|_| NOT_UTF8);
    }
    let plain = unquoted(value)?;
    let mut bytes = Vec::with_capacity(plain.len());
    let mut rest = plain.as_slice();
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = tail;
            continue;
        }
        let (Some(high), Some(low)) = (digit(tail.first()), digit(tail.get(1))) else {
            return Err("`%` must be followed by two hexadecimal digits; `%` itself is `%25`");
        };
        bytes.push((high << 4) | low);
        rest = tail.get(2..).unwrap_or_default();
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| NOT_UTF8)
}

/// The value without the quotes of its quoted parts; inside them a backslash stands before what is meant as it is.
fn unquoted(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut plain = Vec::with_capacity(value.len());
    let mut is_quoted = false;
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted => plain.push(*bytes.next().ok_or("a quote is not closed")?),
            byte => plain.push(*byte),
        }
    }
    if is_quoted {
        return Err("a quote is not closed");
    }
    Ok(plain)
}

fn digit(byte: Option<&u8>) -> Option<u8> {
    char::from(*byte?).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_unquoted_then_decoded_once() {
        for (value, text) in [
            ("plain", "plain"),
            ("", ""),
            ("\"abc a\"", "abc a"),
            ("abc%20a", "abc a"),
            ("abc a", "abc a"),
            ("\"a\\\"b\\\\c\"", "a\"b\\c"),
            ("a\\b", "a\\b"),
            ("\"Euro %E2%82%AC\" %F0%9F%98%80", "Euro € 😀"),
            ("%e6%b0%b4", "水"),
            ("水", "水"),
            ("%2525", "%25"),
            ("%22a%22", "\"a\""),
            ("\"%5C%22\"", "\\\""),
            ("\"\"", ""),
            ("%41%6c%6C", "All"),
        ] {
            assert_eq!(decode(value.as_bytes()).as_deref(), Ok(text), "{value}");
        }
        for value in [
            &b"50%"[..],
            b"50% off",
            b"%",
            b"%4",
            b"%g0",
            b"%+1",
            b"%0x",
            b"%\xff\xff",
            b"%FF",
            b"%C0%A0",
            b"%ED%A0%80",
            b"\xff",
            b"\"a",
            b"a\"",
            b"\"a\\",
            b"\"a\\\"",
            b"\"%C3\"",
        ] {
            assert!(decode(value).is_err(), "{}", String::from_utf8_lossy(value));
        }
    }

    #[test]
    fn an_attribute_has_one_value() {
        let mut headers = HeaderMap::new();
        headers.append("ce-id", "1".parse().unwrap());
        assert_eq!(binary_attributes(&headers).unwrap().id.as_deref(), Some("1"));
        headers.append("CE-ID", "2".parse().unwrap());
        assert_eq!(
            binary_attributes(&headers).unwrap_err().reason,
            RefusalReason::Malformed
        );
    }

    proptest! {
        #[test]
        fn what_a_producer_encodes_is_read_as_it_was_meant(text in "\\PC{0,30}") {
            let encoded: String = text
                .bytes()
                .map(|byte| match byte {
                    0x21..=0x7e if byte != b'"' && byte != b'%' => char::from(byte).to_string(),
                    byte => format!("%{byte:02X}"),
                })
                .collect();
            let decoded = decode(encoded.as_bytes());
            prop_assert_eq!(decoded.as_deref(), Ok(text.as_str()));
            let quoted = format!("\"{}\"", text.replace('%', "%25").replace('\\', "\\\\").replace('"', "\\\""));
            let decoded = decode(quoted.as_bytes());
            prop_assert_eq!(decoded.as_deref(), Ok(text.as_str()));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&bytes);
        }
    }
}
