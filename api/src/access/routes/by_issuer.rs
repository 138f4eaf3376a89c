//! `GET /auth/login` and `GET /auth/callback`: a browser signs in at the OIDC issuer.

use std::sync::Arc;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use riskgrid_analytics::permission::Role;

use super::State;
use crate::access::access::Access;
use crate::access::cookie::{CookiePlace, LOGIN};
use crate::access::oidc::{NotSignedIn, Oidc, PATIENCE, is_own_path};
use crate::access::sessions::{LONGEST, SignIn};
use crate::http::forwarded::External;
use crate::problem::Problem;

const CALLBACK: &str = "/auth/callback";

/// The routes.
pub(super) fn routes(access: Arc<Access>) -> Router {
    Router::new()
        .route("/auth/login", get(login))
        .route(CALLBACK, get(callback))
        .with_state(access)
}

fn issuer_of(access: &Access) -> Result<&Oidc, Problem> {
    let oidc = access.oidc().filter(|oidc| oidc.signs_browsers_in());
    oidc.ok_or_else(|| {
        Problem::not_found("browsers sign in with a key here: access.oidc.client_id is not set")
    })
}

fn place_of(external: &External) -> Result<CookiePlace, Problem> {
    match CookiePlace::of(external.origin()) {
        CookiePlace::Nowhere => Err(Problem::forbidden(
            "browsers sign in over TLS, or on the machine itself: open the page as https://…",
        )),
        place => Ok(place),
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(known, _)| known == name);
    let (_, value) = values.next()?;
    // Given twice it could be read in two ways.
    values.next().is_none().then(|| value.into_owned())
}

async fn login(access: State, external: External, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let (oidc, place) = (issuer_of(&access)?, place_of(&external)?);
    let query = query.unwrap_or_default();
    let return_to = parameter(&query, "return").unwrap_or_else(|| "/".to_owned());
    if !is_own_path(&return_to) {
        return Err(Problem::bad_request(
            "`return` must be a path of this server: one `/`, and then neither `/` nor `\\`",
        ));
    }
    let back = format!("{}{CALLBACK}", external.base);
    let sent = access
        .logins()
        .send(oidc, &back, return_to)
        .await
        .map_err(problem)?;
    let answer = go_to(&sent.to)?;
    Ok(with_cookies(
        answer,
        [place.set(LOGIN, &sent.cookie, PATIENCE.as_secs())],
    ))
}

async fn callback(
    access: State,
    external: External,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (oidc, place) = (issuer_of(&access)?, place_of(&external)?);
    let query = query.unwrap_or_default();
    let (state, code, error) = (
        parameter(&query, "state").unwrap_or_default(),
        parameter(&query, "code"),
        parameter(&query, "error"),
    );
    let code = match (&code, &error) {
        (Some(code), None) => Ok(code.as_str()),
        (_, Some(error)) => Err(error.as_str()),
        (None, None) => Err("it sends no code"),
    };
    let cookie = place.read(LOGIN, &headers).unwrap_or_default();
    let back = format!("{}{CALLBACK}", external.base);
    let now = access.now();
    let returned = access
        .logins()
        .receive(oidc, (&state, code), cookie, &back, now)
        .await;
    let returned = returned.map_err(|why| {
        if let NotSignedIn::NoRole { who } = &why {
            access.note_refusal(external.client, "no-role", who, CALLBACK);
        }
        problem(why)
    })?;
    let Some(role) = returned.of.grant.role else {
        return Err(problem(NotSignedIn::NoRole { who: returned.of.who }));
    };
    let caller = access.caller(&returned.of, external.client).await;
    let sign_in = SignIn {
        who: returned.of.who,
        name: returned.of.name,
        role,
        scope: if role == Role::Admin {
            riskgrid_analytics::permission::Scope::ALL
        } else {
            returned.of.grant.scope
        },
        duties: returned.of.grant.duties,
        offices: returned.of.grant.offices,
        key: None,
        address: external
            .client
            .map(|address| address.to_string())
            .unwrap_or_default(),
    };
    let session = access.sessions.begin(access.database(), sign_in, now).await?;
    access.note_sign_in(&caller);
    let seconds = (LONGEST / 1_000_000).cast_unsigned();
    let answer = go_to(&returned.return_to)?;
    let cookies = [
        place.set(crate::access::cookie::SESSION, &session.0, seconds),
        place.set(LOGIN, "", 0),
    ];
    Ok(with_cookies(answer, cookies))
}

/// Sends a browser on, which is not to keep that.
fn go_to(place: &str) -> Result<Response, Problem> {
    let mut answer = StatusCode::SEE_OTHER.into_response();
    let place = HeaderValue::from_str(place).map_err(|error| Problem::internal(&error))?;
    answer.headers_mut().insert(LOCATION, place);
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

fn with_cookies<const N: usize>(mut answer: Response, cookies: [Option<String>; N]) -> Response {
    for cookie in cookies.into_iter().flatten() {
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            answer.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    answer
}

fn problem(why: NotSignedIn) -> Problem {
    match why {
        NotSignedIn::Unknown => Problem::bad_request(
            "this sign-in was begun in another browser, or more than ten minutes ago; begin again at /auth/login",
        ),
        NotSignedIn::Refused(word) => Problem::forbidden(format!(
            "the issuer signs nobody in: {word}; begin again at /auth/login"
        )),
        NotSignedIn::NoAnswer(why) => {
            Problem::identity_provider(format!("the issuer does not answer as it should: {why}"), 30)
        }
        NotSignedIn::NoRole { who } => Problem::no_role(format!(
            "{who} is known, but no entry of access.oidc.map gives a role that reads; ask an admin for one"
        )),
    }
}
