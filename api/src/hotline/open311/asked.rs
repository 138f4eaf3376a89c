//! A request of Open311: who asks, in which format, of which jurisdiction; and how it is told what is wrong with it.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use riskgrid_analytics::permission::Role;
use riskgrid_ingest::EventTime;
use serde_json::json;

use super::format::Format;
use crate::access::Caller;
use crate::hotline::desk::{Desk, Officer};
use crate::hotline::store::{CaseRow, StoreError};
use crate::problem::Problem;

/// Parameters of the URL, or members of a form, in their order.
pub(super) type Pairs = Vec<(String, String)>;

/// Something is wrong, as Open311 tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The status.
    pub(super) status: StatusCode,
    /// What, and what to do.
    pub(super) description: String,
}

impl Wrong {
    pub(super) fn new(status: StatusCode, description: impl Into<String>) -> Self {
        Self {
            status,
            description: description.into(),
        }
    }

    pub(super) fn bad(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, description)
    }

    pub(super) fn not_found(description: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, description)
    }

    pub(super) fn forbidden(description: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, description)
    }

    pub(super) fn answer(self, format: Format) -> Response {
        let errors = json!([{"code": self.status.as_u16(), "description": self.description}]);
        let mut answer = format.answer(self.status, "errors", &errors);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = axum::http::HeaderValue::from_static("5");
            answer
                .headers_mut()
                .insert(axum::http::header::RETRY_AFTER, seconds);
        }
        answer
    }
}

impl From<Problem> for Wrong {
    fn from(problem: Problem) -> Self {
        let status = match problem.status() {
            StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
            // GeoReport knows 400 for all that a request says wrongly.
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE => StatusCode::BAD_REQUEST,
            other => other,
        };
        Self::new(status, problem.detail())
    }
}

impl From<StoreError> for Wrong {
    fn from(error: StoreError) -> Self {
        Problem::from(error).into()
    }
}

/// Who asks, and what they may see.
#[derive(Clone, Debug)]
pub(super) enum Asker {
    /// Somebody of the hotline.
    Officer(Officer),
    /// Anybody, where that is allowed.
    Anybody,
}

impl Asker {
    /// Of who asks: those who see no cases are anybody.
    ///
    /// # Errors
    /// Nobody asks, and anybody may not.
    pub(super) fn of(officer: Option<Officer>, is_public: bool) -> Result<Self, Wrong> {
        let reads = |officer: &Officer| {
            let role = officer.caller.identity.role();
            role.is_some_and(|role| role > Role::Public)
        };
        match officer.filter(reads) {
            Some(officer) => Ok(Self::Officer(officer)),
            None if is_public => Ok(Self::Anybody),
            None => Err(Wrong::forbidden(
                "an api_key is missing or wrong; send it as Authorization: Bearer KEY, never in the URL",
            )),
        }
    }

    pub(super) fn sees(&self, case: &CaseRow) -> bool {
        match self {
            Self::Officer(officer) => officer.sees(case),
            Self::Anybody => true,
        }
    }
}

/// The only value of a name; none, if it is not there.
///
/// # Errors
/// It is there twice.
pub(super) fn only<'a>(pairs: &'a Pairs, name: &str) -> Result<Option<&'a str>, Wrong> {
    let mut values = pairs
        .iter()
        .filter(|(one, _)| one == name)
        .map(|(_, value)| value.as_str());
    let first = values.next();
    if values.next().is_some() {
        return Err(Wrong::bad(format!("`{name}` is there twice")));
    }
    Ok(first.filter(|value| !value.is_empty()))
}

/// The jurisdiction that is asked for, by which its cases are named.
///
/// # Errors
/// It is none, or must be named.
pub(super) fn jurisdiction(desk: &Desk, pairs: &Pairs) -> Result<String, Wrong> {
    let known = &desk.settings.jurisdictions;
    match (only(pairs, "jurisdiction_id")?, known.as_slice()) {
        (None, []) => Ok("default".to_owned()),
        (None, [one]) => Ok(one.clone()),
        (None, _) => Err(Wrong::bad(format!(
            "jurisdiction_id is missing; there are {}",
            known.join(", ")
        ))),
        (Some(asked), known) if known.iter().any(|one| one == asked) => Ok(asked.to_owned()),
        (Some(_), _) => Err(Wrong::not_found("there is no such jurisdiction_id")),
    }
}

/// A time with its offset, microseconds.
///
/// # Errors
/// It is none.
pub(super) fn time(pairs: &Pairs, name: &str) -> Result<Option<i64>, Wrong> {
    let Some(text) = only(pairs, name)? else {
        return Ok(None);
    };
    // A plus that was not escaped came as a space.
    let text = text.replace(' ', "+");
    EventTime::parse_rfc3339(&text)
        .map(|time| Some(time.micros()))
        .ok_or_else(|| {
            Wrong::bad(format!(
                "{name} is a time of W3C with its offset, as 2026-03-09T10:00:00+08:00 or …Z"
            ))
        })
}

/// What routes share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) desk: Arc<Desk>,
    pub(super) access: Arc<crate::access::Access>,
}

/// Somebody who was let in, as they work at the hotline.
pub(super) fn officer_of(caller: Caller) -> Officer {
    Officer {
        duties: caller.identity.duties.clone(),
        offices: caller.identity.offices.clone(),
        caller,
    }
}
