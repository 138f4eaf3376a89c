//! The routes of access: who one is, keys, sessions, signing in and out.

mod by_issuer;
mod keys;
mod sessions;
mod sign_in;
mod whoami;

use std::sync::Arc;

use axum::Router;
use riskgrid_ingest::grid::GridReader;

use super::access::Access;
use super::store::KeyError;
use crate::problem::Problem;

/// All of them.
pub fn all(access: &Arc<Access>, reader: &GridReader) -> Router {
    Router::new()
        .merge(whoami::routes())
        .merge(keys::routes(Arc::clone(access), reader.clone()))
        .merge(sessions::routes(Arc::clone(access)))
        .merge(sign_in::routes(Arc::clone(access)))
        .merge(by_issuer::routes(Arc::clone(access)))
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        let text = error.to_string();
        match error {
            KeyError::Unknown(_) => Self::not_found(text),
            KeyError::LastAdmin => Self::last_admin(text),
            KeyError::TooMany | KeyError::FirstMustBeAdmin => Self::unprocessable(text),
            KeyError::Database(error) => error.into(),
        }
    }
}

/// What routes on the access to riskgrid alone share.
type State = axum::extract::State<Arc<Access>>;
