//! Deliveries to real receivers on this machine.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use riskgrid_analytics::rules::{Rule, RuleBounds, SensorReading, SensorRules, Transition};
use riskgrid_ingest::EventTime;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::alerts::Alerting;
use crate::alerts::store::{Decisions, DeliveryQuery, DeliveryRow, Notify, Replay};
use crate::alerts::webhook::{Endpoint, EndpointFilter, Grouping, NewEndpoint, Secret};

/// What stands in the audit for what these tests do.
fn deed() -> crate::audit::Deed {
    crate::audit::Deed::of_the_command_line("test")
}

#[derive(Clone, Debug)]
struct Received {
    headers: HeaderMap,
    body: String,
}

impl Received {
    fn id(&self) -> String {
        self.headers["webhook-id"].to_str().unwrap().to_owned()
    }

    fn kind(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["type"].as_str().unwrap().to_owned()
    }
}

/// A receiver that gives prepared answers, then 200, and keeps what came. The answer 0 never comes.
#[derive(Clone, Default)]
struct Receiver {
    answers: Arc<Mutex<Vec<(u16, HeaderMap)>>>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    fn answering(statuses: &[u16]) -> Self {
        let answers = statuses
            .iter()
            .rev()
            .map(|status| (*status, HeaderMap::new()))
            .collect();
        Self {
            answers: Arc::new(Mutex::new(answers)),
            ..Self::default()
        }
    }

    async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(receive).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        format!("http://{address}/hook?token=hidden")
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    async fn wait_for(&self, count: usize) -> Vec<Received> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.received().len() < count {
            assert!(
                Instant::now() < deadline,
                "only {} of {count} came",
                self.received().len()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.received()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> impl IntoResponse {
    receiver.received.lock().unwrap().push(Received { headers, body });
    let (status, headers) = receiver
        .answers
        .lock()
        .unwrap()
        .pop()
        .unwrap_or((200, HeaderMap::new()));
    if status == 0 {
        std::future::pending::<()>().await;
    }
    (StatusCode::from_u16(status).unwrap(), headers, "as prepared")
}

fn wall_clock() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

async fn start(folder: &Path, waits: &[Duration]) -> Arc<Alerting> {
    start_by(folder, waits, Arc::new(wall_clock)).await
}

async fn start_by(folder: &Path, waits: &[Duration], clock: Clock) -> Arc<Alerting> {
    let settings = DeliverySettings {
        allow_private: true,
        timeout: Duration::from_secs(10),
        retries: RetrySchedule::new(waits.to_vec()),
        ..DeliverySettings::default()
    };
    let decisions = Decisions::open(folder, crate::alerts::store::Bounds::default())
        .await
        .unwrap();
    let keep = crate::alerts::store::Keep::default();
    Alerting::start(decisions, settings, RuleBounds::default(), keep, clock)
        .await
        .unwrap()
}

async fn rows(decisions: &Decisions, webhook: &str) -> Vec<DeliveryRow> {
    let query = DeliveryQuery {
        limit: 100,
        ..DeliveryQuery::default()
    };
    decisions.deliveries(webhook, &query).await.unwrap().0
}

async fn endpoint(alerting: &Alerting, name: &str, url: String) -> Endpoint {
    let new = NewEndpoint {
        name: name.to_owned(),
        url,
        secret: Secret::random().unwrap(),
        severities: vec![],
        filter: EndpointFilter::default(),
        grouping: Grouping::None,
        rate: None,
    };
    alerting
        .decisions
        .create_endpoint(new, wall_clock(), &deed())
        .await
        .unwrap()
}

/// A sensor goes over the limit, and with `ends` below it again.
fn transitions(webhooks: &[&str], sensor: &str, ends: bool) -> Vec<Transition> {
    let json = json!({"name": "river high", "kind": "threshold", "layer": "water_level", "per": "sensor", "above": 3.5,
        "severity": "major", "webhooks": webhooks});
    let rule = Rule::from_json("r", &json, &RuleBounds::default()).unwrap();
    let mut rules = SensorRules::new([rule].into());
    let at = EventTime::from_micros(wall_clock());
    let reading = SensorReading {
        layer: "water_level",
        sensor,
        cell: 1,
        value: 4.0,
        at,
        areas: &[],
    };
    rules.observe("p0", reading);
    if ends {
        rules.observe(
            "p0",
            SensorReading {
                value: 1.0,
                at: at.plus(1),
                ..reading
            },
        );
    }
    rules.take_transitions()
}

async fn record(alerting: &Alerting, transitions: &[Transition]) {
    alerting
        .record(transitions, Notify::Send, wall_clock())
        .await
        .unwrap();
}

async fn wait_for_state(alerting: &Alerting, webhook: &str, wanted: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let told = rows(&alerting.decisions, webhook).await;
        let states: Vec<&str> = told.iter().rev().map(|row| row.state.as_str()).collect();
        if states == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "states are {states:?}, not {wanted:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn verify(endpoint: &Endpoint, received: &Received) {
    let key = standardwebhooks::Webhook::new(endpoint.secret.reveal()).unwrap();
    key.verify(received.body.as_bytes(), &received.headers).unwrap();
}

const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn a_receiver_that_fails_first_gets_the_same_id_again_and_the_signature_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let alerting = start(folder.path(), &[MS, MS, MS]).await;
    let receiver = Receiver::answering(&[500, 302]);
    let ops = endpoint(&alerting, "ops", receiver.listen().await).await;
    record(&alerting, &transitions(&["ops"], "a", false)).await;
    let received = receiver.wait_for(3).await;
    assert!(
        received
            .iter()
            .all(|request| request.id() == received[0].id() && request.body == received[0].body)
    );
    for request in &received {
        verify(&ops, request);
    }
    wait_for_state(&alerting, &ops.id, &["delivered"]).await;
    let told = rows(&alerting.decisions, &ops.id).await;
    let statuses: Vec<Option<i64>> = told[0]
        .attempt_rows
        .iter()
        .map(|attempt| attempt.status)
        .collect();
    assert_eq!(statuses, [Some(500), Some(302), Some(200)]);
    alerting.stop().await;
    alerting.decisions.close().await;
}

#[tokio::test]
async fn what_was_not_delivered_before_a_stop_is_delivered_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::answering(&[500]);
    let url = receiver.listen().await;
    let alerting = start(folder.path(), &[Duration::from_millis(200), MS]).await;
    let ops = endpoint(&alerting, "ops", url).await;
    record(&alerting, &transitions(&["ops"], "a", true)).await;
    receiver.wait_for(1).await;
    alerting.stop().await;
    alerting.decisions.close().await;
    drop(alerting);

    let alerting = start(folder.path(), &[MS; 3]).await;
    let received = receiver.wait_for(3).await;
    let kinds: Vec<String> = received.iter().map(Received::kind).collect();
    assert_eq!(kinds, ["alert.firing", "alert.firing", "alert.resolved"]);
    assert_eq!(received[0].id(), received[1].id());
    assert_ne!(received[1].id(), received[2].id());
    verify(&ops, &received[2]);
    wait_for_state(&alerting, &ops.id, &["delivered", "delivered"]).await;
    alerting.stop().await;
    alerting.decisions.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_an_attempt_it_is_made_again_under_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::answering(&[0]);
    let url = receiver.listen().await;
    // A runtime of its own, dropped with all its tasks where they stand.
    let killed = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let path = folder.path().to_owned();
    let first_life = killed.spawn(async move {
        let alerting = start(&path, &[MS; 3]).await;
        endpoint(&alerting, "ops", url).await;
        record(&alerting, &transitions(&["ops"], "a", false)).await;
        std::future::pending::<()>().await;
    });
    receiver.wait_for(1).await;
    tokio::task::spawn_blocking(move || drop(killed)).await.unwrap();
    assert!(first_life.await.unwrap_err().is_cancelled());

    let alerting = start(folder.path(), &[MS; 3]).await;
    let received = receiver.wait_for(2).await;
    assert_eq!(received[0].id(), received[1].id());
    let ops = alerting.decisions.endpoints().await.unwrap().remove(0);
    verify(&ops, &received[1]);
    wait_for_state(&alerting, &ops.id, &["delivered"]).await;
    alerting.stop().await;
    alerting.decisions.close().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let alerting = start(folder.path(), &[MS; 3]).await;
    let (hanging, well) = (Receiver::answering(&[0; 100]), Receiver::default());
    endpoint(&alerting, "hanging", hanging.listen().await).await;
    endpoint(&alerting, "well", well.listen().await).await;
    for number in 0..20 {
        record(
            &alerting,
            &transitions(&["hanging", "well"], &format!("s{number}"), false),
        )
        .await;
    }
    let started = Instant::now();
    let received = well.wait_for(20).await;
    assert!(
        started.elapsed() < Duration::from_secs(9),
        "the hanging one times out after 10 s"
    );
    let ids: std::collections::HashSet<String> = received.iter().map(Received::id).collect();
    assert_eq!((received.len(), ids.len()), (20, 20));
    // All are of one incident, which is told in order: one after the other.
    assert_eq!(hanging.received().len(), 1);
}

#[tokio::test]
async fn given_up_means_dead_and_a_replay_sends_it_under_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    let alerting = start(folder.path(), &[MS]).await;
    let receiver = Receiver::answering(&[500, 500]);
    let ops = endpoint(&alerting, "ops", receiver.listen().await).await;
    record(&alerting, &transitions(&["ops"], "a", false)).await;
    wait_for_state(&alerting, &ops.id, &["dead"]).await;
    assert_eq!(
        alerting
            .decisions
            .replay(&ops.id, Replay::AllDead, wall_clock())
            .await
            .unwrap(),
        1
    );
    alerting.deliveries.wake();
    let received = receiver.wait_for(3).await;
    assert!(received.iter().all(|request| request.id() == received[0].id()));
    wait_for_state(&alerting, &ops.id, &["delivered"]).await;
    alerting.stop().await;
    alerting.decisions.close().await;
}

#[tokio::test]
async fn gone_switches_the_webhook_off_until_a_test_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let alerting = start(folder.path(), &[MS; 3]).await;
    let receiver = Receiver::answering(&[410]);
    let ops = endpoint(&alerting, "ops", receiver.listen().await).await;
    record(&alerting, &transitions(&["ops"], "a", true)).await;
    wait_for_state(&alerting, &ops.id, &["dead", "dead"]).await;
    record(&alerting, &transitions(&["ops"], "b", false)).await;
    wait_for_state(&alerting, &ops.id, &["dead", "dead", "dead"]).await;
    assert!(
        alerting
            .decisions
            .replay(&ops.id, Replay::AllDead, wall_clock())
            .await
            .is_err()
    );
    alerting.decisions.enable_endpoint(&ops.id).await.unwrap();
    assert_eq!(
        alerting
            .decisions
            .replay(&ops.id, Replay::AllDead, wall_clock())
            .await
            .unwrap(),
        3
    );
    alerting.deliveries.wake();
    wait_for_state(&alerting, &ops.id, &["delivered", "delivered", "delivered"]).await;
    assert_eq!(receiver.received().len(), 4);
    alerting.stop().await;
    alerting.decisions.close().await;
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let alerting = start(folder.path(), &[MS; 3]).await;
    let receiver = Receiver::default();
    let headers = HeaderMap::from_iter([(axum::http::header::RETRY_AFTER, "1".parse().unwrap())]);
    receiver.answers.lock().unwrap().push((503, headers));
    endpoint(&alerting, "ops", receiver.listen().await).await;
    record(&alerting, &transitions(&["ops"], "a", false)).await;
    receiver.wait_for(1).await;
    let started = Instant::now();
    receiver.wait_for(2).await;
    assert!(
        started.elapsed() > Duration::from_millis(900),
        "{:?}",
        started.elapsed()
    );
    alerting.stop().await;
    alerting.decisions.close().await;
}

#[tokio::test]
async fn a_clock_that_is_set_neither_holds_up_an_attempt_nor_brings_it_forward() {
    const WAIT: Duration = Duration::from_millis(1_500);
    const HOUR: i64 = 3_600_000_000;
    let folder = tempfile::tempdir().unwrap();
    let set_by = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let clock: Clock = {
        let set_by = Arc::clone(&set_by);
        Arc::new(move || wall_clock() + set_by.load(std::sync::atomic::Ordering::Relaxed))
    };
    let alerting = start_by(folder.path(), &[WAIT; 4], clock).await;
    let receiver = Receiver::answering(&[500, 500, 500]);
    let ops = endpoint(&alerting, "ops", receiver.listen().await).await;
    record(&alerting, &transitions(&["ops"], "a", false)).await;
    let mut came = 1;
    receiver.wait_for(came).await;
    for jump in [-HOUR, 2 * HOUR, -1_000 * 24 * HOUR] {
        let began = Instant::now();
        tokio::time::sleep(Duration::from_millis(100)).await;
        set_by.fetch_add(jump, std::sync::atomic::Ordering::Relaxed);
        alerting.deliveries.wake();
        came += 1;
        receiver.wait_for(came).await;
        // A wait is spread by a fifth.
        assert!(
            began.elapsed() > WAIT / 2,
            "brought forward, the clock set by {jump}"
        );
    }
    wait_for_state(&alerting, &ops.id, &["delivered"]).await;
    // What is new is due at once, though its time is later than the clock's.
    record(&alerting, &transitions(&["ops"], "b", false)).await;
    receiver.wait_for(came + 1).await;
    alerting.stop().await;
    alerting.decisions.close().await;
}

#[tokio::test]
async fn what_a_receiver_does_not_take_thrice_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let alerting = start(folder.path(), &[MS; 9]).await;
    let receiver = Receiver::answering(&[400, 500, 422, 413]);
    let ops = endpoint(&alerting, "ops", receiver.listen().await).await;
    record(&alerting, &transitions(&["ops"], "a", false)).await;
    wait_for_state(&alerting, &ops.id, &["dead"]).await;
    let told = rows(&alerting.decisions, &ops.id).await;
    assert_eq!((told[0].attempts, told[0].status), (4, Some(413)));
    assert_eq!(receiver.received().len(), 4);
    alerting.stop().await;
    alerting.decisions.close().await;
}
