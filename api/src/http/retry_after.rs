//! `Retry-After`, as others send it to us.

use std::time::{Duration, UNIX_EPOCH};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The pause that is asked for: in seconds, or as a date in any of the three forms of RFC 9110 §5.6.7. `now` in microseconds.
/// None: there is none, or it is over.
pub(crate) fn retry_after(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than can be counted are as many as can.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = UNIX_EPOCH + Duration::from_micros(u64::try_from(now).ok()?);
    until.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_seconds_or_a_date_of_any_form() {
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, 784_111_777_000_000)
        };
        assert_eq!(read("120"), Some(Duration::from_mins(2)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read("99999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        for date in [
            "Sun, 06 Nov 1994 08:50:37 GMT",
            "Sunday, 06-Nov-94 08:50:37 GMT",
            "Sun Nov  6 08:50:37 1994",
        ] {
            assert_eq!(read(date), Some(Duration::from_mins(1)), "{date}");
        }
        for text in [
            "Sun, 06 Nov 1994 08:48:37 GMT",
            "soon",
            "",
            "-1",
            "+5",
            "1.5",
            "12e3",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
