//! What a request brings to show who asks, and where it must not stand.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::key::{Key, has_form};

/// Some clients send the padding, ADBC does not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest token that is looked at.
const LONGEST_TOKEN: usize = 8 << 10;

/// What `Authorization` says.
#[derive(Debug)]
pub(super) enum Credential {
    /// A key whose check digits fit.
    Key(Key),
    /// What may be a JWT.
    Token(String),
    /// Neither.
    Wrong,
}

/// Reads `Authorization`; none when there is none.
pub(super) fn read_authorization(headers: &HeaderMap) -> Option<Credential> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?;
    let one = if values.next().is_some() {
        None
    } else {
        value.to_str().ok()
    };
    Some(one.and_then(read).unwrap_or(Credential::Wrong))
}

fn read(text: &str) -> Option<Credential> {
    let (scheme, rest) = text.trim().split_once(' ')?;
    let rest = rest.trim_start();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(match Key::parse(rest) {
            Some(key) => Credential::Key(key),
            None if is_token(rest) && rest.len() <= LONGEST_TOKEN => Credential::Token(rest.to_owned()),
            None => Credential::Wrong,
        });
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(LENIENT.decode(rest).ok()?).ok()?;
        let (_, password) = pair.split_once(':')?;
        return Key::parse(password).map(Credential::Key);
    }
    None
}

/// Whether a query names a key or a token as the value of any parameter: such stand in histories, logs and `Referer`.
pub(super) fn is_in_query(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes()).any(|(_, value)| {
        let value = value.trim();
        let (scheme, rest) = value.split_once(' ').unwrap_or_default();
        let value = if scheme.eq_ignore_ascii_case("bearer") {
            rest.trim_start()
        } else {
            value
        };
        has_form(value) || is_token(value)
    })
}

/// Whether it has the form of a JWT: three parts in base64url, of which the first is a JSON object.
fn is_token(text: &str) -> bool {
    let mut parts = text.split('.');
    let (Some(head), Some(body), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_base64url = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let is_object = |part: &str| {
        URL_SAFE_NO_PAD
            .decode(part)
            .is_ok_and(|json| json.trim_ascii().starts_with(b"{"))
    };
    text.split('.').all(is_base64url) && is_object(head) && is_object(body)
}

/// A text with the secrets in it taken out, for the log.
pub(crate) fn without_keys(text: &str) -> String {
    const MARK: &str = "rgk_";
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find(MARK) {
        let (before, from) = rest.split_at(place);
        shown.push_str(before);
        shown.push_str("rgk_…");
        let end = from
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
            .unwrap_or(from.len());
        rest = from.get(end..).unwrap_or_default();
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "rgk_Gold3nKey001_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf2wOvcL";
    const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.";

    fn authorization(values: &[&str]) -> Option<Credential> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        read_authorization(&headers)
    }

    #[test]
    fn a_key_comes_as_bearer_or_as_any_password() {
        let pair = STANDARD.encode(format!("any:{KEY}"));
        let other = STANDARD.encode(format!("qgis user:{KEY}"));
        for value in [
            format!("Bearer {KEY}"),
            format!("bearer  {KEY}"),
            format!("BASIC {pair}"),
            format!("Basic {}", other.trim_end_matches('=')),
        ] {
            let read = authorization(&[&value]);
            assert!(
                matches!(&read, Some(Credential::Key(key)) if key.id() == "Gold3nKey001"),
                "{value}"
            );
        }
        assert!(authorization(&[]).is_none());
        assert!(matches!(
            authorization(&[&format!("Bearer {TOKEN}")]),
            Some(Credential::Token(_))
        ));
    }

    #[test]
    fn what_is_no_credential_is_a_wrong_one_and_never_none() {
        let bearer = format!("Bearer {KEY}");
        let token = format!(
            "Bearer {}",
            TOKEN.replace('.', &format!("{}.", "A".repeat(9 << 10)))
        );
        for values in [
            &["Bearer"][..],
            &["Bearer x"],
            &[""],
            &["Basic !"],
            &["Basic Og=="],
            &["Digest username=\"a\""],
            &[KEY],
            &[&bearer[..bearer.len() - 1]],
            &[&bearer, &bearer],
            &[&token],
        ] {
            assert!(
                matches!(authorization(values), Some(Credential::Wrong)),
                "{values:?}"
            );
        }
    }

    #[test]
    fn credentials_in_a_query_are_seen_under_any_name_and_escape() {
        let escaped: String = KEY
            .bytes()
            .fold(String::new(), |text, byte| text + &format!("%{byte:02x}"));
        for query in [
            format!("key={KEY}"),
            format!("a=1&anything={escaped}"),
            format!("access_token={TOKEN}"),
            format!("authorization=Bearer+{KEY}"),
            format!("authorization=Bearer%20{TOKEN}"),
            // Whatever its check digits say.
            format!("key={}A", &KEY[..65]),
        ] {
            assert!(is_in_query(&query), "{query}");
        }
        for query in [
            "",
            "sql=SELECT+1",
            "at=2026-11-22T08%3A00%3A00Z",
            "x=a.b.c",
            "x=1.2.3",
            "key=rgk_",
            "v=é",
        ] {
            assert!(!is_in_query(query), "{query}");
        }
    }

    #[test]
    fn the_log_shows_no_key() {
        assert_eq!(
            without_keys(&format!("/v1/keys/{KEY}/x/{KEY}")),
            "/v1/keys/rgk_…/x/rgk_…"
        );
        assert_eq!(without_keys("/v1/layers"), "/v1/layers");
    }

    proptest! {
        #[test]
        fn any_text_can_be_asked(text in "\\PC{0,60}") {
            let _ = (is_in_query(&text), read(&text), without_keys(&text));
        }
    }
}
