//! What gathers in one message and when that is told; what holds beginnings back besides silences, and when they are told then.

use std::time::Duration;

use riskgrid_analytics::rules::{Rule, RuleBounds, Transition};
use riskgrid_ingest::EventTime;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::tests::{HOUR, SECOND, START, by, decided, deed, endpoint, notified, taken_by_anna};
use super::*;
use crate::alerts::inhibition::InhibitSettings;
use crate::alerts::mute::MuteSettings;
use crate::alerts::webhook::{Attempt, Endpoint, EndpointFilter, Grouping, NewEndpoint, Secret};

const MINUTE: i64 = 60 * SECOND;

async fn opened(noise: NoiseSettings) -> (TempDir, Decisions) {
    let folder = tempfile::tempdir().unwrap();
    let decisions = Decisions::open(folder.path(), Bounds::default()).await.unwrap();
    (folder, decisions.quietened(noise))
}

async fn grouped(decisions: &Decisions, filter: EndpointFilter) -> Endpoint {
    let new = NewEndpoint {
        name: "ops".to_owned(),
        url: "https://ops.example/".to_owned(),
        secret: Secret::random().unwrap(),
        severities: vec![],
        filter,
        grouping: Grouping::Incident,
        rate: None,
    };
    decisions.create_endpoint(new, START, &deed()).await.unwrap()
}

fn rule(name: &str, severity: &str, extra: &Value) -> Rule {
    let mut json = json!({"name": name, "kind": "threshold", "layer": "water_level", "per": "sensor", "above": 3.5,
        "clear_below": 3.2, "severity": severity, "webhooks": ["ops"]});
    for (key, value) in extra.as_object().unwrap() {
        json[key] = value.clone();
    }
    Rule::from_json(&format!("id of {name}"), &json, &RuleBounds::default()).unwrap()
}

/// What a rule decides of one sensor that is over from one second to another.
fn episode(rule: &Rule, sensor: &str, begins: i64, ends: i64) -> [Transition; 2] {
    decided(rule, sensor, &[(begins, 4.0), (ends, 3.0)])
        .try_into()
        .unwrap()
}

async fn record(decisions: &Decisions, transition: &Transition) {
    let now = transition.at.micros();
    decisions
        .record(std::slice::from_ref(transition), Notify::Send, now, None)
        .await
        .unwrap();
}

/// What is due at a second after the start is sealed and delivered; its messages.
async fn delivered(decisions: &Decisions, webhook: &str, second: i64) -> Vec<Value> {
    let now = START + second * SECOND;
    let mut messages = Vec::new();
    loop {
        let due = decisions.due(webhook, now, 10).await.unwrap();
        let Some(delivery) = due.first() else {
            return messages;
        };
        let (id, body) = if delivery.is_open {
            decisions
                .seal(delivery.seq, EventTime::from_micros(now))
                .await
                .unwrap()
                .unwrap()
        } else {
            (delivery.id.clone(), delivery.body.clone())
        };
        let attempt = answered(now, 200);
        decisions
            .attempted((webhook, &id), &attempt, DeliveryState::Delivered)
            .await
            .unwrap();
        let mut message: Value = serde_json::from_str(&body).unwrap();
        message["id"] = json!(id);
        messages.push(message);
    }
}

fn answered(at: i64, status: u16) -> Attempt {
    Attempt {
        at,
        status: Some(status),
        latency_ms: 1,
        error: (status != 200).then(|| "as prepared".to_owned()),
        retry_after: None,
    }
}

fn states_of(message: &Value) -> Vec<&str> {
    let changes = message["data"]["changes"].as_array().unwrap();
    changes
        .iter()
        .map(|change| change["state"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn changes_of_an_incident_gather_in_one_message_until_its_first_attempt() {
    let (_folder, decisions) = opened(NoiseSettings::default()).await;
    let ops = grouped(&decisions, EndpointFilter::default()).await;
    let river = rule("river", "major", &json!({}));
    let episodes: Vec<[Transition; 2]> = (0..5)
        .map(|number| episode(&river, &format!("s{number}"), number, 3_600))
        .collect();
    for [begin, _] in &episodes {
        record(&decisions, begin).await;
    }
    assert_eq!(
        delivered(&decisions, &ops.id, 9).await,
        Vec::<Value>::new(),
        "ten seconds from the first"
    );
    let first = delivered(&decisions, &ops.id, 10).await;
    let [message] = first.as_slice() else {
        panic!("{first:?}")
    };
    assert_eq!(
        (&message["type"], &message["data"]["message"]),
        (&json!("incident.changed"), &json!(1))
    );
    assert_eq!(
        (&message["data"]["open"], states_of(message).len()),
        (&json!(5), 5)
    );
    let incident = message["data"]["id"].as_str().unwrap();
    assert_eq!(message["id"], webhook_id(&ops.id, (incident, 1)));
    // The next comes no sooner than a minute later.
    record(&decisions, &episode(&river, "late", 20, 3_600)[0]).await;
    assert_eq!(delivered(&decisions, &ops.id, 69).await, Vec::<Value>::new());
    assert_eq!(delivered(&decisions, &ops.id, 70).await[0]["data"]["message"], 2);
    // But an end at once, before whatever begins.
    record(&decisions, &episode(&river, "later", 80, 3_600)[0]).await;
    record(&decisions, &episodes[0][1]).await;
    let third = delivered(&decisions, &ops.id, 3_600).await;
    assert_eq!(states_of(&third[0]), ["resolved", "firing"]);
}

#[tokio::test]
async fn a_rise_of_severity_is_told_at_once() {
    let (_folder, decisions) = opened(NoiseSettings::default()).await;
    let ops = grouped(&decisions, EndpointFilter::default()).await;
    record(
        &decisions,
        &episode(&rule("river", "minor", &json!({})), "a", 0, 9)[0],
    )
    .await;
    assert_eq!(delivered(&decisions, &ops.id, 10).await.len(), 1);
    record(
        &decisions,
        &episode(&rule("high", "minor", &json!({})), "b", 11, 99)[0],
    )
    .await;
    assert_eq!(delivered(&decisions, &ops.id, 11).await.len(), 0);
    record(
        &decisions,
        &episode(&rule("very high", "critical", &json!({})), "c", 12, 99)[0],
    )
    .await;
    let risen = delivered(&decisions, &ops.id, 12).await;
    assert_eq!(states_of(&risen[0]).len(), 2);
    assert_eq!(
        risen[0]["data"]["changes"][0]["severity"], "critical",
        "the gravest first"
    );
}

#[tokio::test]
async fn nothing_is_sealed_while_an_older_message_of_the_incident_is_on_its_way() {
    let (_folder, decisions) = opened(NoiseSettings::default()).await;
    let ops = grouped(&decisions, EndpointFilter::default()).await;
    let river = rule("river", "major", &json!({}));
    let [begin, end] = episode(&river, "a", 0, 60);
    record(&decisions, &begin).await;
    let now = START + 10 * SECOND;
    let due = decisions.due(&ops.id, now, 10).await.unwrap();
    let (id, body) = decisions
        .seal(due[0].seq, EventTime::from_micros(now))
        .await
        .unwrap()
        .unwrap();
    let later = DeliveryState::Pending {
        next_attempt_at: now + HOUR,
    };
    decisions
        .attempted((&ops.id, &id), &answered(now, 500), later)
        .await
        .unwrap();
    record(&decisions, &end).await;
    assert!(decisions.due(&ops.id, now + MINUTE, 10).await.unwrap().is_empty());
    // The bytes are as they were, and the id too.
    let again = decisions.due(&ops.id, now + HOUR, 10).await.unwrap();
    assert_eq!(
        (&again[0].id, &again[0].body, again[0].is_open),
        (&id, &body, false)
    );
    let both = delivered(&decisions, &ops.id, 3_700).await;
    assert_eq!(both.len(), 2);
    assert_eq!(states_of(&both[1]), ["resolved"]);
}

#[tokio::test]
async fn what_fires_unacknowledged_is_told_again_and_numbered() {
    let (_folder, decisions) = opened(NoiseSettings::default()).await;
    let ops = grouped(&decisions, EndpointFilter::default()).await;
    let [begin, _] = episode(&rule("river", "major", &json!({})), "a", 0, 9);
    record(&decisions, &begin).await;
    delivered(&decisions, &ops.id, 10).await;
    let four_hours = 4 * 3_600 + 10;
    let repeat = async |second: i64| decisions.repeat_messages(START + second * SECOND).await.unwrap();
    assert_eq!((repeat(four_hours - 1).await, repeat(four_hours).await), (0, 1));
    let again = delivered(&decisions, &ops.id, four_hours).await;
    assert_eq!(
        (&again[0]["data"]["repeat"], states_of(&again[0])),
        (&json!(1), vec!["firing"])
    );
    decisions
        .acknowledge(&begin.episode, &taken_by_anna(), START, &deed())
        .await
        .unwrap();
    assert_eq!(repeat(3 * four_hours).await, 0, "somebody has taken it");
}

#[tokio::test]
async fn what_an_absorbed_incident_was_to_tell_its_heir_tells() {
    let (_folder, decisions) = opened(NoiseSettings::default()).await;
    let ops = grouped(&decisions, EndpointFilter::default()).await;
    let river = rule("river", "major", &json!({}));
    // A chain: the first and the last are not near each other.
    let chain = [
        0x0874_11ca_1bff_ffff,
        0x0874_11ca_1cff_ffff,
        0x0874_11ca_18ff_ffff,
    ];
    for (second, cell) in (0..).zip(chain) {
        let [mut begin, _] = episode(&river, &format!("s{second}"), second, 999);
        begin.cell = Some(cell);
        record(&decisions, &begin).await;
    }
    let told = delivered(&decisions, &ops.id, 60).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (states_of(&told[0]).len(), &told[0]["data"]["alerts"]),
        (3, &json!(3))
    );
}

#[tokio::test]
async fn a_filter_picks_beginnings_and_lets_their_ends_pass() {
    let (_folder, decisions) = opened(NoiseSettings::default()).await;
    let filter = EndpointFilter {
        group: vec!["flood".to_owned()],
        r#type: vec!["alert.firing".to_owned()],
        ..EndpointFilter::default()
    };
    let ops = grouped(&decisions, filter).await;
    let [begin, end] = episode(&rule("river", "major", &json!({"group": "flood"})), "a", 0, 60);
    let [other, _] = episode(&rule("noise", "major", &json!({"group": "noise"})), "b", 1, 60);
    for transition in [&begin, &other, &end] {
        record(&decisions, transition).await;
    }
    let told = delivered(&decisions, &ops.id, 60).await;
    assert_eq!(told.len(), 1);
    assert_eq!(states_of(&told[0]), ["resolved", "firing"]);
    assert_eq!(told[0]["data"]["group"], "flood");
}

#[tokio::test]
async fn a_mute_holds_beginnings_in_its_hours_and_lets_what_was_told_end() {
    let nights = MuteSettings {
        name: "nights".to_owned(),
        times: vec!["08:00-09:00".to_owned()],
        ..MuteSettings::default()
    };
    let noise = NoiseSettings {
        mutes: [("nights".to_owned(), nights.compile().unwrap())].into(),
        ..NoiseSettings::default()
    };
    let (_folder, decisions) = opened(noise).await;
    let ops = endpoint(&decisions, "ops", vec![]).await;
    let river = rule("river", "major", &json!({"mute": "nights"}));
    decisions.create_rule(&river, &by(START)).await.unwrap();
    let [held, _] = episode(&river, "a", 0, 9_999);
    let [short, its_end] = episode(&river, "b", 1, 60);
    for transition in [&held, &short, &its_end] {
        record(&decisions, transition).await;
    }
    assert_eq!(
        notified(&decisions).await,
        ["held", "not_sent_held", "not_sent_held"]
    );
    assert_eq!(decisions.release_held(START + HOUR - SECOND).await.unwrap(), 0);
    assert_eq!(decisions.release_held(START + HOUR).await.unwrap(), 1);
    let told = delivered(&decisions, &ops.id, 3_600).await;
    assert_eq!((told.len(), &told[0]["data"]["sensor"]), (1, &json!("a")));
}

#[tokio::test]
async fn a_graver_alert_holds_others_until_it_ends() {
    let of = |severity: &str| serde_json::from_value(json!({ "severity": [severity] })).unwrap();
    let inhibit = InhibitSettings {
        source: of("critical"),
        target: of("minor"),
        r#where: "incident".to_owned(),
    };
    let noise = NoiseSettings {
        inhibitions: vec![inhibit.compile(&std::collections::BTreeSet::new()).unwrap()],
        ..NoiseSettings::default()
    };
    let (_folder, decisions) = opened(noise).await;
    let ops = endpoint(&decisions, "ops", vec![]).await;
    let (flood, river) = (
        rule("flood", "critical", &json!({})),
        rule("river", "minor", &json!({})),
    );
    for rule in [&flood, &river] {
        decisions.create_rule(rule, &by(START)).await.unwrap();
    }
    let [begin, end] = episode(&flood, "a", 0, 60);
    let [held, _] = episode(&river, "b", 1, 9_999);
    let elsewhere = Transition {
        cell: None,
        ..episode(&river, "c", 2, 9_999)[0].clone()
    };
    for transition in [&begin, &held, &elsewhere] {
        record(&decisions, transition).await;
    }
    assert_eq!(notified(&decisions).await, ["sent", "held", "sent"]);
    let ends = decisions.ends();
    assert_eq!(decisions.release_held(START + 30 * SECOND).await.unwrap(), 0);
    record(&decisions, &end).await;
    assert!(decisions.ends() > ends, "what it held is looked at again");
    assert_eq!(decisions.release_held(START + 61 * SECOND).await.unwrap(), 1);
    assert_eq!(delivered(&decisions, &ops.id, 61).await.len(), 4);
}

#[tokio::test]
async fn a_span_is_sent_again_under_the_same_ids_what_was_delivered_too() {
    let (_folder, decisions) = opened(NoiseSettings::default()).await;
    let ops = endpoint(&decisions, "ops", vec![]).await;
    let river = rule("river", "major", &json!({}));
    for second in [0, 100, 200] {
        record(
            &decisions,
            &episode(&river, &format!("s{second}"), second, 9_999)[0],
        )
        .await;
    }
    let first = delivered(&decisions, &ops.id, 300).await;
    let span = Replay::Between {
        from: START + 50 * SECOND,
        to: START + 200 * SECOND,
    };
    assert_eq!(decisions.replay(&ops.id, span, START + HOUR).await.unwrap(), 1);
    assert_eq!(delivered(&decisions, &ops.id, 3_700).await, first[1..2]);
    let one = Replay::One(first[0]["id"].as_str().unwrap());
    assert_eq!(decisions.replay(&ops.id, one, START + HOUR).await.unwrap(), 1);
    assert_eq!(delivered(&decisions, &ops.id, 3_700).await, first[..1]);
}

#[tokio::test]
async fn a_receiver_that_fails_for_days_counts_as_gone_and_one_that_asks_is_left_alone() {
    let (_folder, decisions) = opened(NoiseSettings::default()).await;
    let ops = endpoint(&decisions, "ops", vec![]).await;
    record(
        &decisions,
        &episode(&rule("river", "major", &json!({})), "a", 0, 9)[0],
    )
    .await;
    let delivery = decisions.due(&ops.id, START, 1).await.unwrap().remove(0);
    let fail = async |at: i64, status: u16| {
        let becomes = DeliveryState::Pending {
            next_attempt_at: at + MINUTE,
        };
        decisions
            .attempted((&ops.id, &delivery.id), &answered(at, status), becomes)
            .await
            .unwrap();
        decisions.is_gone(&ops.id, at).await.unwrap()
    };
    for hours in [0, 20, 40, 60, 80, 90, 100, 110, 119] {
        assert!(!fail(START + hours * HOUR, 500).await, "{hours} hours");
    }
    assert!(fail(START + 120 * HOUR, 500).await, "ten times in 120 hours");
    // A receiver that is busy is told nothing else either.
    record(
        &decisions,
        &episode(&rule("other", "major", &json!({"group": "o"})), "b", 1, 9)[0],
    )
    .await;
    assert_eq!(
        decisions.endpoints_due(START + 2 * SECOND).await.unwrap().len(),
        1
    );
    fail(START + 2 * SECOND, 503).await;
    assert_eq!(
        decisions.endpoints_due(START + 61 * SECOND).await.unwrap().len(),
        0
    );
    assert_eq!(
        decisions.endpoints_due(START + 62 * SECOND).await.unwrap().len(),
        1
    );
    assert_eq!(
        decisions.next_due_after(START + 3 * SECOND).await.unwrap(),
        Some(START + 62 * SECOND)
    );
}

/// How many messages a storm makes, and how long the store takes: a measurement, not a claim.
#[tokio::test]
#[ignore = "a measurement of a minute; run it alone, in release"]
async fn a_storm_of_a_hundred_thousand_alerts_is_few_incidents_and_few_messages() {
    const ALERTS: usize = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let bounds = Bounds {
        open_of_rule: ALERTS as u64,
        open: ALERTS as u64,
        ..Bounds::default()
    };
    let decisions = Decisions::open(folder.path(), bounds).await.unwrap();
    let ops = grouped(&decisions, EndpointFilter::default()).await;
    let river = rule("river", "major", &json!({}));
    let [pattern, _] = episode(&river, "a", 0, 9);
    // A city of some 61 cells.
    let centre: h3o::CellIndex = "87411ca1bffffff".parse().unwrap();
    let ground: Vec<h3o::CellIndex> = centre.grid_disk(4);
    let transitions: Vec<Transition> = (0..ALERTS)
        .map(|number| {
            let at = EventTime::from_micros(START + (number as i64) * 600);
            Transition {
                episode: format!("{number:032x}"),
                instance: format!("s{number}"),
                sensor: Some(format!("s{number}")),
                cell: Some(ground[number % ground.len()].into()),
                at,
                fired_at: at,
                ..pattern.clone()
            }
        })
        .collect();
    let began = std::time::Instant::now();
    let mut messages = 0;
    for (piece, number) in transitions.chunks(500).zip(0..) {
        let now = piece.last().unwrap().at.micros();
        decisions.record(piece, Notify::Send, now, None).await.unwrap();
        if number % 10 == 9 {
            messages += delivered(&decisions, &ops.id, (now - START) / SECOND).await.len();
        }
    }
    let stored = began.elapsed();
    messages += delivered(&decisions, &ops.id, 600).await.len();
    let query = IncidentQuery {
        limit: 10,
        ..IncidentQuery::default()
    };
    let everybody = IncidentReader {
        sees: &|_, _| true,
        sees_all: true,
        now: START,
    };
    let (incidents, _) = decisions.incidents(&query, everybody).await.unwrap();
    println!(
        "{ALERTS} alerts: {} incidents, {messages} messages; stored in {stored:?}, drained in {:?}",
        incidents.len(),
        began.elapsed()
    );
    assert!(incidents.len() == 1 && messages <= 4, "{messages}");
    assert_eq!(decisions.held().await.unwrap().gathering, 0);
    assert!(began.elapsed() < Duration::from_hours(1));
}
