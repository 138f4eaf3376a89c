//! The routes of access: who one is, keys, sessions, signing in and out.

mod by_issuer;
mod keys;
mod sessions;
mod sign_in;
mod whoami;

use std::sync::Arc;

use axum::Router;

use super::access::Access;
use super::store::KeyError;
use crate::app::App;
use crate::problem::Problem;

/// All of them.
pub fn all(app: &Arc<App>) -> Router {
    Router::new()
        .merge(whoami::routes())
        .merge(keys::routes(Arc::clone(app)))
        .merge(sessions::routes(Arc::clone(&app.access)))
        .merge(sign_in::routes(Arc::clone(&app.access)))
        .merge(by_issuer::routes(Arc::clone(&app.access)))
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        let text = error.to_string();
        match error {
            KeyError::Unknown(_) => Self::not_found(text),
            KeyError::LastAdmin => Self::last_admin(text),
            KeyError::TooMany | KeyError::FirstMustBeAdmin => Self::unprocessable(text),
            KeyError::Decisions(error) => error.into(),
        }
    }
}

/// What routes on the access to riskgrid alone share.
type State = axum::extract::State<Arc<Access>>;
