//! The life of an alert in a whole server: what happens to it when nothing more comes.

use serde_json::json;

use crate::server::{Server, eventually, reading};

#[tokio::test]
async fn a_duration_runs_out_and_a_silent_sensor_expires_without_another_event() {
    let server = Server::start();
    let rule = json!({"name": "river high", "kind": "threshold", "layer": "water_level", "per": "sensor",
        "above": 3.5, "clear_below": 3.2, "for": "2s", "stale_after": "5s", "severity": "major"});
    let made = server.post_json("/v1/rules", &rule).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(
        (&made.body["keep_firing_for"], &made.body["stale_after"]),
        (&json!("0s"), &json!("5s"))
    );
    let high = reading("1", "river-7", 3.62, 0).to_string();
    assert_eq!(server.post("application/json", high).await.status, 202);
    for state in ["firing", "expired"] {
        eventually(state, async || {
            let alerts = server.get(&format!("/v1/alerts?state={state}")).await.body;
            (alerts["alerts"][0]["sensor"] == "river-7").then_some(())
        })
        .await;
    }
    let sql = "SELECT count(*) FROM alerts WHERE state = 'expired' AND resolved_at > fired_at";
    assert_eq!(server.rows(sql).await, [json!([1])]);
    assert_eq!(server.rows("SELECT count(*) FROM silences").await, [json!([0])]);
}
