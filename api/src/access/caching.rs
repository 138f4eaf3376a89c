//! Who may keep an answer, and for whom.

use axum::http::header::{CACHE_CONTROL, VARY};
use axum::http::{HeaderMap, HeaderValue};

/// Whose answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerOf {
    /// Everybody's: there are no identities.
    OpenMode,
    /// Everybody's who brings no credential.
    Anonymous,
    /// That of one identity.
    Identity,
}

/// Of an answer whose address names what it holds: it can never be another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Immutable;

/// Paths of which nothing is kept anywhere.
fn is_secret(path: &str) -> bool {
    [
        "/v1/sql",
        "/v1/keys",
        "/v1/sessions",
        "/v1/audit",
        "/v1/whoami",
        "/v1/cases/{id}/texts",
        "/v1/cases/{id}/contact",
        "/v1/cases/{id}/rating-link",
        "/r/",
        "/auth/",
    ]
    .iter()
    .any(|begin| path.starts_with(begin))
}

/// What is known of an answer before it is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    /// It is what was asked for, or the news that the asker has it.
    pub(super) is_good: bool,
    /// See [`Immutable`].
    pub(super) is_immutable: bool,
}

/// Says it in the headers of an answer to a request for this path.
pub(super) fn say_who_may_keep(headers: &mut HeaderMap, of: AnswerOf, path: &str, answered: Answered) {
    if is_secret(path) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return;
    }
    let Answered {
        is_good,
        is_immutable,
    } = answered;
    let word = match (of, is_good && is_immutable) {
        (AnswerOf::OpenMode, false) => return,
        // A refusal to one is none to another.
        _ if !is_good => "no-store",
        (AnswerOf::Anonymous, true) => "public, max-age=31536000, immutable",
        (AnswerOf::Anonymous, false) => "public, max-age=60",
        // Whoever asks the server for it is authorised first: a name that cannot be guessed is no right.
        (AnswerOf::OpenMode | AnswerOf::Identity, true) => "private, max-age=31536000, immutable",
        (AnswerOf::Identity, false) => "private, no-cache",
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(word));
    // Before what a route says itself, so that no credential is left out.
    headers.insert(
        VARY,
        HeaderValue::from_static("Authorization, Cookie, Accept, Accept-Encoding"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(of: AnswerOf, path: &str, is_good: bool) -> Option<String> {
        told(of, path, is_good, false)
    }

    fn told(of: AnswerOf, path: &str, is_good: bool, is_immutable: bool) -> Option<String> {
        let mut headers = HeaderMap::new();
        let answered = Answered {
            is_good,
            is_immutable,
        };
        say_who_may_keep(&mut headers, of, path, answered);
        let varies = headers
            .get(VARY)
            .is_some_and(|vary| vary.as_bytes().starts_with(b"Authorization, Cookie"));
        let word = headers
            .get(CACHE_CONTROL)
            .map(|word| word.to_str().unwrap().to_owned());
        assert!(
            varies || of == AnswerOf::OpenMode || word.as_deref() == Some("no-store"),
            "{path}"
        );
        word
    }

    #[test]
    fn an_answer_is_kept_by_those_alone_whose_it_is() {
        let tile = "/v1/tiles/noise/0/0/0.mvt";
        assert_eq!(kept(AnswerOf::Identity, tile, true).unwrap(), "private, no-cache");
        assert_eq!(
            kept(AnswerOf::Anonymous, tile, true).unwrap(),
            "public, max-age=60"
        );
        assert_eq!(kept(AnswerOf::Anonymous, tile, false).unwrap(), "no-store");
        assert_eq!(kept(AnswerOf::OpenMode, tile, true), None);
        for (of, is_good, word) in [
            (AnswerOf::Anonymous, true, "public, max-age=31536000, immutable"),
            (AnswerOf::Identity, true, "private, max-age=31536000, immutable"),
            (AnswerOf::OpenMode, true, "private, max-age=31536000, immutable"),
            (AnswerOf::Identity, false, "no-store"),
            (AnswerOf::Anonymous, false, "no-store"),
        ] {
            assert_eq!(told(of, tile, is_good, true).unwrap(), word, "{of:?}");
        }
        assert_eq!(
            told(AnswerOf::Identity, "/v1/sql", true, true).unwrap(),
            "no-store"
        );
        for path in [
            "/v1/sql",
            "/v1/sql/id",
            "/v1/keys",
            "/v1/audit",
            "/auth/key",
            "/v1/whoami",
        ] {
            for of in [AnswerOf::OpenMode, AnswerOf::Anonymous, AnswerOf::Identity] {
                assert_eq!(kept(of, path, true).unwrap(), "no-store", "{path}");
            }
        }
    }
}
