//! Requests that are answered once: whoever sends one again with its `Idempotency-Key` gets the answer of the first.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, Method};
use serde_json::Value;

use super::Desk;
use super::work::Work;
use crate::digest::{hex, sha256};
use crate::hotline::store::{Answered, answered, note_answer};
use crate::problem::{Kind, Problem};

/// A key and what it was sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// The key.
    pub key: String,
    /// SHA-256 of method, path and body, in hex.
    pub request: String,
}

/// The key of a request, if it has one.
///
/// # Errors
/// 400: it is none.
pub fn read_key(
    headers: &HeaderMap,
    (method, path): (&Method, &str),
    body: &[u8],
) -> Result<Option<Once>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let key = value.to_str().unwrap_or_default();
    let is_key = (1..=128).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_key || values.next().is_some() {
        return Err(Problem::bad_request(
            "`Idempotency-Key` is one key of 1 to 128 visible letters of ASCII",
        ));
    }
    let mut request = Vec::with_capacity(body.len() + path.len() + 8);
    for part in [method.as_str().as_bytes(), path.as_bytes(), body] {
        request.extend_from_slice(part);
        request.push(0);
    }
    Ok(Some(Once {
        key: key.to_owned(),
        request: hex(&sha256(&request)),
    }))
}

/// A key whose request runs.
pub(super) struct Running<'a> {
    running: &'a Mutex<HashSet<(String, String)>>,
    key: (String, String),
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.key);
    }
}

impl Desk {
    /// Notes that a request of a key runs, before it waits for anything.
    ///
    /// # Errors
    /// 409: another one does.
    pub(super) fn run_alone(&self, actor: &str, once: &Once) -> Result<Running<'_>, Problem> {
        let key = (actor.to_owned(), once.key.clone());
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.insert(key.clone()) {
            return Ok(Running {
                running: &self.running,
                key,
            });
        }
        let detail = "a request with this `Idempotency-Key` is still running; ask again in a moment";
        Err(Problem::new(Kind::InProgress, detail).after(1))
    }
}

impl Work<'_> {
    /// What a key's request was answered before.
    ///
    /// # Errors
    /// 422: the key was another request's.
    pub(super) async fn answered(&mut self, actor: &str, once: &Once) -> Result<Option<Answered>, Problem> {
        let from = self.now.saturating_sub(self.desk.settings.keys_kept);
        match answered(self.connection(), actor, &once.key, from).await? {
            Some(answered) if answered.request != once.request => Err(Problem::new(
                Kind::IdempotencyKeyReused,
                "this `Idempotency-Key` was sent with another request; each request has a key of its own",
            )),
            other => Ok(other),
        }
    }

    /// Notes what a key's request is answered.
    pub(super) async fn note(
        &mut self,
        actor: &str,
        once: &Once,
        status: i64,
        version: i64,
        body: &Value,
    ) -> Result<(), Problem> {
        let answered = Answered {
            actor: actor.to_owned(),
            key: once.key.clone(),
            request: once.request.clone(),
            status,
            version,
            body: body.to_string(),
            created_at: self.now,
        };
        Ok(note_answer(self.connection(), &answered).await?)
    }
}
