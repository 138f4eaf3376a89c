//! Events that come late, to times that rules have judged.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::server::{Server, eventually, reading_at};

/// The alerts of the rule, oldest first.
async fn alerts(server: &Server) -> Vec<Value> {
    let mut alerts = server.get("/v1/alerts?rule=mean").await.body["alerts"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    alerts.reverse();
    alerts
}

async fn post(server: &Server, readings: Vec<Value>) {
    let answer = server
        .post(
            "application/cloudevents-batch+json",
            Value::Array(readings).to_string(),
        )
        .await;
    assert_eq!(answer.status, 202, "{}", answer.body);
}

/// The rule has judged this time.
async fn judged(server: &Server, at: DateTime<Utc>) {
    let at = format!("{:?}", at.naive_utc());
    let sql = format!("SELECT name FROM rules WHERE evaluated_to > '{at}Z'");
    eventually("the time is judged", async || {
        (!server.rows(&sql).await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn late_data_take_an_alert_back_and_make_one_at_its_own_time() {
    let mut server = Server::not_started();
    server.configure("[grid]\nbucket = \"1s\"\nallowed_lateness = \"0s\"\nidle_after = \"1s\"\n");
    server.restart();
    let rule = json!({"name": "mean", "kind": "threshold", "layer": "water_level", "per": "cell", "metric": "mean",
        "window": "1m", "above": 5, "severity": "major"});
    let made = server.post_json("/v1/rules", &rule).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let begun = Utc::now();
    post(&server, vec![reading_at("a0", "a", 1.0, begun)]).await;
    judged(&server, begun + TimeDelta::seconds(5)).await;
    // A second that was judged, and of which nobody had said anything.
    let quiet = begun + TimeDelta::seconds(3);
    post(&server, vec![reading_at("b0", "b", 100.0, quiet)]).await;
    let fired = eventually("an alert of what came late", async || {
        alerts(&server).await.first().cloned()
    })
    .await;
    let fired_at: DateTime<Utc> = fired["fired_at"].as_str().unwrap().parse().unwrap();
    let after = fired_at - quiet;
    assert!(
        after > TimeDelta::zero() && after <= TimeDelta::seconds(1),
        "{fired_at}: the first time behind {quiet}"
    );
    // More came of that second: the mean was not over the limit.
    let more = (0..30).map(|number| reading_at(&format!("c{number}"), &format!("c{number}"), 0.0, quiet));
    post(&server, more.collect()).await;
    let over = eventually("it is taken back", async || {
        let alerts = alerts(&server).await;
        alerts.into_iter().find(|alert| alert["state"] == "resolved")
    })
    .await;
    assert_eq!(
        (&over["id"], &over["reason"]),
        (&fired["id"], &json!("retracted"))
    );
    // Nobody is told the same twice, and a restart judges the same.
    server.kill();
    server.restart();
    judged(&server, Utc::now()).await;
    assert_eq!(alerts(&server).await.len(), 1);
    let metrics = server.client.get(format!("{}/metrics", server.url));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("riskgrid_rule_revisions_total"), "{metrics}");
}
