//! What an object store's errors mean, and what to do about them. The texts name no credentials: of what the store says
//! only its error code and message are shown.

use std::error::Error;
use std::fmt;
use std::io::ErrorKind;

use object_store::Error as StoreError;

/// Why a call to the store came to nothing.
#[derive(Clone, Debug)]
pub(super) struct StoreProblem {
    what: What,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// There is no such object.
    Absent,
    /// There is such an object already.
    Taken,
    /// The store does not do it, and will not the next time either.
    Refused,
    /// The store did not answer.
    Silence,
    /// Anything else: it may have happened all the same.
    Unclear,
}

/// Codes of S3, and what they come to.
const CODES: [(&str, &str); 15] = [
    ("NoSuchBucket", NO_BUCKET),
    ("InvalidAccessKeyId", UNKNOWN_CREDENTIALS),
    ("SignatureDoesNotMatch", UNKNOWN_CREDENTIALS),
    ("ExpiredToken", UNKNOWN_CREDENTIALS),
    ("InvalidToken", UNKNOWN_CREDENTIALS),
    ("TokenRefreshRequired", UNKNOWN_CREDENTIALS),
    ("RequestTimeTooSkewed", WRONG_CLOCK),
    ("RequestExpired", WRONG_CLOCK),
    ("AccessDenied", NOT_ALLOWED),
    ("AllAccessDisabled", NOT_ALLOWED),
    ("AccountProblem", NOT_ALLOWED),
    ("PermanentRedirect", ELSEWHERE),
    ("AuthorizationHeaderMalformed", ELSEWHERE),
    ("IllegalLocationConstraintException", ELSEWHERE),
    ("NotImplemented", NO_CONDITIONAL_PUT),
];

const NO_BUCKET: &str = "there is no such bucket; make it, or mend storage.checkpoints";
const UNKNOWN_CREDENTIALS: &str = "the store does not know these credentials; look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY \
     and AWS_SESSION_TOKEN, or at the keys of [storage.object_store]";
const NO_CREDENTIALS: &str = "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or access_key_id and \
     secret_access_key_file in [storage.object_store]";
const WRONG_CLOCK: &str =
    "the clocks of this machine and of the store differ by too much; set this machine's clock (NTP)";
const NOT_ALLOWED: &str = "these credentials may not do this; allow s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject \
     and s3:DeleteObject below the prefix";
const ELSEWHERE: &str = "the bucket is of another region or endpoint; set AWS_REGION and AWS_ENDPOINT, or region and endpoint in \
     [storage.object_store]";
const NO_TLS: &str = "the endpoint is plain http; if that is meant, set AWS_ALLOW_HTTP=true, or allow_http = true in \
     [storage.object_store]";
const NO_CONDITIONAL_PUT: &str = "this store cannot tell the first of two writers of a name (PutObject with If-None-Match: *), without which \
     two nodes could both take a partition; use one that can, as Amazon S3, MinIO, Ceph and Cloudflare R2 do, or a folder that \
     all nodes see";

/// The address of the service that gives credentials to machines of Amazon's.
const METADATA_SERVICE: &str = "169.254.169.254";

impl StoreProblem {
    /// Nothing came back in time.
    pub(super) fn no_answer() -> Self {
        Self {
            what: What::Silence,
            text: "the store does not answer in time: is it up?".to_owned(),
        }
    }

    /// The store overwrites what it was told not to.
    pub(super) fn no_conditional_put() -> Self {
        Self {
            what: What::Refused,
            text: NO_CONDITIONAL_PUT.to_owned(),
        }
    }

    /// Whatever it was.
    pub(super) const fn unclear(text: String) -> Self {
        Self {
            what: What::Unclear,
            text,
        }
    }

    pub(super) const fn kind(&self) -> ErrorKind {
        match self.what {
            What::Absent => ErrorKind::NotFound,
            What::Taken => ErrorKind::AlreadyExists,
            What::Refused => ErrorKind::PermissionDenied,
            What::Silence => ErrorKind::TimedOut,
            What::Unclear => ErrorKind::Other,
        }
    }

    /// Whether what was asked for may have been done.
    pub(super) const fn may_have_happened(&self) -> bool {
        matches!(self.what, What::Taken | What::Silence | What::Unclear)
    }

    /// Whether nothing was answered at all.
    pub(super) const fn is_silence(&self) -> bool {
        matches!(self.what, What::Silence)
    }
}

impl fmt::Display for StoreProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Error for StoreProblem {}

/// What an error of the client means.
pub(super) fn problem_of(error: &StoreError) -> StoreProblem {
    let said = error.to_string();
    let code = between(&said, "<Code>", "</Code>");
    let refused = |text: &str| StoreProblem {
        what: What::Refused,
        text: text.to_owned(),
    };
    if let Some(code) = code
        && let Some((_, text)) = CODES.iter().find(|(known, _)| *known == code)
    {
        return refused(&format!("{text} ({code})"));
    }
    if said.contains(METADATA_SERVICE) {
        return refused(NO_CREDENTIALS);
    }
    if cause_of(error).contains("URL scheme is not allowed") {
        return refused(NO_TLS);
    }
    if said.contains("without LOCATION") {
        return refused(ELSEWHERE);
    }
    let (what, text) = match error {
        StoreError::NotFound { .. } => (What::Absent, "it is not there".to_owned()),
        StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } => {
            (What::Taken, "it is there already".to_owned())
        }
        StoreError::PermissionDenied { .. } => return refused(NOT_ALLOWED),
        StoreError::Unauthenticated { .. } => return refused(UNKNOWN_CREDENTIALS),
        StoreError::NotImplemented { .. } | StoreError::NotSupported { .. } => {
            return refused(NO_CONDITIONAL_PUT);
        }
        _ => match between(&said, "status code: ", ":") {
            Some(status) if status.starts_with("501") => return refused(NO_CONDITIONAL_PUT),
            Some(status) => {
                let message = between(&said, "<Message>", "</Message>").unwrap_or_default();
                let answer = format!(
                    "the store answers {status} {} {message}",
                    code.unwrap_or_default()
                );
                (What::Unclear, answer.trim_end().to_owned())
            }
            None => (
                What::Silence,
                format!(
                    "the store does not answer ({}); it is tried again",
                    cause_of(error)
                ),
            ),
        },
    };
    StoreProblem { what, text }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// The first cause, which is the shortest to say and names no address.
pub(super) fn cause_of(error: &StoreError) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
