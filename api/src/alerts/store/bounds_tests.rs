//! What bounds the decisions database: numbers, ages, pieces.

use std::collections::BTreeMap;

use proptest::prelude::*;
use riskgrid_analytics::rules::{CellRules, Rule, RuleBounds, SensorReading, SensorRules, Transition};
use riskgrid_ingest::EventTime;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::alerts::webhook::{Attempt, NewEndpoint, Secret};

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

    let one = decided(&mut rules, 0..0, 0..1, 2);
    let recorded = decisions.record(&one, Notify::Send, START, None).await.unwrap();
    assert_eq!(recorded.alerts.len(), 1, "one is not a tenth");
    let others = decided(&mut rules, 0..0, 1..5, 3);
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
        decisions.create_rule(rule, START, &deed()).await.unwrap();
    }
    let refused = decisions.create_rule(&rule("d", &[]), START, &deed()).await;
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
    decisions.create_rule(&river, START, &deed()).await.unwrap();
    let mut rules = SensorRules::new([river.clone()].into());
    let all = decided(&mut rules, 0..1_000, 0..0, 0);
    decisions.record(&all, Notify::Send, START, None).await.unwrap();
    let first = decisions
        .delete_rule(&river.id, None, START, &deed())
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
    decisions.create_rule(&twin, START, &deed()).await.unwrap();
    decisions.close().await;
    drop(decisions);
    let decisions = Decisions::open(folder.path(), Bounds::default()).await.unwrap();
    let mut pieces = 0;
    while !decisions
        .end_alerts_of_deleted_rules(ENDED_AT_ONCE, START)
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
    let due = decisions.due(&ops.id, START + DAY, 1_300).await.unwrap();
    for (number, delivery) in due.iter().enumerate() {
        let becomes = if number % 2 == 0 {
            DeliveryState::Delivered
        } else {
            DeliveryState::Dead
        };
        decisions
            .attempted(&delivery.id, &attempt(START + DAY, 200), becomes)
            .await
            .unwrap();
    }
    // Event times are of any year: what counts is when the end was seen.
    let now = START + 1_000 * DAY;
    let keep = Keep {
        max_ended_alerts: 1_000,
        ..Keep::default()
    };
    let forgotten = decisions.forget_old(&keep, now).await.unwrap();
    // Deliveries of the hundred that are open stay, and those that were never made.
    assert_eq!((forgotten.alerts, forgotten.deliveries), (200, 1_200));
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
            .attempted(&delivery.id, &attempt, DeliveryState::Dead)
            .await
            .unwrap();
        decisions.replay(&ops.id, None, START).await.unwrap();
    }
    let rows = decisions.deliveries(&ops.id, 1).await.unwrap();
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
    assert_eq!(decisions.replay(&ops.id, None, START).await.unwrap(), 1_200);
    assert_eq!(
        decisions.endpoints_due(START).await.unwrap(),
        std::slice::from_ref(&ops.id)
    );
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

#[tokio::test]
async fn a_state_that_was_one_value_is_taken_apart() {
    let (_folder, decisions) = opened(Bounds::default()).await;
    let rule = cell_rule();
    let mut cells = CellRules::new();
    cells.evaluate(
        &rule,
        [(7, 30.0), (u64::MAX >> 4, 40.0)].into_iter(),
        EventTime::from_micros(START),
    );
    // The format before: of each rule by its id, when it was looked at, and its cells.
    let all: BTreeMap<
        &str,
        (
            Option<EventTime>,
            BTreeMap<u64, riskgrid_analytics::rules::InstanceState>,
        ),
    > = cells
        .all()
        .map(|(id, evaluated, known)| {
            let known = known.into_iter().map(|(cell, state)| (cell, state.unwrap()));
            (id, (evaluated, known.collect()))
        })
        .collect();
    let mut transaction = decisions.begin().await.unwrap();
    sqlx::query("INSERT INTO meta (key, value) VALUES ('cell_rules', $1)")
        .bind(postcard::to_extend(&all, vec![1]).unwrap())
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    for _ in 0..2 {
        let restored = decisions.cell_rules().await.unwrap();
        assert!(restored.all().eq(cells.all()));
    }
    assert_eq!(count(&decisions, "SELECT COUNT(*) FROM meta").await, 0);
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
            let (mut straight, mut killed) = (CellRules::new(), CellRules::new());
            for (minute, (rows, is_killed)) in looks.into_iter().enumerate() {
                let at = START + minute as i64 * 60 * SECOND;
                let expected = straight.evaluate(&rule, rows.clone().into_iter(), EventTime::from_micros(at));
                let found = killed.evaluate(&rule, rows.into_iter(), EventTime::from_micros(at));
                assert_eq!(found.transitions, expected.transitions);
                let state = CellState {
                    rule_id: &rule.id,
                    evaluated: EventTime::from_micros(at),
                    changes: &found.changes,
                };
                let changed = (!found.changes.is_empty()).then_some(state);
                let recorded = decisions.record(&found.transitions, Notify::Send, at, changed).await.unwrap();
                assert_eq!(recorded.alerts.len(), found.transitions.len());
                if is_killed {
                    killed = decisions.cell_rules().await.unwrap();
                }
            }
        });
    }
}
