//! `/v1/dead-letters`: list refused records, with their raw bytes when asked for, and replay them.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use riskgrid_ingest::dead_letter::{DeadLetter, DeadLetterError, DeadLetterStore, LetterKey};
use serde_json::{Value, json};

use crate::access::Caller;
use crate::app::App;
use crate::dead_letters::{Allowed, Choice, Looking, ReplayAnswer};
use crate::http::extract::{JsonBody, Parameters};
use crate::problem::Problem;

/// Raw bytes of a page, or of one letter.
const RAW_BYTES_OF_PAGE: usize = 16 << 20;

/// The routes.
pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/dead-letters", get(list))
        .route("/v1/dead-letters/replay", post(replay))
        .with_state(app)
}

async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Parameters(pairs): Parameters<Vec<(String, String)>>,
) -> Result<Json<Value>, Problem> {
    let choice = Choice::read(&pairs, Allowed::LIST)?;
    if choice.raw && !caller.identity.is_admin() {
        return Err(Problem::forbidden(
            "raw records may hold personal data: they need the role admin; leave `raw` out for the rest",
        ));
    }
    let (store, filters, is_raw) = (app.dead_letters.clone(), choice.to_json(), choice.raw);
    // Dropped with this request, also when its client is gone: then the thread stops looking.
    let (_turn, looking) = app.dead_letter_lists.turn()?;
    let (rows, next, given) = tokio::task::spawn_blocking(move || page(&store, &choice, looking))
        .await
        .map_err(|error| Problem::internal(&error))?
        .map_err(|error| Problem::unavailable(error.to_string(), 5))?;
    if is_raw {
        app.alerting
            .decisions
            .database()
            .audit(
                &caller.deed("dead_letters.raw").times(given).with(filters),
                (app.clock)().micros(),
            )
            .await?;
    }
    let next = next.map(|key| key.to_string());
    Ok(Json(json!({ "dead_letters": rows, "next": next })))
}

/// The rows, after which one there are more, and of how many the raw bytes are given.
fn page(
    store: &DeadLetterStore,
    choice: &Choice,
    mut looking: Looking,
) -> Result<(Vec<Value>, Option<LetterKey>, i64), DeadLetterError> {
    let (letters, next) = choice.take(store, |_| true, &mut looking)?;
    let mut rows = Vec::with_capacity(letters.len());
    let (mut bytes, mut given) = (0, 0);
    for letter in &letters {
        if looking.is_over()
            && let Some(last) = rows.len().checked_sub(1)
        {
            return Ok((rows, letters.get(last).map(DeadLetter::key), given));
        }
        let mut row = to_json(letter);
        if choice.raw {
            if bytes >= RAW_BYTES_OF_PAGE {
                let before = letters.get(rows.len() - 1).map(DeadLetter::key);
                return Ok((rows, before, given));
            }
            let record = store.raw(&letter.key())?;
            bytes += record.as_ref().map_or(0, |record| record.bytes.len());
            given += i64::from(record.is_some());
            if let Value::Object(row) = &mut row {
                let raw = record.as_ref().map(|record| STANDARD.encode(&record.bytes));
                row.insert("raw".to_owned(), raw.into());
                if let Some(attributes) = record.and_then(|record| record.attributes) {
                    row.insert("attributes".to_owned(), json!(attributes));
                }
            }
        }
        rows.push(row);
    }
    Ok((rows, next, given))
}

fn to_json(letter: &DeadLetter) -> Value {
    json!({
        "key": letter.key().to_string(),
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "index": letter.index,
        "time": letter.time.to_string(),
        "reason": letter.reason,
        "detail": letter.detail,
        "size": letter.size,
        "hash": format!("{:032x}", letter.hash),
        "replayed": letter.replayed.map(|time| time.to_string()),
    })
}

async fn replay(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<Value>,
) -> Result<Json<ReplayAnswer>, Problem> {
    let choice = Choice::read_body(&body, Allowed::REPLAY)?;
    crate::dead_letters::replay(&app.replays, &caller, choice)
        .await
        .map(Json)
}
