//! The kinds of problems that clients are told, each with its status and title: the one place that knows them.

use axum::http::StatusCode;

/// Declares the kinds, a row each: the variant, the end of its type, the status, the title.
macro_rules! kinds {
    ($($kind:ident $name:literal $status:literal $title:literal;)+) => {
        /// What kind of problem it is. A kind that was published never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`, ", $status, ": ", $title, ".")] $kind,)+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The end of the problem's `type`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// What the problem is, the same for all of its kind.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$kind => $title,)+
                }
            }

            const fn code(self) -> u16 {
                match self {
                    $(Self::$kind => $status,)+
                }
            }
        }
    };
}

kinds! {
    BadRequest "bad-request" 400 "The request cannot be understood";
    CredentialsInUrl "credentials-in-url" 400 "A credential stands in the URL";
    Unauthenticated "unauthenticated" 401 "Who asks is not known";
    Forbidden "forbidden" 403 "Not allowed";
    CrossSite "cross-site" 403 "Pages of this origin are not let in";
    NoRole "no-role" 403 "No role is given to whoever asks";
    ForbiddenSource "forbidden-source" 403 "The source of an event is not one of this key's";
    NotFound "not-found" 404 "There is no such thing";
    MethodNotAllowed "method-not-allowed" 405 "Method not allowed";
    NotAcceptable "not-acceptable" 406 "No acceptable format";
    RequestTimeout "request-timeout" 408 "The body did not come in time";
    Conflict "conflict" 409 "It conflicts with what is there";
    LastAdmin "last-admin" 409 "It is an admin's last way in";
    IllegalMove "illegal-move" 409 "No such move from the case's state";
    Mirrored "mirrored" 409 "Another system decides the case";
    HasChildren "has-children" 409 "Other cases are merged into it";
    NoOffice "no-office" 409 "No office is on duty for it";
    OwnWork "own-work" 409 "Nobody closes the work of their own office";
    AlreadyRated "already-rated" 409 "The caller has answered already";
    ReturnTooLate "return-too-late" 409 "The time to return it is over";
    NoReturn "no-return" 409 "There is no other office for it";
    ExtensionLimit "extension-limit" 409 "The rule gives no such extension";
    Overdue "overdue" 409 "The deadline is over";
    Paused "paused" 409 "The case is paused";
    NotPaused "not-paused" 409 "The case is not paused";
    WindowOver "window-over" 409 "It was closed too long ago";
    RedoLimit "redo-limit" 409 "It was redone as often as it may be";
    BadParent "bad-parent" 409 "That case cannot have children";
    InProgress "in-progress" 409 "A request of this key still runs";
    Used "used" 409 "It was used already";
    Gone "gone" 410 "It is no longer there";
    PreconditionFailed "precondition-failed" 412 "It is at another version";
    TooLarge "too-large" 413 "The body is too large";
    UnsupportedMediaType "unsupported-media-type" 415 "The content type is not supported";
    Misdirected "misdirected" 421 "This name is not served here";
    Invalid "invalid" 422 "It is not acceptable";
    OutOfMemory "out-of-memory" 422 "The query needs more memory than it may have";
    TooExpensive "too-expensive" 422 "The query would look at too much";
    AnswerTooLarge "answer-too-large" 422 "The answer is too large";
    AmbiguousRule "ambiguous-rule" 422 "Two rows of the duty table fit alike";
    CalendarEmpty "calendar-empty" 422 "The calendar ends before the deadline";
    IdempotencyKeyReused "idempotency-key-reused" 422 "The key was used for another request";
    PreconditionRequired "precondition-required" 428 "The version to change is not named";
    TooManyRequests "too-many-requests" 429 "Too many requests";
    QueueFull "queue-full" 429 "Too many queries wait";
    TooManyFailures "too-many-failures" 429 "Too many wrong credentials";
    Quota "quota" 429 "More than the key may bring";
    Cancelled "cancelled" 499 "It was cancelled";
    Internal "internal" 500 "The server failed";
    Unavailable "unavailable" 503 "It cannot be served now";
    IdentityProvider "identity-provider" 503 "The issuer of tokens does not answer";
    OutOfTime "out-of-time" 504 "It did not finish in time";
    HttpVersion "http-version" 505 "This version of HTTP is not spoken here";
}

impl Kind {
    /// The HTTP status of all of its kind.
    pub fn status(self) -> StatusCode {
        // All are valid, which a test looks at.
        StatusCode::from_u16(self.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// As the contract lists them, and `request-timeout` of our own.
    const CONTRACT: [(u16, &str); 21] = [
        (400, "bad-request credentials-in-url"),
        (401, "unauthenticated"),
        (403, "forbidden cross-site no-role forbidden-source"),
        (404, "not-found"),
        (405, "method-not-allowed"),
        (406, "not-acceptable"),
        (408, "request-timeout"),
        (
            409,
            "conflict last-admin illegal-move mirrored has-children no-office own-work already-rated return-too-late no-return \
             extension-limit overdue paused not-paused window-over redo-limit bad-parent in-progress used",
        ),
        (410, "gone"),
        (412, "precondition-failed"),
        (413, "too-large"),
        (415, "unsupported-media-type"),
        (421, "misdirected"),
        (
            422,
            "invalid out-of-memory too-expensive answer-too-large ambiguous-rule calendar-empty idempotency-key-reused",
        ),
        (428, "precondition-required"),
        (429, "too-many-requests queue-full too-many-failures quota"),
        (499, "cancelled"),
        (500, "internal"),
        (503, "unavailable identity-provider"),
        (504, "out-of-time"),
        (505, "http-version"),
    ];

    #[test]
    fn every_kind_has_the_status_of_the_contract_and_a_title_of_its_own() {
        let listed: BTreeSet<(u16, &str)> = CONTRACT
            .iter()
            .flat_map(|(status, names)| names.split_whitespace().map(move |name| (*status, name)))
            .collect();
        let known: BTreeSet<(u16, &str)> = Kind::ALL
            .iter()
            .map(|kind| (kind.status().as_u16(), kind.name()))
            .collect();
        assert_eq!(known, listed);
        assert_eq!(known.len(), Kind::ALL.len());
        let titles: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.title()).collect();
        assert_eq!(titles.len(), Kind::ALL.len());
        assert!(
            titles
                .iter()
                .all(|title| !title.is_empty() && !title.ends_with('.'))
        );
    }
}
