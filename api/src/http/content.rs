//! What a body says of itself: `Content-Type` and `Content-Encoding`.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use mediatype::{MediaType, ReadParams, names};

use crate::problem::Problem;

/// The media type of the body, in lower case and without parameters; none when it is not said.
///
/// # Errors
/// 415: it is said twice, is none, or is of another character set than UTF-8.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::unsupported_media_type(
            "Content-Type is given twice; give it once",
        ));
    }
    // A semicolon with nothing behind it is allowed, and some clients send it.
    let text = value
        .to_str()
        .unwrap_or_default()
        .trim_end_matches([' ', '\t', ';']);
    let Ok(media_type) = MediaType::parse(text) else {
        return Err(Problem::unsupported_media_type(
            "Content-Type is no media type; write it like application/json",
        ));
    };
    let charset = media_type.get_param(names::CHARSET);
    if charset.is_some_and(|charset| !is_utf8(&charset.unquoted_str())) {
        return Err(Problem::unsupported_media_type(
            "bodies are UTF-8; leave charset out or say utf-8",
        ));
    }
    Ok(Some(media_type.essence().to_string().to_ascii_lowercase()))
}

fn is_utf8(charset: &str) -> bool {
    ["utf-8", "utf8", "us-ascii"]
        .iter()
        .any(|known| charset.eq_ignore_ascii_case(known))
}

/// How the bytes of a body are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zstd,
}

/// Read from `Content-Encoding`; none when it is packed in a way, or in more ways, than are unpacked here.
pub(crate) fn packing(headers: &HeaderMap) -> Option<Packing> {
    let mut names = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let packing = match names.next() {
        None => Packing::None,
        Some(name) if name.eq_ignore_ascii_case("identity") => Packing::None,
        Some(name) if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
            Packing::Gzip
        }
        Some(name) if name.eq_ignore_ascii_case("zstd") => Packing::Zstd,
        Some(_) => return None,
    };
    names.next().is_none().then_some(packing)
}

/// 415 that tells, as RFC 9110 §12.5.3 asks, what is unpacked here.
pub(crate) fn unsupported_packing() -> Response {
    let problem =
        Problem::unsupported_media_type("bodies may be packed by gzip or zstd, once; send it so, or plain");
    let mut response = problem.into_response();
    response
        .headers_mut()
        .insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"));
    response
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn with(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_media_type_has_one_form() {
        let read = |values: &[&str]| media_type(&with(&header::CONTENT_TYPE, values));
        assert_eq!(read(&[]).unwrap(), None);
        for (text, essence) in [
            ("application/json", "application/json"),
            ("Application/JSON; charset=\"UTF-8\"", "application/json"),
            ("application/json;", "application/json"),
            (
                "application/CloudEvents+json ; Charset=utf-8",
                "application/cloudevents+json",
            ),
            ("text/plain;charset=us-ascii", "text/plain"),
        ] {
            assert_eq!(read(&[text]).unwrap().as_deref(), Some(essence), "{text}");
        }
        for values in [
            &["application/json; charset=latin1"][..],
            &["application/json", "text/plain"],
            &["application/json, text/plain"],
            &["json"],
            &[""],
        ] {
            assert_eq!(read(values).unwrap_err().status(), 415, "{values:?}");
        }
    }

    #[test]
    fn one_known_packing_at_most() {
        let read = |values: &[&str]| packing(&with(&header::CONTENT_ENCODING, values));
        for values in [&[][..], &["identity"], &[""], &["Identity"]] {
            assert_eq!(read(values), Some(Packing::None), "{values:?}");
        }
        assert_eq!(read(&["GZIP"]), Some(Packing::Gzip));
        assert_eq!(read(&[" x-gzip ,"]), Some(Packing::Gzip));
        assert_eq!(read(&["zstd"]), Some(Packing::Zstd));
        for values in [
            &["br"][..],
            &["deflate"],
            &["gzip, gzip"],
            &["gzip", "zstd"],
            &["identity, br"],
            &["gzip;q=1"],
        ] {
            assert_eq!(read(values), None, "{values:?}");
        }
    }
}
