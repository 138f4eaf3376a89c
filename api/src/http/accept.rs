//! What a client asks for: `Accept` and `Accept-Encoding`, RFC 9110 §12.4 and §12.5.
//!
//! Media types are read by `mediatype`; the choice is ours, for that of headers-accept refuses a header for one part that is
//! no media range, and among equals takes what the client named first instead of what the route offers first.

use mediatype::{MediaType, MediaTypeList, ReadParams, names};

/// The best of `offered`, by its place, for the values of `Accept` (each line of the header one value).
///
/// Each offered type takes the weight of the most specific range that matches it; the highest weight wins, and among equals
/// the first that is offered. Weight 0 excludes. What is no media range is passed over. None: nothing offered is acceptable.
pub fn best_format<'a>(accept: impl IntoIterator<Item = &'a str>, offered: &[&str]) -> Option<usize> {
    let ranges: Vec<MediaType<'a>> = accept
        .into_iter()
        .flat_map(|value| MediaTypeList::new(value).filter_map(Result::ok))
        .collect();
    if ranges.is_empty() {
        return None;
    }
    let mut best: Option<(f32, usize)> = None;
    for (place, name) in offered.iter().enumerate() {
        let Ok(offer) = MediaType::parse(name) else {
            continue;
        };
        let weight = ranges
            .iter()
            .filter_map(|range| Some((specificity(range, &offer)?, weight_of(range)?)))
            .max_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)))
            .map_or(0.0, |(_, weight)| weight);
        if weight > 0.0 && best.is_none_or(|(known, _)| weight > known) {
            best = Some((weight, place));
        }
    }
    best.map(|(_, place)| place)
}

/// How exactly a range names a type; none when it does not.
fn specificity(range: &MediaType<'_>, offer: &MediaType<'_>) -> Option<u8> {
    if range.ty == names::_STAR {
        return (range.subty == names::_STAR).then_some(0);
    }
    if range.ty != offer.ty {
        return None;
    }
    if range.subty == names::_STAR && range.suffix.is_none() {
        return Some(1);
    }
    if range.subty != offer.subty || range.suffix != offer.suffix {
        return None;
    }
    // Parameters that no answer has make a range narrower than the answer: it counts where nothing else is said.
    let is_plain = range
        .params()
        .all(|(name, _)| name == names::Q || name == names::CHARSET);
    Some(if is_plain { 3 } else { 2 })
}

fn weight_of(range: &MediaType<'_>) -> Option<f32> {
    range
        .get_param(names::Q)
        .map_or(Some(1.0), |value| weight(&value.unquoted_str()))
}

/// A weight, 0 to 1. Also without the digit before the dot, which old clients leave out, and with more than three behind it.
pub fn weight(text: &str) -> Option<f32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.bytes().any(|byte| byte.is_ascii_digit());
    let weight: f32 = text.parse().ok().filter(|_| is_number)?;
    (0.0..=1.0).contains(&weight).then_some(weight)
}

/// Whether the values of `Accept-Encoding` allow gzip, and do not like the plain bytes better.
pub fn prefers_gzip<'a>(accept_encoding: impl IntoIterator<Item = &'a str>) -> bool {
    let (mut gzip, mut identity, mut any) = (None::<f32>, None::<f32>, None::<f32>);
    for coding in accept_encoding.into_iter().flat_map(|value| value.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts
            .filter_map(|part| part.split_once('='))
            .find(|(parameter, _)| parameter.trim().eq_ignore_ascii_case("q"))
            .map_or(Some(1.0), |(_, value)| weight(value.trim()));
        let Some(weight) = weight else {
            continue;
        };
        let slot = if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            &mut gzip
        } else if name.eq_ignore_ascii_case("identity") {
            &mut identity
        } else if name == "*" {
            &mut any
        } else {
            continue;
        };
        *slot = Some(slot.map_or(weight, |known| known.max(weight)));
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && identity.is_none_or(|identity| gzip >= identity)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFERED: [&str; 4] = [
        "application/json",
        "text/csv",
        "application/geo+json",
        "application/vnd.apache.parquet",
    ];

    fn best(accept: &str) -> Option<&'static str> {
        best_format([accept], &OFFERED).map(|place| OFFERED[place])
    }

    #[test]
    fn the_most_specific_range_gives_the_weight() {
        for (accept, format) in [
            ("*/*", "application/json"),
            ("application/json;q=0, */*", "text/csv"),
            ("*/*, application/json;q=0", "text/csv"),
            ("application/json;Q=0, */*", "text/csv"),
            ("application/json; q=0.0, */*", "text/csv"),
            ("application/json ;\tq=0.000 , */*;q=0.1", "text/csv"),
            ("application/json;q=\"0\", */*", "text/csv"),
            ("application/*;q=0, */*;q=0.1", "text/csv"),
            (
                "application/*;q=0.5, application/geo+json, */*;q=0.9",
                "application/geo+json",
            ),
            ("APPLICATION/GEO+JSON", "application/geo+json"),
            ("text/csv;q=0.5, application/json;q=0.4", "text/csv"),
            ("text/csv, application/json", "application/json"),
            ("text/csv;q=1.000, application/json;q=.2", "text/csv"),
            ("text/html, image/gif, *; q=.2, */*; q=.2", "application/json"),
            ("application/json; charset=utf-8", "application/json"),
            ("application/json; profile=\"a,b;q=0\"", "application/json"),
            (
                "application/json; profile=x;q=0, application/json",
                "application/json",
            ),
            ("text/html, nonsense, ;;, text/csv", "text/csv"),
            ("application/json;q=2, text/csv;q=0.1", "text/csv"),
            ("application/json;q=-1, text/csv;q=0.1", "text/csv"),
        ] {
            assert_eq!(best(accept), Some(format), "{accept}");
        }
        for accept in [
            "",
            "text/html",
            "*/*;q=0",
            "text/csv;q=0",
            "*/json",
            "application/json;q=0",
            "nonsense",
        ] {
            assert_eq!(best(accept), None, "{accept}");
        }
        assert_eq!(best_format(["application/json;q=0", "*/*"], &OFFERED), Some(1));
    }

    #[test]
    fn gzip_is_sent_to_those_who_want_it() {
        for accept in [
            "gzip",
            "GZIP",
            "x-gzip",
            "deflate, gzip;q=0.001",
            "*",
            "br;q=1, *;q=0.1",
            "gzip;q=1.0, identity;q=0.5",
            "gzip ; q=1",
            "identity, gzip",
            "gzip;q=0, gzip;q=1",
            "*;q=0, gzip",
            "gzip;Q=.5",
        ] {
            assert!(prefers_gzip([accept]), "{accept}");
        }
        for accept in [
            "",
            "identity",
            "br",
            "gzip;q=0",
            "gzip;q=0.0",
            "gzip;q=0.000",
            "gzip;Q=0",
            "GZIP; q=0",
            "*;q=0",
            "*, gzip;q=0",
            "gzip;q=0.5, identity",
            "gzipped",
            "gzip;q=x",
            "gzip;q=2",
        ] {
            assert!(!prefers_gzip([accept]), "{accept}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_answered(accept in "[ -~]{0,60}|((application|text|\\*)/(json|csv|\\*)(;[qQ]=[0-9.]{0,4})?[, ]*){0,4}") {
            let place = best_format([accept.as_str()], &OFFERED);
            prop_assert!(place.is_none_or(|place| place < OFFERED.len()));
            prefers_gzip([accept.as_str()]);
        }
    }
}
