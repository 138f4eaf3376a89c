use std::sync::LazyLock;

use riskgrid_analytics::permission::Scope;
use riskgrid_analytics::rules::{Rule, RuleBounds, SensorReading, SensorRules, Severity, Transition};
use riskgrid_ingest::EventTime;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::alerts::webhook::{Endpoint, EndpointFilter, Grouping, NewEndpoint, Secret};
use crate::database::DatabaseError;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const HOUR: i64 = 3_600 * SECOND;
/// 2026-11-22T08:00:00Z
pub(super) const START: i64 = 1_795_334_400 * SECOND;

/// What stands in the audit for what these tests do.
pub(super) fn deed() -> crate::audit::Deed {
    crate::audit::Deed::of_the_command_line("test")
}

/// Who makes rules in these tests, and when.
pub(super) fn by(now: i64) -> Authorship<'static> {
    static DEED: LazyLock<crate::audit::Deed> = LazyLock::new(deed);
    Authorship {
        author: "cli",
        scope: &Scope::ALL,
        origin: BY_HTTP,
        now,
        deed: &DEED,
    }
}

pub(super) fn taken_by_anna() -> Terms {
    Terms {
        by: "anna".to_owned(),
        ..Terms::default()
    }
}

pub(super) async fn opened() -> (TempDir, Decisions) {
    let folder = tempfile::tempdir().unwrap();
    let decisions = Decisions::open(folder.path(), crate::alerts::store::Bounds::default())
        .await
        .unwrap();
    (folder, decisions)
}

pub(super) async fn endpoint(decisions: &Decisions, name: &str, severities: Vec<Severity>) -> Endpoint {
    let new = NewEndpoint {
        name: name.to_owned(),
        url: "https://ops.example/".to_owned(),
        secret: Secret::random().unwrap(),
        severities,
        filter: EndpointFilter::default(),
        grouping: Grouping::None,
        rate: None,
    };
    decisions.create_endpoint(new, START, &deed()).await.unwrap()
}

pub(super) fn rule(name: &str, webhooks: &[&str]) -> Rule {
    let json = json!({"name": name, "kind": "threshold", "layer": "water_level", "per": "sensor", "above": 3.5,
        "clear_below": 3.2, "severity": "major", "webhooks": webhooks});
    Rule::from_json(&format!("id of {name}"), &json, &RuleBounds::default()).unwrap()
}

/// What a rule decides of one sensor's readings: seconds after the start, value.
pub(super) fn decided(rule: &Rule, sensor: &str, readings: &[(i64, f64)]) -> Vec<Transition> {
    let mut rules = SensorRules::new([rule.clone()].into());
    for (seconds, value) in readings {
        let at = START + seconds * SECOND;
        let reading = SensorReading {
            layer: "water_level",
            sensor,
            cell: 0x0894_11d3_68b7_ffff,
            value: *value,
            at: EventTime::from_micros(at),
            areas: &[],
        };
        rules.observe("p0", reading);
    }
    rules.take_transitions()
}

async fn states(decisions: &Decisions, webhook: &str) -> Vec<(String, String)> {
    let query = DeliveryQuery {
        limit: 100,
        ..DeliveryQuery::default()
    };
    let (rows, _) = decisions.deliveries(webhook, &query).await.unwrap();
    rows.into_iter().map(|row| (row.r#type, row.state)).collect()
}

pub(super) async fn notified(decisions: &Decisions) -> Vec<String> {
    let sql = "SELECT notify FROM transitions ORDER BY at, number";
    sqlx::query_scalar(sql)
        .fetch_all(decisions.readers())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_second_process_is_told_who_has_the_file() {
    let (folder, decisions) = opened().await;
    let error = Decisions::open(folder.path(), crate::alerts::store::Bounds::default())
        .await
        .err()
        .unwrap();
    assert!(matches!(
        error,
        DecisionsError::Database(DatabaseError::Locked { .. })
    ));
    assert!(
        error.to_string().contains("in use by another riskgrid process"),
        "{error}"
    );
    decisions.close().await;
    drop(decisions);
    Decisions::open(folder.path(), crate::alerts::store::Bounds::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn rules_and_webhooks_keep_their_names_to_themselves() {
    let (_folder, decisions) = opened().await;
    let unknown = decisions.create_rule(&rule("river", &["ops"]), &by(START)).await;
    assert!(matches!(unknown, Err(DecisionsError::UnknownWebhook { .. })));
    let ops = endpoint(&decisions, "ops", vec![]).await;
    decisions
        .create_rule(&rule("river", &["ops"]), &by(START))
        .await
        .unwrap();
    let mut twin = rule("river", &[]);
    twin.id = "another".to_owned();
    assert!(matches!(
        decisions.create_rule(&twin, &by(START)).await,
        Err(DecisionsError::NameTaken { kind: "rule", .. })
    ));
    assert_eq!(
        rules_of(decisions.rules().await.unwrap()).to_vec(),
        [rule("river", &["ops"])]
    );
    assert!(matches!(
        decisions.delete_endpoint(&ops.id, None, START, &deed()).await,
        Err(DecisionsError::Conflict(_))
    ));
    decisions
        .delete_rule("id of river", None, &by(START))
        .await
        .unwrap()
        .unwrap();
    assert!(
        decisions
            .delete_endpoint(&ops.id, None, START, &deed())
            .await
            .unwrap()
    );
    assert!(
        !decisions
            .delete_endpoint(&ops.id, None, START, &deed())
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn alert_transition_and_outbox_are_stored_together_and_once() {
    let (_folder, decisions) = opened().await;
    let ops = endpoint(&decisions, "ops", vec![]).await;
    let other = endpoint(&decisions, "not named by the rule", vec![]).await;
    let minor = endpoint(&decisions, "minor", vec![Severity::Minor]).await;
    let rule = rule("river", &["ops", "minor"]);
    let transitions = decided(&rule, "river-7", &[(0, 3.62), (60, 3.0)]);
    let now = START + 61 * SECOND;
    let recorded = decisions
        .record(&transitions, Notify::Send, now, None)
        .await
        .unwrap();
    assert_eq!((recorded.alerts.len(), recorded.queued), (2, 2));

    let again = decisions
        .record(&transitions, Notify::Send, now + HOUR, None)
        .await
        .unwrap();
    assert_eq!((again.alerts.len(), again.queued), (0, 0));

    let expected = [("alert.resolved", "pending"), ("alert.firing", "pending")];
    let expected = expected.map(|(kind, state)| (kind.to_owned(), state.to_owned()));
    assert_eq!(states(&decisions, &ops.id).await, expected);
    assert_eq!(states(&decisions, &other.id).await, []);
    assert_eq!(states(&decisions, &minor.id).await, []);

    let due = decisions.due(&ops.id, now, 10).await.unwrap();
    let [firing] = due.as_slice() else {
        panic!("the end waits for the firing: {due:?}")
    };
    assert_eq!(firing.id, webhook_id(&ops.id, (&transitions[0].episode, 1)));
    let body: Value = serde_json::from_str(&firing.body).unwrap();
    let expected = json!({
        "alert": transitions[0].episode, "rule": "river", "state": "firing", "severity": "major",
        "layer": "water_level", "sensor": "river-7", "cell": "89411d368b7ffff", "value": 3.62,
        "at": "2026-11-22T08:00:00Z", "evidence": transitions[0].evidence, "number": 1, "kind": "threshold",
        "group": "water_level", "instance": "river-7", "areas": [], "labels": {}, "mode": "normal",
        "summary": "river: water_level 3.62 at river-7, limit 3.5"});
    assert_eq!(
        (&body["type"], &body["timestamp"]),
        (&json!("alert.firing"), &json!("2026-11-22T08:01:01Z"))
    );
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&body["data"][name], value, "{name}");
    }
    let incident = body["data"]["incident"].as_str().unwrap();
    assert!(incident.starts_with("inc_"), "{incident}");
}

#[tokio::test]
async fn a_rederived_episode_that_overlaps_a_stored_one_is_that_one() {
    let (_folder, decisions) = opened().await;
    endpoint(&decisions, "ops", vec![]).await;
    let rule = rule("river", &["ops"]);
    let now = START + 100 * SECOND;
    let stored = decided(&rule, "a", &[(0, 4.0), (60, 3.0)]);
    decisions
        .record(&stored[..1], Notify::Send, now, None)
        .await
        .unwrap();

    // Derived again, it fires half a minute later, and has another id.
    let shifted = decided(&rule, "a", &[(30, 4.0), (60, 3.0)]);
    assert_ne!(shifted[0].episode, stored[0].episode);
    let recorded = decisions
        .record(&shifted[..1], Notify::Send, now, None)
        .await
        .unwrap();
    assert_eq!(recorded.alerts, []);
    let recorded = decisions
        .record(&shifted[1..], Notify::Send, now, None)
        .await
        .unwrap();
    assert_eq!(
        (recorded.alerts.len(), recorded.alerts[0].id.as_str()),
        (1, stored[0].episode.as_str())
    );
    assert_eq!(recorded.alerts[0].fired_at, START);
    let recorded = decisions.record(&shifted, Notify::Send, now, None).await.unwrap();
    assert_eq!(recorded.alerts, []);

    // After its end, the next episode is a new one.
    let next = decided(&rule, "a", &[(60, 4.0)]);
    assert_eq!(
        decisions
            .record(&next, Notify::Send, now, None)
            .await
            .unwrap()
            .alerts
            .len(),
        1
    );
    // The end of the first, derived once more, does not end the second.
    let recorded = decisions.record(&shifted, Notify::Send, now, None).await.unwrap();
    assert_eq!(recorded.alerts, []);
    let second = decisions.alert(&next[0].episode).await.unwrap().unwrap();
    assert_eq!(second.state, AlertState::Firing);
}

#[tokio::test]
async fn what_is_older_than_an_hour_wakes_nobody_nor_does_its_end() {
    let (_folder, decisions) = opened().await;
    let ops = endpoint(&decisions, "ops", vec![]).await;
    let rule = rule("river", &["ops"]);
    let old = decided(&rule, "old", &[(0, 4.0), (3_600, 3.0)]);
    decisions
        .record(&old, Notify::Send, START + HOUR + SECOND, None)
        .await
        .unwrap();
    let historic = decided(&rule, "historic", &[(7_200, 4.0)]);
    decisions
        .record(&historic, Notify::NotSentStale, START, None)
        .await
        .unwrap();
    assert_eq!(
        notified(&decisions).await,
        ["not_sent_stale", "not_sent_firing_unsent", "not_sent_stale"]
    );
    assert_eq!(states(&decisions, &ops.id).await, []);
}

#[tokio::test]
async fn alerts_are_listed_newest_first_page_by_page() {
    let (_folder, decisions) = opened().await;
    let rule = rule("river", &[]);
    for sensor in 0..7 {
        let fired = decided(&rule, &format!("s{sensor}"), &[(sensor / 2, 4.0)]);
        decisions.record(&fired, Notify::Send, START, None).await.unwrap();
    }
    let mut seen: Vec<Alert> = Vec::new();
    let mut query = AlertQuery {
        limit: 2,
        ..AlertQuery::default()
    };
    loop {
        let page = decisions.alerts(&query).await.unwrap();
        seen.extend(page.alerts);
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted_by(|left, right| (left.fired_at, &left.id) > (right.fired_at, &right.id)));

    let id = &seen[0].id;
    let acknowledged = decisions
        .acknowledge(id, &taken_by_anna(), START + 5, &deed())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(acknowledged.state, AlertState::Acknowledged);
    assert_eq!(
        decisions
            .acknowledge(id, &taken_by_anna(), START + 9, &deed())
            .await
            .unwrap()
            .unwrap(),
        acknowledged
    );
    assert_eq!(
        decisions
            .acknowledge("none", &taken_by_anna(), START, &deed())
            .await
            .unwrap(),
        None
    );
    let query = AlertQuery {
        states: vec![AlertState::Acknowledged],
        limit: 10,
        ..AlertQuery::default()
    };
    assert_eq!(decisions.alerts(&query).await.unwrap().alerts, [acknowledged]);
}

#[tokio::test]
async fn an_acknowledged_alert_resolves_and_then_cannot_be_acknowledged() {
    let (_folder, decisions) = opened().await;
    let ops = endpoint(&decisions, "ops", vec![]).await;
    let rule = rule("river", &["ops"]);
    let transitions = decided(&rule, "a", &[(0, 4.0), (60, 3.0)]);
    decisions
        .record(&transitions[..1], Notify::Send, START, None)
        .await
        .unwrap();
    decisions
        .acknowledge(&transitions[0].episode, &taken_by_anna(), START, &deed())
        .await
        .unwrap();
    let recorded = decisions
        .record(&transitions[1..], Notify::Send, START + SECOND, None)
        .await
        .unwrap();
    assert_eq!(recorded.alerts[0].state, AlertState::Resolved);
    assert_eq!(recorded.alerts[0].acknowledged_at, Some(START));
    assert_eq!(states(&decisions, &ops.id).await.len(), 2);
    let refused = decisions
        .acknowledge(&transitions[0].episode, &taken_by_anna(), START, &deed())
        .await;
    assert!(matches!(refused, Err(DecisionsError::Conflict(_))));
}

#[tokio::test]
async fn deleting_a_rule_ends_its_alerts_and_tells_it() {
    let (_folder, decisions) = opened().await;
    let ops = endpoint(&decisions, "ops", vec![]).await;
    let rule = rule("river", &["ops"]);
    decisions.create_rule(&rule, &by(START)).await.unwrap();
    decisions
        .record(&decided(&rule, "a", &[(0, 4.0)]), Notify::Send, START, None)
        .await
        .unwrap();
    let recorded = decisions
        .delete_rule(&rule.id, None, &by(START + SECOND))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((recorded.alerts.len(), recorded.queued), (1, 1));
    assert_eq!(recorded.alerts[0].resolved_at, Some(START + SECOND));
    assert_eq!(states(&decisions, &ops.id).await.len(), 2);
    assert!(
        decisions
            .delete_rule(&rule.id, None, &by(START))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let (folder, decisions) = opened().await;
    let ops = endpoint(&decisions, "ops", vec![Severity::Major]).await;
    let rule = rule("river", &["ops"]);
    decisions.create_rule(&rule, &by(START)).await.unwrap();
    let fired = decided(&rule, "a", &[(0, 4.0)]);
    decisions.record(&fired, Notify::Send, START, None).await.unwrap();
    let alert = decisions.alert(&fired[0].episode).await.unwrap().unwrap();
    decisions.close().await;
    drop(decisions);

    let decisions = Decisions::open(folder.path(), crate::alerts::store::Bounds::default())
        .await
        .unwrap();
    assert_eq!(decisions.alert(&alert.id).await.unwrap().unwrap(), alert);
    assert_eq!(rules_of(decisions.rules().await.unwrap()).to_vec(), [rule]);
    let stored = decisions.endpoint(&ops.id).await.unwrap().unwrap();
    assert_eq!((stored.secret, stored.severities), (ops.secret, ops.severities));
    assert_eq!(decisions.due(&ops.id, START, 10).await.unwrap().len(), 1);
}
