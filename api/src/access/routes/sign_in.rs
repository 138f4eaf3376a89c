//! `POST /auth/key` and `POST /auth/logout`: a browser gets a cookie in the place of a key, and gives it back.

use std::sync::Arc;

use axum::http::header::{ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;

use super::State;
use super::whoami::shown;
use crate::access::Caller;
use crate::access::access::Access;
use crate::access::admit::refuse_credential;
use crate::access::cookie::{CookiePlace, SESSION, is_of_our_page};
use crate::access::key::Key;
use crate::access::live_keys::NotLetIn;
use crate::access::new_key::Protocol;
use crate::access::sessions::{LONGEST, SignIn};
use crate::http::extract::JsonBody;
use crate::http::forwarded::External;
use crate::problem::Problem;

const SIGN_IN: &str = "/auth/key";

/// The routes under `/auth`.
pub(super) fn routes(access: Arc<Access>) -> Router {
    Router::new()
        .route(SIGN_IN, post(by_key))
        .route("/auth/logout", post(sign_out))
        .with_state(access)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenKey {
    key: String,
}

async fn by_key(
    access: State,
    external: External,
    headers: HeaderMap,
    JsonBody(given): JsonBody<GivenKey>,
) -> Result<Response, Problem> {
    let place = CookiePlace::of(external.origin());
    if place == CookiePlace::Nowhere {
        return Err(Problem::forbidden(
            "browsers sign in over TLS, or on the machine itself: open the page as https://…",
        ));
    }
    // A foreign page could sign a browser in as somebody else, to see what its user then does.
    let tells =
        headers.contains_key(ORIGIN) || headers.contains_key(HeaderName::from_static("sec-fetch-site"));
    if tells && !is_of_our_page(&headers, external.origin()) {
        return Err(Problem::cross_site(
            "only a page of this server signs a browser in here",
        ));
    }
    let now = access.now();
    let key = Key::parse(given.key.trim());
    let checked = key.as_ref().map_or(Err(NotLetIn::Unknown), |key| {
        access.keys.check(key, Protocol::Http, external.client, now)
    });
    let key = match checked {
        Ok(key) => key,
        Err(NotLetIn::Unknown) => return Err(refuse_credential(&access, external.client, SIGN_IN)),
        Err(NotLetIn::Address | NotLetIn::Protocol) => {
            return Err(Problem::forbidden(
                "this key may not be used from this address or over HTTP; use another",
            ));
        }
    };
    let Some(role) = key.row.grant.role else {
        return Err(Problem::forbidden(
            "this key only brings events; sign in with one that has a role",
        ));
    };
    let identity = access.of_key(&key).await.identity;
    let caller = Caller {
        identity,
        address: external.client,
    };
    let sign_in = SignIn {
        who: caller.identity.who.clone(),
        name: None,
        role,
        scope: key.row.grant.scope.clone(),
        duties: key.row.grant.duties.clone(),
        offices: key.row.grant.offices.clone(),
        key: Some(key.row.id.clone()),
        address: caller
            .address
            .map(|address| address.to_string())
            .unwrap_or_default(),
    };
    let cookie = access.sessions.begin(access.database(), sign_in, now).await?;
    access.note_sign_in(&caller);
    let seconds = (LONGEST / 1_000_000).cast_unsigned();
    let answer = Json(shown(&caller.identity)).into_response();
    Ok(with_cookie(answer, place.set(SESSION, &cookie.0, seconds)))
}

async fn sign_out(access: State, external: External, headers: HeaderMap) -> Result<Response, Problem> {
    let place = CookiePlace::of(external.origin());
    let answer = StatusCode::NO_CONTENT.into_response();
    let Some(cookie) = place.read(SESSION, &headers) else {
        return Ok(answer);
    };
    if !is_of_our_page(&headers, external.origin()) {
        return Err(Problem::cross_site(
            "only a page of this server signs its user out",
        ));
    }
    if let Some(session) = access.sessions.find(cookie, access.now()) {
        access.end_own_session(&session).await?;
    }
    Ok(with_cookie(answer, place.set(SESSION, "", 0)))
}

fn with_cookie(mut answer: Response, cookie: Option<String>) -> Response {
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}
