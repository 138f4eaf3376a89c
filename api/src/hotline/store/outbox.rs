//! What of cases is told by webhooks: an outbox row a receiver, in the transaction of what it tells.

use serde_json::{Value, json};
use twox_hash::XxHash3_128;

use super::{Connection, StoreError, read_json};
use crate::alerts::store::{MAX_NOTIFY_AGE, rfc3339};
use crate::alerts::webhook;
use crate::database::read_from_row;

/// Something to be told of a case.
#[derive(Clone, Debug)]
pub struct CaseTold<'a> {
    /// `case.moved`, `case.card`, `case.card_withdrawn`.
    pub kind: &'a str,
    /// Of which case.
    pub case_id: &'a str,
    /// What it is within the case: the number of a move, or the name of a step.
    pub key: &'a str,
    /// When it happened.
    pub at: i64,
    /// The case's layer.
    pub layer: &'a str,
    /// Whose it is.
    pub office: Option<&'a str>,
    /// Of a card.
    pub card: Option<&'a str>,
    /// The body's `data`.
    pub data: &'a Value,
}

struct Target {
    id: String,
    filter: String,
    disabled_at: Option<i64>,
}

read_from_row!(Target {
    id,
    filter,
    disabled_at
});

/// The `webhook-id`: the same on every attempt, replay and restart.
fn webhook_id(endpoint: &str, case_id: &str, key: &str) -> String {
    let key = format!(
        "case:{}:{endpoint}{}:{case_id}{key}",
        endpoint.len(),
        case_id.len()
    );
    format!("msg_{:032x}", XxHash3_128::oneshot(key.as_bytes()))
}

/// Puts it into the outbox for the webhooks that want it. Answers to how many it will be sent.
///
/// # Errors
/// The database's.
pub async fn queue_told(
    connection: &mut Connection,
    told: &CaseTold<'_>,
    now: i64,
) -> Result<usize, StoreError> {
    let targets: Vec<Target> = sqlx::query_as("SELECT id, filter, disabled_at FROM webhooks ORDER BY id")
        .fetch_all(&mut *connection)
        .await?;
    if targets.is_empty() {
        return Ok(0);
    }
    let body = json!({"type": told.kind, "timestamp": rfc3339(now), "data": told.data}).to_string();
    let is_stale =
        now.saturating_sub(told.at) > i64::try_from(MAX_NOTIFY_AGE.as_micros()).unwrap_or(i64::MAX);
    let of = webhook::CaseTold {
        kind: told.kind,
        layer: told.layer,
        office: told.office,
        card: told.card,
    };
    let mut queued = 0;
    for target in targets {
        let wanted: webhook::CaseTargets = read_json("webhook", &target.filter)?;
        if !wanted.wants(of) {
            continue;
        }
        let state = if is_stale {
            "not_sent_stale"
        } else if target.disabled_at.is_some() {
            "dead"
        } else {
            "pending"
        };
        let settled_at = (state != "pending").then_some(now);
        sqlx::query(
            "INSERT INTO deliveries (id, seq, webhook, thread, changes, type, body, state, attempts, refusals,
                next_attempt_at, created_at, sealed_at, settled_at, truncated)
             SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, 1, $4, $5, $6, 0, 0, $7, $7, $7, $8, 0 FROM deliveries
             WHERE true ON CONFLICT (id) DO NOTHING",
        )
        .bind(webhook_id(&target.id, told.case_id, told.key))
        .bind(&target.id)
        .bind(told.case_id)
        .bind(told.kind)
        .bind(&body)
        .bind(state)
        .bind(now)
        .bind(settled_at)
        .execute(&mut *connection)
        .await?;
        queued += usize::from(state == "pending");
    }
    Ok(queued)
}
