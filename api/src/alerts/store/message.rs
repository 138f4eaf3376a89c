//! What receivers are told, in words: one change of an alert, or what gathered about an incident.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::alerts::rfc3339;
use super::incidents::Incident;

/// Bytes of the largest message that is about an incident, or that tells evidence.
pub(super) const LONGEST_MESSAGE: usize = 20_000;
/// Cells of an incident that a message names.
const MOST_CELLS: usize = 64;

/// The body of a delivery.
#[derive(Serialize)]
struct Message<'a, T> {
    r#type: &'a str,
    timestamp: String,
    data: T,
}

/// One change of an alert as receivers read it. The order of the members is part of it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct ChangeData {
    pub(super) alert: String,
    pub(super) rule: String,
    pub(super) state: String,
    pub(super) severity: String,
    pub(super) layer: Option<String>,
    pub(super) sensor: Option<String>,
    pub(super) cell: Option<String>,
    pub(super) value: f64,
    pub(super) at: String,
    pub(super) evidence: Value,
    pub(super) number: i64,
    pub(super) incident: Option<String>,
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) instance: String,
    pub(super) rule_id: String,
    pub(super) rule_version: i64,
    pub(super) fired_at: String,
    pub(super) areas: Vec<String>,
    pub(super) lon: Option<f64>,
    pub(super) lat: Option<f64>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) mode: &'static str,
    pub(super) summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) late: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) truncated: Option<Value>,
}

/// A message with its type, and whether something was left out of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) kind: String,
    pub(super) body: String,
    pub(super) is_truncated: bool,
}

/// The message of one change.
pub(super) fn of_change(mut data: ChangeData, now: i64) -> serde_json::Result<Sealed> {
    let kind = format!("alert.{}", data.state);
    let mut body = print(&kind, now, &data)?;
    let is_truncated = body.len() > LONGEST_MESSAGE;
    if is_truncated {
        data.evidence = json!({});
        data.truncated = Some(json!({"cells": 0, "changes": 0}));
        body = print(&kind, now, &data)?;
    }
    Ok(Sealed {
        kind,
        body,
        is_truncated,
    })
}

/// What gathered about an incident.
pub(super) struct Gathered<'a> {
    pub(super) incident: &'a Incident,
    /// The number of the message.
    pub(super) message: i64,
    /// How many times it was told before without a change.
    pub(super) repeat: Option<i64>,
    /// The first of them, ends first, then by severity, newest.
    pub(super) changes: Vec<ChangeData>,
    /// How many there are in all.
    pub(super) all_changes: usize,
}

/// The message of an incident: what does not fit is left out, cells first, then evidence, then changes from the end.
pub(super) fn of_incident(gathered: Gathered<'_>, now: i64) -> serde_json::Result<Sealed> {
    let kind = "incident.changed";
    let Gathered {
        incident,
        message,
        repeat,
        mut changes,
        all_changes,
    } = gathered;
    let mut incident = incident.clone();
    let left_out_cells = incident.cells.len().saturating_sub(MOST_CELLS);
    incident.cells.truncate(MOST_CELLS);
    // Changes from here on are told without their evidence.
    let mut with_evidence = changes.len();
    loop {
        let left_out_changes = all_changes.saturating_sub(changes.len());
        let is_truncated = left_out_cells > 0 || left_out_changes > 0 || with_evidence < changes.len();
        let data = IncidentData {
            incident: &incident,
            message,
            repeat,
            changes: &changes,
            truncated: is_truncated.then(|| json!({"cells": left_out_cells, "changes": left_out_changes})),
        };
        let body = print(kind, now, &data)?;
        if body.len() <= LONGEST_MESSAGE || changes.is_empty() {
            return Ok(Sealed {
                kind: kind.to_owned(),
                body,
                is_truncated,
            });
        }
        if with_evidence > 0 {
            with_evidence -= 1;
            if let Some(change) = changes.get_mut(with_evidence) {
                change.evidence = json!({});
            }
        } else {
            changes.pop();
        }
    }
}

#[derive(Serialize)]
struct IncidentData<'a> {
    #[serde(flatten)]
    incident: &'a Incident,
    message: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat: Option<i64>,
    changes: &'a [ChangeData],
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<Value>,
}

fn print(kind: &str, now: i64, data: impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(&Message {
        r#type: kind,
        timestamp: rfc3339(now),
        data,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use riskgrid_analytics::incidents::Opening;

    use super::super::incidents::IncidentState;
    use super::super::webhook_id;
    use super::*;

    const START: i64 = 1_795_334_400_000_000;
    const ALERT: &str = "0f18f29640d198f599c092aac1684949";

    fn river_high() -> ChangeData {
        ChangeData {
            alert: ALERT.to_owned(),
            rule: "river high".to_owned(),
            state: "firing".to_owned(),
            severity: "major".to_owned(),
            layer: Some("water_level".to_owned()),
            sensor: Some("river-7".to_owned()),
            cell: Some("89411ca1b67ffff".to_owned()),
            value: 3.7,
            at: rfc3339(START + 120_000_000),
            evidence: json!({"limit": 3.5, "clear_below": 3.2, "comparison": "above", "for": "2m", "metric": "last",
                "since": "2026-11-22T08:00:00Z", "value": 3.7}),
            number: 1,
            incident: Some(
                Opening {
                    group: "flood",
                    alert: ALERT,
                }
                .incident_id(),
            ),
            group: "flood".to_owned(),
            kind: "threshold".to_owned(),
            instance: "river-7".to_owned(),
            rule_id: "5b1e9c0a7d2f4e6883a1c4d7e9f00b12".to_owned(),
            rule_version: 1,
            fired_at: rfc3339(START + 120_000_000),
            areas: vec!["nanshan".to_owned()],
            lon: Some(113.93),
            lat: Some(22.53),
            mode: "normal",
            summary: "river high: water_level 3.7 m at river-7, limit 3.5 m".to_owned(),
            url: Some(format!("https://rg.example/#/alerts/{ALERT}")),
            ..ChangeData::default()
        }
    }

    fn incident() -> Incident {
        Incident {
            id: Opening {
                group: "flood",
                alert: ALERT,
            }
            .incident_id(),
            group: "flood".to_owned(),
            state: IncidentState::Open,
            severity: Some("major".to_owned()),
            opened_at: START,
            ended_at: None,
            closed_at: None,
            alerts: 300,
            open: 300,
            acknowledged: 0,
            cells: (0..100).collect(),
            areas: vec!["nanshan".to_owned()],
            merged_into: None,
            joint: None,
        }
    }

    #[test]
    fn the_first_example_of_the_contract_has_its_bytes_and_its_ids() {
        let sealed = of_change(river_high(), START + 120_412_000).unwrap();
        assert_eq!(
            (sealed.kind.as_str(), sealed.is_truncated),
            ("alert.firing", false)
        );
        assert_eq!(sealed.body.len(), 831, "{}", sealed.body);
        let hash = ring::digest::digest(&ring::digest::SHA256, sealed.body.as_bytes());
        assert_eq!(
            hash.as_ref()[..8],
            [0x8d, 0xab, 0x8a, 0x21, 0xa9, 0xb5, 0xda, 0xd9],
            "{}",
            sealed.body
        );
        let webhook = "9d4c2b7a61f84e05b3d2a1908f7e6c5d";
        assert_eq!(
            webhook_id(webhook, (ALERT, 1)),
            "msg_0c4a50d22b07046a9949b6c4818a37eb"
        );
        assert_eq!(
            webhook_id(webhook, (ALERT, 2)),
            "msg_9d04f8275eecbd63ce98e0dfa09a2479"
        );
    }

    #[test]
    fn what_does_not_fit_is_left_out_cells_first_then_evidence_then_changes_from_the_end() {
        let told = |changes: usize, evidence: usize| {
            let change = |number: usize| ChangeData {
                alert: format!("{number:032x}"),
                evidence: json!({"long": "x".repeat(evidence)}),
                ..river_high()
            };
            let gathered = Gathered {
                incident: &incident(),
                message: 3,
                repeat: None,
                changes: (0..changes).map(change).collect(),
                all_changes: changes.max(300),
            };
            let sealed = of_incident(gathered, START).unwrap();
            let body: Value = serde_json::from_str(&sealed.body).unwrap();
            assert!(sealed.body.len() <= LONGEST_MESSAGE);
            (sealed.is_truncated, body)
        };
        let (is_truncated, few) = told(2, 10);
        assert!(is_truncated, "cells past 64");
        assert_eq!(few["data"]["cells"].as_array().unwrap().len(), 64);
        assert_eq!(few["data"]["truncated"], json!({"cells": 36, "changes": 298}));
        assert_eq!(
            (&few["type"], &few["data"]["message"]),
            (&json!("incident.changed"), &json!(3))
        );
        let (_, large) = told(10, 3_000);
        let changes = large["data"]["changes"].as_array().unwrap();
        assert_eq!(changes.len(), 10, "evidence goes before changes");
        assert_eq!(changes[9]["evidence"], json!({}));
        assert_ne!(changes[0]["evidence"], json!({}));
        let (_, many) = told(100, 10);
        let changes = many["data"]["changes"].as_array().unwrap();
        assert!((15..40).contains(&changes.len()), "{}", changes.len());
        assert_eq!(changes[0]["alert"], format!("{:032x}", 0));
        assert_eq!(many["data"]["truncated"]["changes"], json!(300 - changes.len()));
    }

    #[test]
    fn an_alert_with_too_much_evidence_is_told_without_it() {
        let data = ChangeData {
            evidence: json!({"long": "x".repeat(30_000)}),
            ..river_high()
        };
        let sealed = of_change(data, START).unwrap();
        assert!(sealed.is_truncated && sealed.body.len() < 2_000);
        assert!(sealed.body.contains("\"truncated\""));
    }
}
