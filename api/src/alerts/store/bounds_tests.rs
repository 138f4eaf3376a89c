//! What bounds the decisions database: numbers, ages, pieces.

use std::collections::BTreeMap;

use proptest::prelude::*;
use riskgrid_analytics::rules::{
    Absent, Evaluated, InstanceKey, Instances, Judged, Known, Row, Rule, RuleBounds, SensorReading,
    SensorRules, Transition,
};
use riskgrid_ingest::EventTime;
use serde_json::json;
use tempfile::TempDir;

use super::tests::by;
use super::*;
use crate::alerts::webhook::{Attempt, EndpointFilter, Grouping, NewEndpoint, Secret};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// 2026-11-22T08:00:00Z
const START: i64 = 1_795_334_400 * SECOND;

/// What stands in the audit for what these tests do.
fn deed() -> crate::audit::Deed {
    crate::audit::Deed::of_the_command_line("test")
}

async fn opened(bounds: Bounds) -> (TempDir, Decisions) {
    let folder = tempfile::tempdir().unwrap();
    let decisions = Decisions::open(folder.path(), bounds).await.unwrap();
    (folder, decisions)
}

fn rule(name: &str, webhooks: &[&str]) -> Rule {
    let json = json!({"name": name, "kind": "threshold", "layer": "water_level", "per": "sensor", "above": 3.5,
        "clear_below": 3.2, "severity": "major", "webhooks": webhooks});
    Rule::from_json(&format!("id of {name}"), &json, &RuleBounds::default()).unwrap()
}

/// High water at some sensors, and its end at some others.
fn decided(
    rules: &mut SensorRules,
    high: std::ops::Range<usize>,
    low: std::ops::Range<usize>,
    at: i64,
) -> Vec<Transition> {
    for (numbers, value) in [(high, 4.0), (low, 1.0)] {
        for number in numbers {
            let reading = SensorReading {
                layer: "water_level",
                sensor: &format!("s{number}"),
                cell: 0x0894_11d3_68b7_ffff,
                value,
                at: EventTime::from_micros(START + at * SECOND),
                areas: &[],
            };
            rules.observe("p0", reading);
        }
    }
    rules.take_transitions()
}

async fn count(decisions: &Decisions, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql)
        .fetch_one(decisions.readers())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_full_rule_opens_no_more_says_so_once_and_goes_on_when_a_tenth_is_free() {
    let bounds = Bounds {
        open_of_rule: 20,
        open: 1_000,
        ..Bounds::default()
    };
    let (folder, decisions) = opened(bounds).await;
    let river = rule("river", &[]);
    let mut rules = SensorRules::new([river.clone()].into());
    let first = decided(&mut rules, 0..50, 0..0, 0);
    let recorded = decisions.record(&first, Notify::Send, START, None).await.unwrap();
    let open = |alerts: &[Alert]| alerts.iter().filter(|alert| alert.rule == "river").count();
    assert_eq!((open(&recorded.alerts), recorded.alerts.len()), (20, 21));
    let full = recorded
        .alerts
        .iter()
        .find(|alert| alert.rule == RULE_FULL)
        .unwrap();
    assert_eq!(
        (&full.rule_id, full.sensor.as_ref(), full.cell),
        (&river.id, None, None)
    );
    assert_eq!(full.evidence["limit"], "alerts.max_open_per_rule");
    // Of one time the first by id begin, whichever sensors these are.
    let number = |alert: &Alert| alert.sensor.as_ref()?.strip_prefix('s')?.parse::<usize>().ok();
    let began: Vec<usize> = recorded.alerts.iter().filter_map(number).collect();
    // Read again it is the same; and further ones are refused without a further word.
    let again = decisions.record(&first, Notify::Send, START, None).await.unwrap();
    assert_eq!(again.alerts.len(), 0);
    // What an earlier process had open counts on.
    decisions.close().await;
    drop(decisions);
    let decisions = Decisions::open(folder.path(), bounds).await.unwrap();
    let more = decided(&mut rules, 50..60, 0..0, 1);
    assert_eq!(
        decisions
            .record(&more, Notify::Send, START, None)
            .await
            .unwrap()
            .alerts
            .len(),
        0
    );
    assert_eq!(
        decisions
            .tally()
            .refused_by_rule
            .load(std::sync::atomic::Ordering::Relaxed),
        10
    );

    let one = decided(&mut rules, 0..0, began[0]..began[0] + 1, 2);
    let recorded = decisions.record(&one, Notify::Send, START, None).await.unwrap();
    assert_eq!(recorded.alerts.len(), 1, "one is not a tenth");
    let others: Vec<Transition> = began[1..5]
        .iter()
        .flat_map(|sensor| decided(&mut rules, 0..0, *sensor..sensor + 1, 3))
        .collect();
    let recorded = decisions
        .record(&others, Notify::Send, START, None)
        .await
        .unwrap();
    let ended: Vec<&str> = recorded.alerts.iter().map(|alert| alert.rule.as_str()).collect();
    assert_eq!(
        ended.iter().filter(|rule| **rule == RULE_FULL).count(),
        1,
        "{ended:?}"
    );
    let new = decided(&mut rules, 100..102, 0..0, 4);
    assert_eq!(
        open(
            &decisions
                .record(&new, Notify::Send, START, None)
                .await
                .unwrap()
                .alerts
        ),
        2
    );
}

#[tokio::test]
async fn all_rules_together_have_a_bound_and_so_has_their_number() {
    let bounds = Bounds {
        rules: 3,
        open_of_rule: 20,
        open: 30,
    };
    let (_folder, decisions) = opened(bounds).await;
    let all: Vec<Rule> = ["a", "b", "c"].iter().map(|name| rule(name, &[])).collect();
    for rule in &all {
        decisions.create_rule(rule, &by(START)).await.unwrap();
    }
    let refused = decisions.create_rule(&rule("d", &[]), &by(START)).await;
    assert!(matches!(
        refused,
        Err(DecisionsError::TooMany {
            what: "rules",
            most: 3,
            ..
        })
    ));
    let mut rules = SensorRules::new(all.into());
    let transitions = decided(&mut rules, 0..50, 0..0, 0);
    decisions
        .record(&transitions, Notify::Send, START, None)
        .await
        .unwrap();
    let open = count(
        &decisions,
        "SELECT COUNT(*) FROM alerts WHERE rule <> 'rule full'",
    )
    .await;
    assert!((27..=30).contains(&open), "{open}");
    assert_eq!(
        count(&decisions, "SELECT COUNT(*) FROM alerts WHERE rule = 'rule full'").await,
        3
    );
    let held = decisions.held().await.unwrap();
    assert_eq!((held.rules, held.open, held.ended), (3, open as u64 + 3, 0));
}

#[tokio::test]
async fn a_deleted_rule_ends_piece_by_piece_and_begins_nothing_more() {
    let (folder, decisions) = opened(Bounds::default()).await;
    let river = rule("river", &[]);
    decisions.create_rule(&river, &by(START)).await.unwrap();
    let mut rules = SensorRules::new([river.clone()].into());
    let all = decided(&mut rules, 0..1_000, 0..0, 0);
    decisions.record(&all, Notify::Send, START, None).await.unwrap();
    let first = decisions
        .delete_rule(&river.id, None, &by(START))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(first.alerts.len(), ENDED_AT_ONCE as usize);
    // An evaluator that has not heard of it yet.
    let late = decided(&mut rules, 1_000..1_010, 0..0, 5);
    assert_eq!(
        decisions
            .record(&late, Notify::Send, START, None)
            .await
            .unwrap()
            .alerts
            .len(),
        0
    );
    // The name is free while the rest is ended, also by the next process.
    let mut twin = rule("river", &[]);
    twin.id = "another".to_owned();
    decisions.create_rule(&twin, &by(START)).await.unwrap();
    decisions.close().await;
    drop(decisions);
    let decisions = Decisions::open(folder.path(), Bounds::default()).await.unwrap();
    let mut pieces = 0;
    while !decisions
        .end_alerts_of_gone_rules(ENDED_AT_ONCE, START)
        .await
        .unwrap()
        .alerts
        .is_empty()
    {
        pieces += 1;
    }
    assert_eq!(pieces, 4);
    assert_eq!(decisions.held().await.unwrap().open, 0);
    let keep = Keep::default();
    decisions.forget_old(&keep, START).await.unwrap();
    assert_eq!(count(&decisions, "SELECT COUNT(*) FROM rules_deleted").await, 1);
    decisions.forget_old(&keep, START + 2 * HOUR).await.unwrap();
    assert_eq!(count(&decisions, "SELECT COUNT(*) FROM rules_deleted").await, 0);
}

#[tokio::test]
async fn what_ended_is_kept_for_its_time_by_the_wall_clock_and_in_its_number() {
    let (_folder, decisions) = opened(Bounds::default()).await;
    let new = NewEndpoint {
        name: "ops".to_owned(),
        url: "https://ops.example/".to_owned(),
        secret: Secret::random().unwrap(),
        severities: vec![],
        filter: EndpointFilter::default(),
        grouping: Grouping::None,
        rate: None,
    };
    let ops = decisions.create_endpoint(new, START, &deed()).await.unwrap();
    let mut rules = SensorRules::new([rule("river", &["ops"])].into());
    let transitions = decided(&mut rules, 0..1_300, 0..1_200, 0);
    decisions
        .record(&transitions, Notify::Send, START, None)
        .await
        .unwrap();
    let attempt = |at: i64, status: u16| Attempt {
        at,
        status: Some(status),
        latency_ms: 1,
        error: None,
        retry_after: None,
    };
    // All are of one incident, so one after the other is due.
    let mut number = 0;
    while let [delivery] = decisions.due(&ops.id, START + DAY, 2).await.unwrap().as_slice() {
        number += 1;
        let becomes = if number % 2 == 0 {
            DeliveryState::Delivered
        } else {
            DeliveryState::Dead
        };
        decisions
            .attempted((&ops.id, &delivery.id), &attempt(START + DAY, 200), becomes)
            .await
            .unwrap();
    }
    assert_eq!(number, 2_500);
    // Event times are of any year: what counts is when the end was seen.
    let now = START + 1_000 * DAY;
    let keep = Keep {
        max_ended_alerts: 1_000,
        ..Keep::default()
    };
    let forgotten = decisions.forget_old(&keep, now).await.unwrap();
    // Deliveries of the hundred that are open stay.
    assert_eq!((forgotten.alerts, forgotten.deliveries), (200, 2_400));
    assert_eq!(count(&decisions, "SELECT COUNT(*) FROM alerts").await, 1_100);
    assert_eq!(
        decisions.forget_old(&keep, now + 89 * DAY).await.unwrap(),
        Forgotten::default()
    );
    let forgotten = decisions.forget_old(&keep, now + 91 * DAY).await.unwrap();
    assert_eq!(forgotten.alerts, 1_000);
    assert_eq!(
        count(&decisions, "SELECT COUNT(*) FROM alerts WHERE state = 'firing'").await,
        100
    );
    assert_eq!(count(&decisions, "SELECT COUNT(*) FROM alerts").await, 100);
    assert_eq!(
        count(&decisions, "SELECT COUNT(DISTINCT alert) FROM transitions").await,
        100
    );
    let orphans = "SELECT COUNT(*) FROM attempts WHERE delivery NOT IN (SELECT id FROM deliveries)";
    assert_eq!(count(&decisions, orphans).await, 0);
    assert_eq!(decisions.held().await.unwrap().ended, 0);
}

#[tokio::test]
async fn replays_without_end_keep_a_number_of_attempts() {
    let (_folder, decisions) = opened(Bounds::default()).await;
    let new = NewEndpoint {
        name: "ops".to_owned(),
        url: "https://ops.example/".to_owned(),
        secret: Secret::random().unwrap(),
        severities: vec![],
        filter: EndpointFilter::default(),
        grouping: Grouping::None,
        rate: None,
    };
    let ops = decisions.create_endpoint(new, START, &deed()).await.unwrap();
    let mut rules = SensorRules::new([rule("river", &["ops"])].into());
    let transitions = decided(&mut rules, 0..1, 0..0, 0);
    decisions
        .record(&transitions, Notify::Send, START, None)
        .await
        .unwrap();
    let delivery = decisions.due(&ops.id, START, 1).await.unwrap().remove(0);
    for number in 0..100 {
        let attempt = Attempt {
            at: START + number,
            status: Some(500),
            latency_ms: 1,
            error: None,
            retry_after: None,
        };
        decisions
            .attempted((&ops.id, &delivery.id), &attempt, DeliveryState::Dead)
            .await
            .unwrap();
        decisions.replay(&ops.id, Replay::AllDead, START).await.unwrap();
    }
    let query = DeliveryQuery {
        limit: 1,
        ..DeliveryQuery::default()
    };
    let (rows, _) = decisions.deliveries(&ops.id, &query).await.unwrap();
    assert_eq!(rows[0].attempt_rows.len(), 64);
    assert_eq!(rows[0].attempt_rows[63].at, START + 99);
}

#[tokio::test]
async fn a_deleted_webhook_is_told_nothing_more_and_its_deliveries_go() {
    let (_folder, decisions) = opened(Bounds::default()).await;
    let new = NewEndpoint {
        name: "ops".to_owned(),
        url: "https://ops.example/".to_owned(),
        secret: Secret::random().unwrap(),
        severities: vec![],
        filter: EndpointFilter::default(),
        grouping: Grouping::None,
        rate: None,
    };
    let ops = decisions
        .create_endpoint(new.clone(), START, &deed())
        .await
        .unwrap();
    let mut rules = SensorRules::new([rule("river", &["ops"])].into());
    let transitions = decided(&mut rules, 0..1_200, 0..0, 0);
    decisions
        .record(&transitions, Notify::Send, START, None)
        .await
        .unwrap();
    decisions.disable_endpoint(&ops.id, START).await.unwrap();
    assert_eq!(decisions.held().await.unwrap().dead, 1_200);
    decisions.enable_endpoint(&ops.id).await.unwrap();
    assert_eq!(
        decisions.replay(&ops.id, Replay::AllDead, START).await.unwrap(),
        1_200
    );
    assert_eq!(decisions.endpoints_due(START).await.unwrap()[0].id, ops.id);
    assert!(
        decisions
            .delete_endpoint(&ops.id, None, START, &deed())
            .await
            .unwrap()
    );
    assert!(decisions.endpoints_due(START).await.unwrap().is_empty());
    assert!(decisions.due(&ops.id, START, 10).await.unwrap().is_empty());
    // The name is free at once.
    decisions.create_endpoint(new, START, &deed()).await.unwrap();
    let forgotten = decisions.forget_old(&Keep::default(), START).await.unwrap();
    assert_eq!(forgotten.deliveries, 1_200);
    assert_eq!(count(&decisions, "SELECT COUNT(*) FROM deliveries").await, 0);
    assert_eq!(
        count(&decisions, "SELECT COUNT(*) FROM webhooks_deleted").await,
        0
    );
}

fn cell_rule() -> Rule {
    let json = json!({"name": "calls", "kind": "threshold", "layer": "flooding", "per": "cell", "metric": "count",
        "window": "15m", "at_least": 20, "clear_below": 10, "for": "2m", "severity": "critical"});
    Rule::from_json("calls", &json, &RuleBounds::default()).unwrap()
}

fn judged(rule: &Rule, value: f64) -> Judged {
    Judged {
        verdict: rule.what.limit().unwrap().judge(value),
        value,
    }
}

fn rows(rule: &Rule, values: &BTreeMap<u64, f64>) -> Vec<Row> {
    let row = |(cell, value): (&u64, &f64)| Row {
        key: InstanceKey::Cell(*cell),
        cell: Some(*cell),
        judged: Some(judged(rule, *value)),
    };
    values.iter().map(row).collect()
}

fn state_of<'a>(rule: &'a Rule, found: &'a Evaluated, at: EventTime) -> RuleState<'a> {
    RuleState {
        rule_id: &rule.id,
        rule_version: rule.version,
        standing: crate::database::Standing::Alone,
        evaluated: at,
        changes: &found.changes,
        before: &found.undo,
        of: at,
    }
}

#[tokio::test]
async fn cells_that_an_older_riskgrid_kept_by_number_are_taken_over() {
    let (_folder, decisions) = opened(Bounds::default()).await;
    let rule = cell_rule();
    let at = EventTime::from_micros(START);
    let values = BTreeMap::from([(7, 30.0), (u64::MAX >> 4, 40.0)]);
    let mut cells = Instances::new();
    cells.evaluate(&rule, rows(&rule, &values), Absent::NoValue, at);
    let known: Vec<(InstanceKey, Known)> = cells
        .of_rule(&rule.id)
        .map(|(key, known)| (key.clone(), *known))
        .collect();
    let mut bytes = vec![(0, postcard::to_allocvec(&at).unwrap())];
    bytes.extend(known.iter().map(|(_, known)| {
        (
            known.cell.unwrap().cast_signed(),
            postcard::to_allocvec(&known.state).unwrap(),
        )
    }));
    let mut transaction = decisions.begin().await.unwrap();
    for (cell, state) in bytes {
        sqlx::query("INSERT INTO rule_cells (rule_id, cell, state) VALUES ($1, $2, $3)")
            .bind(&rule.id)
            .bind(cell)
            .bind(state)
            .execute(&mut *transaction)
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    for _ in 0..2 {
        let restored = decisions
            .rule_instances(std::slice::from_ref(&rule))
            .await
            .unwrap();
        let found: Vec<_> = restored
            .of_rule(&rule.id)
            .map(|(key, known)| (key.clone(), *known))
            .collect();
        assert_eq!((restored.evaluated(&rule.id), found), (Some(at), known.clone()));
    }
    assert_eq!(count(&decisions, "SELECT COUNT(*) FROM rule_cells").await, 0);
}

#[tokio::test]
async fn what_was_judged_by_an_earlier_version_of_a_rule_is_not_stored() {
    let (_folder, decisions) = opened(Bounds::default()).await;
    let rule = cell_rule();
    decisions.create_rule(&rule, &by(START)).await.unwrap();
    let mut louder = rule.clone();
    louder.severity = riskgrid_analytics::rules::Severity::Minor;
    assert_eq!(
        decisions.update_rule(&louder, 1, None, &by(START)).await.unwrap(),
        Some(2)
    );
    let at = EventTime::from_micros(START);
    let found = Instances::new().evaluate(
        &rule,
        rows(&rule, &BTreeMap::from([(7, 30.0)])),
        Absent::NoValue,
        at,
    );
    let late = decisions
        .record(
            &found.transitions,
            Notify::Send,
            START,
            Some(state_of(&rule, &found, at)),
        )
        .await;
    assert!(matches!(late, Err(DecisionsError::Conflict(_))));
    assert_eq!(count(&decisions, "SELECT COUNT(*) FROM rule_instances").await, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_kill_after_any_look_at_the_cells_changes_no_decision(
        looks in prop::collection::vec((prop::collection::btree_map(1u64..5, 0.0..40.0f64, 0..5), any::<bool>()), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_folder, decisions) = opened(Bounds::default()).await;
            let rule = cell_rule();
            decisions.create_rule(&rule, &by(START)).await.unwrap();
            let absent = Absent::Is(judged(&rule, 0.0));
            let (mut straight, mut killed) = (Instances::new(), Instances::new());
            for (minute, (values, is_killed)) in looks.into_iter().enumerate() {
                let at = EventTime::from_micros(START + minute as i64 * 60 * SECOND);
                let expected = straight.evaluate(&rule, rows(&rule, &values), absent, at);
                let found = killed.evaluate(&rule, rows(&rule, &values), absent, at);
                assert_eq!(found.transitions, expected.transitions);
                let changed = (!found.changes.is_empty()).then(|| state_of(&rule, &found, at));
                let recorded =
                    decisions.record(&found.transitions, Notify::Send, at.micros(), changed).await.unwrap();
                assert_eq!(recorded.alerts.len(), found.transitions.len());
                if is_killed {
                    killed = decisions.rule_instances(std::slice::from_ref(&rule)).await.unwrap();
                }
            }
        });
    }
}
