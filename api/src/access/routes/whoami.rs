//! `GET /v1/whoami`: as whom a request is seen, and with which rights.

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::access::{Caller, Identity};

/// The route.
pub(super) fn routes() -> Router {
    Router::new().route(
        "/v1/whoami",
        get(async |caller: Caller| Json(shown(&caller.identity))),
    )
}

/// An identity, as its owner is shown it.
pub(super) fn shown(identity: &Identity) -> Value {
    let scope = identity.permission.as_ref().map(|permission| permission.scope());
    let mut shown = json!({
        "who": identity.who,
        "role": identity.role(),
        "ingest": identity.ingest.is_some(),
        "layers": scope.map_or(Vec::new(), |scope| scope.layers.list()),
        "areas": scope.map_or(Vec::new(), |scope| scope.areas.list()),
        "class": identity.permission.as_ref().map(|permission| permission.class().to_string()),
    });
    // In open mode each request says it anew.
    if !identity.duties.is_empty() && !identity.is_of_open_mode {
        shown["duties"] = json!(identity.duties);
        shown["offices"] = json!(identity.offices);
    }
    if let Some(name) = &identity.name {
        shown["name"] = json!(name);
    }
    shown
}
