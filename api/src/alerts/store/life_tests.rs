//! Who is told of the beginning and the end of an alert, who has taken it, and what silences hold back.

use riskgrid_analytics::rules::{Transition, TransitionKind};
use riskgrid_ingest::EventTime;
use riskgrid_ingest::places::Places;
use serde_json::{Value, json};

use super::tests::{HOUR, SECOND, START, decided, deed, endpoint, notified, opened, rule, taken_by_anna};
use super::*;
use crate::alerts::silence::{Silence, SilenceRequest};

/// An alert of sensor `a` that fires at the start, told to `ops`, and its end two hours later.
async fn fired(decisions: &Decisions) -> (String, [Transition; 2]) {
    let ops = endpoint(decisions, "ops", vec![]).await;
    let rule = rule("river", &["ops"]);
    let transitions = decided(&rule, "a", &[(0, 4.0), (7_200, 3.0)]);
    let both: [Transition; 2] = transitions.try_into().unwrap();
    record(decisions, &both[0], START).await;
    (ops.id, both)
}

async fn record(decisions: &Decisions, transition: &Transition, now: i64) -> Recorded {
    let one = std::slice::from_ref(transition);
    decisions.record(one, Notify::Send, now, None).await.unwrap()
}

async fn bodies(decisions: &Decisions, webhook: &str) -> Vec<Value> {
    let bodies: Vec<String> =
        sqlx::query_scalar("SELECT body FROM deliveries WHERE webhook = $1 ORDER BY seq")
            .bind(webhook)
            .fetch_all(decisions.readers())
            .await
            .unwrap();
    bodies
        .iter()
        .map(|body| serde_json::from_str(body).unwrap())
        .collect()
}

fn silence(extra: &Value) -> Silence {
    let mut json = json!({"starts_at": "2026-11-22T07:00:00Z", "ends_at": "2026-11-22T09:00:00Z", "comment": "works",
        "match": {"rule": ["river"]}});
    for (name, value) in extra.as_object().unwrap() {
        json[name] = value.clone();
    }
    let request: SilenceRequest = serde_json::from_value(json).unwrap();
    request
        .accept("anna", EventTime::from_micros(START), &Places::default())
        .unwrap()
}

#[tokio::test]
async fn an_end_is_sent_however_late_to_whoever_was_sent_the_beginning() {
    let (_folder, decisions) = opened().await;
    let (ops, [_, end]) = fired(&decisions).await;
    let now = end.at.micros() + 3 * HOUR;
    assert_eq!(record(&decisions, &end, now).await.queued, 1);
    let bodies = bodies(&decisions, &ops).await;
    assert_eq!(bodies[0]["data"]["late"], Value::Null);
    assert_eq!(
        (&bodies[1]["type"], &bodies[1]["data"]["late"]),
        (&json!("alert.resolved"), &json!(true))
    );
}

#[tokio::test]
async fn an_end_is_not_sent_to_who_was_not_sent_the_beginning() {
    let (_folder, decisions) = opened().await;
    let (ops, [_, end]) = fired(&decisions).await;
    // Another receiver of the same name: it knows nothing of the alert.
    decisions
        .delete_endpoint(&ops, None, START, &deed())
        .await
        .unwrap();
    let newcomer = endpoint(&decisions, "ops", vec![]).await;
    assert_eq!(record(&decisions, &end, end.at.micros()).await.queued, 0);
    assert_eq!(bodies(&decisions, &newcomer.id).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_expires_has_ended_and_is_told_so() {
    let (_folder, decisions) = opened().await;
    let (ops, [firing, end]) = fired(&decisions).await;
    let expired = Transition {
        kind: TransitionKind::Expired,
        ..end
    };
    let alert = record(&decisions, &expired, expired.at.micros())
        .await
        .alerts
        .remove(0);
    assert_eq!(
        (alert.state, alert.resolved_at),
        (AlertState::Expired, Some(expired.at.micros()))
    );
    assert_eq!(bodies(&decisions, &ops).await[1]["type"], "alert.expired");
    assert_eq!(decisions.held().await.unwrap().open, 0);
    let keep = Keep {
        max_ended_alerts: 0,
        ..Keep::default()
    };
    let forgotten = decisions.forget_old(&keep, START).await.unwrap();
    assert_eq!(forgotten.alerts, 1);
    assert_eq!(decisions.alert(&firing.episode).await.unwrap(), None);
}

#[tokio::test]
async fn an_alert_is_taken_on_terms_and_given_back() {
    let (_folder, decisions) = opened().await;
    let (_, [firing, end]) = fired(&decisions).await;
    let id = firing.episode;
    let take = async |terms: Terms| decisions.acknowledge(&id, &terms, START + SECOND, &deed()).await;
    let give_back = async || {
        let terms = taken_by_anna();
        decisions
            .unacknowledge(&id, &terms, START + SECOND, &deed())
            .await
    };
    assert!(
        matches!(give_back().await, Err(DecisionsError::Conflict(_))),
        "nobody has taken it"
    );
    take(taken_by_anna()).await.unwrap();
    let bob = Terms {
        by: "bob".to_owned(),
        comment: Some("on my way".to_owned()),
        until: Some(START + HOUR),
    };
    let taken = take(bob.clone()).await.unwrap().unwrap();
    assert_eq!(taken.acknowledged_by.as_deref(), Some("bob"));
    assert_eq!(
        (taken.acknowledged_comment, taken.acknowledged_until),
        (bob.comment.clone(), bob.until)
    );
    let given_back = give_back().await.unwrap().unwrap();
    assert_eq!(
        (given_back.state, given_back.acknowledged_by),
        (AlertState::Firing, None)
    );
    let steps: Vec<(String, Option<String>, Option<i64>)> =
        sqlx::query_as("SELECT kind, made_by, until FROM transitions ORDER BY number")
            .fetch_all(decisions.readers())
            .await
            .unwrap();
    let anna = Some("anna".to_owned());
    let expected = [
        ("firing", None, None),
        ("acknowledged", anna.clone(), None),
        ("acknowledged", Some(bob.by.clone()), bob.until),
        ("unacknowledged", anna, None),
    ];
    assert_eq!(
        steps,
        expected.map(|(kind, by, until)| (kind.to_owned(), by, until))
    );
    record(&decisions, &end, end.at.micros()).await;
    assert!(
        matches!(take(bob).await, Err(DecisionsError::Conflict(_))),
        "it has ended"
    );
    assert!(
        matches!(give_back().await, Err(DecisionsError::Conflict(_))),
        "it has ended"
    );
}

#[tokio::test]
async fn what_was_taken_for_a_time_fires_again_when_that_is_over() {
    let (_folder, decisions) = opened().await;
    let (_, [firing, _]) = fired(&decisions).await;
    let terms = Terms {
        until: Some(START + HOUR),
        ..taken_by_anna()
    };
    decisions
        .acknowledge(&firing.episode, &terms, START, &deed())
        .await
        .unwrap();
    assert_eq!(
        decisions.end_acknowledgements(START + HOUR - 1).await.unwrap(),
        []
    );
    let given_back = decisions.end_acknowledgements(START + HOUR).await.unwrap();
    assert_eq!(given_back[0].state, AlertState::Firing);
    assert_eq!(
        decisions.alert(&firing.episode).await.unwrap(),
        given_back.first().cloned()
    );
    assert_eq!(decisions.end_acknowledgements(START + HOUR).await.unwrap(), []);
}

#[tokio::test]
async fn what_a_silence_hides_is_recorded_and_told_when_the_silence_is_over() {
    let (_folder, decisions) = opened().await;
    let made = decisions
        .create_silence(silence(&json!({})), START, &deed())
        .await
        .unwrap();
    let (ops, [firing, end]) = fired(&decisions).await;
    assert_eq!(notified(&decisions).await, ["held"]);
    assert_eq!(bodies(&decisions, &ops).await, Vec::<Value>::new());
    assert_eq!(decisions.silence(&made.id).await.unwrap().unwrap().held, 1);

    assert_eq!(decisions.release_held(START + SECOND).await.unwrap(), 0);
    let now = START + 2 * SECOND;
    assert!(
        !decisions
            .has_silence_ended(EventTime::from_micros(START), EventTime::from_micros(now))
            .await
            .unwrap()
    );
    assert!(decisions.end_silence(&made.id, now, &deed()).await.unwrap());
    assert!(
        decisions
            .has_silence_ended(EventTime::from_micros(START), EventTime::from_micros(now))
            .await
            .unwrap()
    );
    assert_eq!(decisions.release_held(now).await.unwrap(), 1);
    assert_eq!(decisions.release_held(now).await.unwrap(), 0);
    let told = bodies(&decisions, &ops).await;
    assert_eq!(
        (&told[0]["type"], &told[0]["data"]["alert"]),
        (&json!("alert.firing"), &json!(firing.episode))
    );
    assert_eq!(record(&decisions, &end, end.at.micros()).await.queued, 1);
}

#[tokio::test]
async fn what_ends_while_it_is_hidden_is_told_to_nobody() {
    let (_folder, decisions) = opened().await;
    decisions
        .create_silence(silence(&json!({})), START, &deed())
        .await
        .unwrap();
    let (ops, [_, end]) = fired(&decisions).await;
    assert_eq!(record(&decisions, &end, end.at.micros()).await.queued, 0);
    assert_eq!(decisions.release_held(START + 10 * HOUR).await.unwrap(), 0);
    assert_eq!(notified(&decisions).await, ["not_sent_held", "not_sent_held"]);
    assert_eq!(bodies(&decisions, &ops).await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_end_of_what_was_told_passes_a_silence_at_once() {
    let (_folder, decisions) = opened().await;
    let (ops, [_, end]) = fired(&decisions).await;
    let longer = json!({"ends_at": "2026-11-22T20:00:00Z"});
    decisions
        .create_silence(silence(&longer), START, &deed())
        .await
        .unwrap();
    record(&decisions, &end, end.at.micros()).await;
    assert_eq!(bodies(&decisions, &ops).await.len(), 2);
}

#[tokio::test]
async fn a_preview_names_what_is_open_and_counts_a_week() {
    let (_folder, decisions) = opened().await;
    let (_, [firing, _]) = fired(&decisions).await;
    let old = decided(&rule("river", &[]), "b", &[(0, 4.0), (60, 3.0)]);
    decisions.record(&old, Notify::Send, START, None).await.unwrap();
    let preview =
        async |silence: Silence, now| decisions.preview_silence(&silence, now, |_| true).await.unwrap();
    let now = preview(silence(&json!({})), START + HOUR).await;
    assert_eq!(
        (now.open.as_slice(), now.last_7d),
        ([firing.episode.clone()].as_slice(), 2)
    );
    assert_eq!(now.by_severity.get("major"), Some(&2));
    let later = preview(silence(&json!({})), START + 8 * 24 * HOUR).await;
    assert_eq!((later.open.len(), later.last_7d), (1, 0));
    let other = silence(&json!({"match": {"layer": ["noise"]}}));
    assert_eq!(preview(other, START + HOUR).await, Preview::default());
}

#[tokio::test]
async fn silences_are_listed_newest_first_and_stay_when_they_have_ended() {
    let (_folder, decisions) = opened().await;
    for second in 0..3 {
        let now = START + second * SECOND;
        decisions
            .create_silence(silence(&json!({})), now, &deed())
            .await
            .unwrap();
    }
    let (page, next) = decisions.silences(None, 2).await.unwrap();
    let (rest, end) = decisions.silences(next.as_ref(), 2).await.unwrap();
    let made: Vec<i64> = page.iter().chain(&rest).map(|stored| stored.created_at).collect();
    assert_eq!(made, [START + 2 * SECOND, START + SECOND, START]);
    assert_eq!(end, None);
    let id = &rest[0].id;
    let now = EventTime::from_micros(START + SECOND);
    assert_eq!(rest[0].state(now), "active");
    assert!(decisions.end_silence(id, START + SECOND, &deed()).await.unwrap());
    assert_eq!(decisions.silence(id).await.unwrap().unwrap().state(now), "ended");
    assert!(!decisions.end_silence("none", START, &deed()).await.unwrap());
}
