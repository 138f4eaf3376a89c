use proptest::prelude::*;
use serde_json::json;

use super::super::partition::FORMAT;
use super::super::rule::RuleBounds;
use super::super::transition::TransitionKind;
use super::*;

const SECOND: i64 = 1_000_000;
const CELL: u64 = 0x0894_11d3_68b7_ffff;

fn rule(id: &str, hold: &str) -> Rule {
    let json = json!({"name": id, "kind": "threshold", "layer": "water_level", "per": "sensor",
        "above": 3.5, "clear_below": 3.2, "for": hold, "severity": "major", "webhooks": ["ops"]});
    Rule::from_json(id, &json, &RuleBounds::default()).unwrap()
}

fn rules() -> Arc<[Rule]> {
    [rule("at_once", "0s"), rule("after_two_minutes", "2m")].into()
}

fn reading(sensor: &str, value: f64, at: i64) -> SensorReading<'_> {
    SensorReading {
        layer: "water_level",
        sensor,
        cell: CELL,
        value,
        at,
    }
}

#[test]
fn a_transition_tells_who_what_and_why() {
    let mut rules = SensorRules::new([rule("river", "0s")].into());
    rules.observe("p0", reading("river-7", 3.62, 5 * SECOND));
    let transitions = rules.take_transitions();
    let [fired] = transitions.as_slice() else {
        panic!("one transition, not {transitions:?}")
    };
    assert_eq!(
        (fired.kind, fired.sensor.as_deref(), fired.cell),
        (TransitionKind::Firing, Some("river-7"), Some(CELL))
    );
    assert_eq!(
        (fired.value, fired.at, fired.fired_at),
        (3.62, 5 * SECOND, 5 * SECOND)
    );
    assert_eq!(fired.episode.len(), 32);
    let evidence = json!({"metric": "last", "value": 3.62, "comparison": "above", "limit": 3.5, "clear_below": 3.2,
        "for": "0s", "since": "1970-01-01T00:00:05Z"});
    assert_eq!(fired.evidence, evidence);
    rules.observe("p0", reading("river-7", 3.0, 9 * SECOND));
    let resolved = rules.take_transitions();
    assert_eq!(resolved[0].kind, TransitionKind::Resolved);
    assert_eq!(resolved[0].episode, fired.episode);
}

#[test]
fn other_layers_and_other_sensors_are_not_touched() {
    let mut rules = SensorRules::new(rules());
    rules.observe(
        "p0",
        SensorReading {
            layer: "rain",
            ..reading("river-7", 9.0, 0)
        },
    );
    rules.observe("p0", reading("river-8", 3.0, 0));
    assert_eq!(rules.take_transitions(), []);
}

#[test]
fn a_rule_made_at_run_time_judges_from_then_on_and_others_keep_their_state() {
    let mut evaluator = SensorRules::new([rule("after_two_minutes", "2m")].into());
    evaluator.observe("p0", reading("a", 4.0, 0));
    evaluator.set_rules(rules());
    evaluator.advance("p0", 121 * SECOND);
    evaluator.observe("p0", reading("a", 4.0, 130 * SECOND));
    let fired: Vec<(String, i64)> = evaluator
        .take_transitions()
        .into_iter()
        .map(|transition| (transition.rule, transition.at))
        .collect();
    let expected = [
        ("after_two_minutes".to_owned(), 120 * SECOND),
        ("at_once".to_owned(), 130 * SECOND),
    ];
    assert_eq!(fired, expected);
}

#[test]
fn a_state_of_another_format_is_refused() {
    let refused = SensorRules::new(rules()).restore("p0", &[99, 1, 2]);
    assert!(matches!(refused, Err(RestoreError::Format { found: 99 })));
    assert!(matches!(
        SensorRules::new(rules()).restore("p0", &[FORMAT, 200]),
        Err(RestoreError::Damaged(_))
    ));
}

#[derive(Clone, Debug)]
struct Fed {
    sensor: &'static str,
    value: f64,
    at: i64,
}

fn stream() -> impl Strategy<Value = Vec<Fed>> {
    let fed = (
        prop_oneof![Just("a"), Just("b"), Just("c")],
        3.0..4.0f64,
        0i64..60,
        0i64..90,
    );
    prop::collection::vec(fed, 1..80).prop_map(|fed| {
        let mut newest = 0;
        fed.into_iter()
            .map(|(sensor, value, gap, late)| {
                newest += gap * SECOND;
                Fed {
                    sensor,
                    value,
                    at: newest - late.saturating_sub(60) * SECOND,
                }
            })
            .collect()
    })
}

/// Feeds readings, the watermark a minute behind the newest.
fn feed(evaluator: &mut SensorRules, stream: &[Fed], newest: &mut i64) -> Vec<Transition> {
    for fed in stream {
        evaluator.observe("p0", reading(fed.sensor, fed.value, fed.at));
        *newest = (*newest).max(fed.at);
        evaluator.advance("p0", *newest - 60 * SECOND);
    }
    evaluator.take_transitions()
}

proptest! {
    #[test]
    fn the_same_events_from_any_checkpoint_give_the_same_transitions(stream in stream(), cut in 0usize..80) {
        let cut = cut.min(stream.len());
        let mut newest = i64::MIN / 2;
        let mut straight = SensorRules::new(rules());
        let mut expected = feed(&mut straight, &stream[..cut], &mut newest);
        let newest_at_cut = newest;
        let checkpoint = straight.save("p0");
        expected.extend(feed(&mut straight, &stream[cut..], &mut newest));

        let mut restarted = SensorRules::new(rules());
        restarted.restore("p0", &checkpoint).unwrap();
        prop_assert_eq!(&restarted.save("p0"), &checkpoint);
        let mut newest = newest_at_cut;
        let again = feed(&mut restarted, &stream[cut..], &mut newest);
        prop_assert_eq!(restarted.save("p0"), straight.save("p0"));
        let tail = &expected[expected.len() - again.len()..];
        prop_assert_eq!(again.as_slice(), tail);
    }
}
