//! What late data, emergencies and edits change of alerts that are stored, and who is told.

use riskgrid_analytics::rules::{Rule, RuleBounds, Transition};
use riskgrid_ingest::EventTime;
use serde_json::{Value, json};

use super::tests::{SECOND, START, by, decided, deed, endpoint, opened, taken_by_anna};
use super::*;

fn rule(extra: &Value) -> Rule {
    let mut json = json!({"name": "river", "kind": "threshold", "layer": "water_level", "per": "sensor", "above": 3.5,
        "severity": "major", "webhooks": ["ops"]});
    for (key, value) in extra.as_object().unwrap() {
        json[key] = value.clone();
    }
    Rule::from_json("r", &json, &RuleBounds::default()).unwrap()
}

fn at(second: i64) -> EventTime {
    EventTime::from_micros(START + second * SECOND)
}

/// An episode of a sensor as a rerun tells it.
fn rerun(rule: &Rule, sensor: &str, begins: i64, ends: Option<i64>) -> RerunEpisode {
    let mut readings = vec![(begins, 4.0)];
    readings.extend(ends.map(|ends| (ends, 3.0)));
    let mut transitions = decided(rule, sensor, &readings).into_iter();
    RerunEpisode {
        instance: sensor.to_owned(),
        fired_at: at(begins),
        firing: transitions.next(),
        end: transitions.next(),
    }
}

struct Stand {
    _folder: tempfile::TempDir,
    decisions: Decisions,
    rule: Rule,
}

impl Stand {
    async fn with(rule: Rule) -> Self {
        let (folder, decisions) = opened().await;
        for name in ["ops", "mayor"] {
            endpoint(&decisions, name, vec![]).await;
        }
        decisions.create_rule(&rule, &by(START)).await.unwrap();
        Self {
            _folder: folder,
            decisions,
            rule,
        }
    }

    async fn record(&self, transitions: &[Transition]) {
        let now = START + 3_600 * SECOND;
        self.decisions
            .record(transitions, Notify::Send, now, None)
            .await
            .unwrap();
    }

    async fn revise(&self, from: i64, until: i64, episodes: &[RerunEpisode]) -> Vec<String> {
        let revision = RuleRevision {
            rule: &self.rule,
            standing: crate::database::Standing::Alone,
            from: at(from),
            evaluated: at(until),
            episodes,
            changes: &[],
            past: &[],
        };
        let now = START + 3_600 * SECOND;
        let (_, over) = self
            .decisions
            .record_revision(&revision, Notify::Send, now)
            .await
            .unwrap();
        over.into_iter().collect()
    }

    /// Sensor, state, reason and seconds of each alert, and its transitions.
    async fn told(&self) -> Vec<String> {
        let query = AlertQuery {
            limit: 100,
            ..AlertQuery::default()
        };
        let mut lines = Vec::new();
        for alert in self.decisions.alerts(&query).await.unwrap().alerts {
            let steps = self
                .decisions
                .transition_lines(Some(&alert.id), None)
                .await
                .unwrap();
            let steps: Vec<String> = steps
                .iter()
                .map(|step| format!("{} {} {}", step.number, step.kind, step.notify))
                .collect();
            let second = |at: i64| (at - START) / SECOND;
            lines.push(format!(
                "{} {} {} {}-{:?}: {}",
                alert.instance,
                alert.severity,
                alert.state.name(),
                second(alert.fired_at),
                alert.resolved_at.map(second),
                steps.join(", ")
            ));
        }
        lines.sort();
        lines
    }
}

#[tokio::test]
async fn an_episode_made_again_is_the_one_it_overlaps_and_what_none_overlaps_is_retracted() {
    let stand = Stand::with(rule(&json!({}))).await;
    let rule = &stand.rule;
    // a goes on, b and c would not have been, d ends, e had ended and goes on, f is from before.
    for (sensor, readings) in [
        ("a", vec![(20, 4.0)]),
        ("b", vec![(21, 4.0)]),
        ("c", vec![(22, 4.0), (25, 3.0)]),
        ("d", vec![(23, 4.0)]),
        ("e", vec![(24, 4.0), (26, 3.0)]),
        ("f", vec![(1, 4.0), (5, 3.0)]),
    ] {
        stand.record(&decided(rule, sensor, &readings)).await;
    }
    let episodes = [
        rerun(rule, "a", 30, None),
        rerun(rule, "d", 22, Some(40)),
        rerun(rule, "e", 25, None),
        rerun(rule, "g", 33, Some(44)),
        rerun(rule, "h", 34, None),
    ];
    let expected = [
        "a major firing 20-None: 1 firing sent",
        "b major resolved 21-Some(60): 1 firing sent, 2 resolved sent",
        "c major resolved 22-Some(25): 1 firing sent, 2 resolved sent, 3 retracted sent",
        "d major resolved 23-Some(40): 1 firing sent, 2 resolved sent",
        "e major resolved 24-Some(26): 1 firing sent, 2 resolved sent",
        "f major resolved 1-Some(5): 1 firing sent, 2 resolved sent",
        "g major resolved 33-Some(44): 1 firing sent, 2 resolved sent",
        "h major firing 34-None: 1 firing sent",
    ];
    assert_eq!(
        stand.revise(10, 60, &episodes).await,
        ["e"],
        "its alert is over: the next value is a new episode"
    );
    assert_eq!(stand.told().await, expected);
    // Once more it changes nothing.
    stand.revise(10, 61, &episodes).await;
    assert_eq!(stand.told().await, expected);
    // And what was retracted and would have been after all is not begun twice.
    let after_all = [rerun(rule, "b", 21, None)];
    let over = stand
        .revise(10, 62, &[episodes.as_slice(), after_all.as_slice()].concat())
        .await;
    assert_eq!(over, ["b", "e"]);
    assert_eq!(stand.told().await, expected);
    let ops = stand.decisions.endpoints().await.unwrap();
    let ops = ops.iter().find(|endpoint| endpoint.name == "ops").unwrap();
    let query = DeliveryQuery {
        limit: 100,
        ..DeliveryQuery::default()
    };
    let (rows, _) = stand.decisions.deliveries(&ops.id, &query).await.unwrap();
    let retracted = rows.iter().filter(|row| row.r#type == "alert.retracted");
    assert_eq!(retracted.count(), 1);
}

#[tokio::test]
async fn an_edit_that_makes_a_rule_graver_tells_of_its_open_alerts_and_gives_back_what_was_taken() {
    let stand = Stand::with(rule(&json!({}))).await;
    stand.record(&decided(&stand.rule, "a", &[(1, 4.0)])).await;
    stand
        .record(&decided(&stand.rule, "b", &[(1, 4.0), (2, 3.0)]))
        .await;
    let alert = stand
        .decisions
        .alerts(&AlertQuery {
            limit: 9,
            states: vec![AlertState::Firing],
            ..AlertQuery::default()
        })
        .await
        .unwrap();
    stand
        .decisions
        .acknowledge(&alert.alerts[0].id, &taken_by_anna(), START, &deed())
        .await
        .unwrap();
    let graver = rule(&json!({"severity": "critical"}));
    stand
        .decisions
        .update_rule(&graver, 1, None, &by(START))
        .await
        .unwrap();
    let now = START + 9 * SECOND;
    let recorded = stand.decisions.update_open(Some("r"), now).await.unwrap();
    assert_eq!((recorded.alerts.len(), recorded.queued), (1, 1));
    let expected = [
        "a critical firing 1-None: 1 firing sent, 2 acknowledged none, 3 updated sent",
        "b major resolved 1-Some(2): 1 firing sent, 2 resolved sent",
    ];
    assert_eq!(stand.told().await, expected);
    assert!(
        stand
            .decisions
            .update_open(Some("r"), now)
            .await
            .unwrap()
            .alerts
            .is_empty()
    );
    // Less grave is told too, and what was taken stays so.
    let milder = rule(&json!({"severity": "minor"}));
    stand
        .decisions
        .acknowledge(&alert.alerts[0].id, &taken_by_anna(), now, &deed())
        .await
        .unwrap();
    stand
        .decisions
        .update_rule(&milder, 2, None, &by(START))
        .await
        .unwrap();
    stand.decisions.update_open(Some("r"), now).await.unwrap();
    assert_eq!(
        stand.told().await[0],
        "a minor acknowledged 1-None: 1 firing sent, 2 acknowledged none, 3 updated sent, 4 acknowledged none, \
         5 updated sent"
    );
}
