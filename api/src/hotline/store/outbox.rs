//! What of cases is told by webhooks: an outbox row a receiver, in the transaction of what it tells.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use twox_hash::XxHash3_128;

use super::{Connection, StoreError, read_json};
use crate::alerts::store::{MAX_NOTIFY_AGE, rfc3339};
use crate::database::read_from_row;

/// Which cases a webhook is told of; what is empty is all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaseTargets {
    /// `case.moved`, `case.card`, `case.card_withdrawn`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Of these offices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub offices: Vec<String>,
    /// Of these layers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
    /// Of cards: `yellow`, `red`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<String>,
}

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
    case_filter: String,
    disabled_at: Option<i64>,
}

read_from_row!(Target {
    id,
    case_filter,
    disabled_at
});

impl CaseTargets {
    fn wants(&self, told: &CaseTold<'_>) -> bool {
        let holds = |list: &[String], what: Option<&str>| {
            list.is_empty() || what.is_some_and(|what| list.iter().any(|one| one == what))
        };
        holds(&self.types, Some(told.kind))
            && holds(&self.offices, told.office)
            && holds(&self.layers, Some(told.layer))
            // Moves have no card, and whoever asks for some cards asks for no fewer moves.
            && (told.card.is_none() || holds(&self.cards, told.card))
    }
}

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
    let targets: Vec<Target> =
        sqlx::query_as("SELECT id, case_filter, disabled_at FROM webhooks ORDER BY id")
            .fetch_all(&mut *connection)
            .await?;
    if targets.is_empty() {
        return Ok(0);
    }
    let body = json!({"type": told.kind, "timestamp": rfc3339(now), "data": told.data}).to_string();
    let is_stale =
        now.saturating_sub(told.at) > i64::try_from(MAX_NOTIFY_AGE.as_micros()).unwrap_or(i64::MAX);
    let mut queued = 0;
    for target in targets {
        let wanted: CaseTargets = read_json("webhook", &target.case_filter)?;
        if !wanted.wants(told) {
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
            "INSERT INTO deliveries (id, seq, webhook, alert, number, type, body, state, attempts, next_attempt_at,
                created_at, settled_at)
             SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, 0, $4, $5, $6, 0, $7, $7, $8 FROM deliveries
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_told_of_what_its_filter_holds() {
        let data = json!({});
        let told = |kind, office, card| CaseTold {
            kind,
            case_id: "c",
            key: "1",
            at: 0,
            layer: "noise",
            office,
            card,
            data: &data,
        };
        let filter = |json: &str| serde_json::from_str::<CaseTargets>(json).unwrap();
        let moved = told("case.moved", Some("roads"), None);
        let red = told("case.card", Some("roads"), Some("red"));
        for (wanted, of_moves, of_cards) in [
            ("{}", true, true),
            (r#"{"types":["alert.firing"]}"#, false, false),
            (r#"{"types":["case.card"]}"#, false, true),
            (r#"{"offices":["roads"],"layers":["noise"]}"#, true, true),
            (r#"{"offices":["parks"]}"#, false, false),
            (r#"{"layers":["light"]}"#, false, false),
            (r#"{"cards":["yellow"]}"#, true, false),
        ] {
            assert_eq!(
                (filter(wanted).wants(&moved), filter(wanted).wants(&red)),
                (of_moves, of_cards),
                "{wanted}"
            );
        }
        assert!(!filter(r#"{"offices":["roads"]}"#).wants(&told("case.moved", None, None)));
    }
}
