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
        at: EventTime::from_micros(at),
        areas: &[],
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
        (fired.value, fired.at.micros(), fired.fired_at.micros()),
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
    evaluator.advance("p0", EventTime::from_micros(121 * SECOND));
    evaluator.observe("p0", reading("a", 4.0, 130 * SECOND));
    let fired: Vec<(String, i64)> = evaluator
        .take_transitions()
        .into_iter()
        .map(|transition| (transition.rule, transition.at.micros()))
        .collect();
    let expected = [
        ("after_two_minutes".to_owned(), 120 * SECOND),
        ("at_once".to_owned(), 130 * SECOND),
    ];
    assert_eq!(fired, expected);
}

#[test]
fn a_state_of_another_format_is_refused() {
    let restored = |saved: Vec<u8>| SensorRules::new(rules()).restore("p0", &[(1, saved)]);
    assert!(matches!(
        restored(vec![99, 1, 2]),
        Err(RestoreError::Format { found: 99 })
    ));
    assert!(matches!(
        restored(vec![FORMAT, 200]),
        Err(RestoreError::Damaged(_))
    ));
}

#[test]
fn sensors_at_rest_cost_nothing_and_a_step_holds_what_changed_only() {
    let mut rules = SensorRules::new(self::rules());
    for number in 0..1_000 {
        rules.observe("p0", reading(&format!("calm {number}"), 1.0, 0));
        rules.observe("p0", reading(&format!("high {number}"), 4.0, 0));
    }
    rules.advance("p0", EventTime::from_micros(130 * SECOND));
    assert_eq!(rules.instances(), 2_000);
    let whole = rules.save("p0", after(0, 1));
    for number in 0..1_000 {
        rules.observe("p0", reading(&format!("calm {number}"), 2.0, 140 * SECOND));
    }
    rules.observe("p0", reading("high 7", 1.0, 150 * SECOND));
    let step = rules.save("p0", after(1, 2));
    assert!(
        whole.len() > 40_000 && step.len() < 100,
        "{} {}",
        whole.len(),
        step.len()
    );
    // of a sensor that fires it is kept when it was heard of last
    for number in 10..20 {
        rules.observe("p0", reading(&format!("high {number}"), 4.5, 160 * SECOND));
    }
    let heard = rules.save("p0", after(2, 3));
    assert!((100..2_000).contains(&heard.len()), "{}", heard.len());
    let mut restored = SensorRules::new(self::rules());
    restored
        .restore("p0", &[(1, whole), (2, step), (3, heard)])
        .unwrap();
    assert_eq!(restored.instances(), 1_998);
}

/// A sensor of a saved state: its newest reading, phase and cell.
type SavedSensor<'a> = (&'a str, Option<(i64, f64, super::super::step::Phase, u64)>);
type SavedRules<'a> = Vec<(&'a str, Vec<SavedSensor<'a>>)>;

#[test]
fn a_state_of_the_format_before_is_read_and_what_changed_after_it_is_known() {
    // As that format was: everything, sensors at rest too.
    let old = |sensors: &[(&str, f64)]| {
        let mut rules = SensorRules::new(self::rules());
        for (sensor, value) in sensors {
            rules.observe("p0", reading(sensor, *value, 0));
        }
        let whole = rules.save("p0", after(0, 1));
        let state: SavedRules<'_> = postcard::from_bytes(&whole[1..]).unwrap();
        let state: Vec<_> = state
            .into_iter()
            .map(|(rule, of_rule)| {
                let all = of_rule
                    .into_iter()
                    .map(|(sensor, instance)| (sensor, instance.unwrap()));
                let mut all: Vec<_> = all.collect();
                all.push(("calm", (0, 1.0, super::super::step::Phase::Quiet, CELL)));
                (rule, all)
            })
            .collect();
        postcard::to_extend(&state, vec![1]).unwrap()
    };
    let steps = [
        (1, old(&[("a", 4.0), ("b", 4.0)])),
        (2, old(&[("b", 4.0), ("c", 4.0)])),
    ];
    let mut restored = SensorRules::new(rules());
    restored.restore("p0", &steps).unwrap();
    assert_eq!(restored.instances(), 4);
    // The second step is written anew: what the first one said of `a` must not come back.
    let anew = restored.save("p0", after(1, 3));
    let mut again = SensorRules::new(rules());
    again.restore("p0", &[steps[0].clone(), (3, anew)]).unwrap();
    assert_eq!(again.save("p0", after(0, 4)), restored.save("p0", after(0, 4)));
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
        evaluator.advance("p0", EventTime::from_micros(*newest - 60 * SECOND));
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
        let checkpoint = straight.save("p0", after(0, 1));
        expected.extend(feed(&mut straight, &stream[cut..], &mut newest));

        let mut restarted = SensorRules::new(rules());
        restarted.restore("p0", &[(1, checkpoint.clone())]).unwrap();
        prop_assert_eq!(&restarted.save("p0", after(0, 1)), &checkpoint);
        let mut newest = newest_at_cut;
        let again = feed(&mut restarted, &stream[cut..], &mut newest);
        prop_assert_eq!(restarted.save("p0", after(0, 2)), straight.save("p0", after(0, 2)));
        let tail = &expected[expected.len() - again.len()..];
        prop_assert_eq!(again.as_slice(), tail);
    }

    /// The grid tells of each sensor's newest readings only. Checkpoints are chains whose steps are written, fail, are
    /// merged as it comes, with a kill after any of them.
    #[test]
    fn a_chain_of_changes_gives_the_same_as_no_restart(
        stream in stream(), saves in prop::collection::vec((1usize..8, 0usize..6, 0u8..10), 1..30),
    ) {
        let mut newest_of: std::collections::BTreeMap<&str, i64> = std::collections::BTreeMap::new();
        let in_order: Vec<Fed> = stream
            .into_iter()
            .filter(|fed| {
                let newest = newest_of.entry(fed.sensor).or_insert(i64::MIN);
                let is_newest = fed.at >= *newest;
                *newest = fed.at.max(*newest);
                is_newest
            })
            .collect();
        let (mut straight, mut killed) = (SensorRules::new(rules()), SensorRules::new(rules()));
        let (mut newest, mut newest_of_killed) = (i64::MIN / 2, i64::MIN / 2);
        let mut chain: Vec<(u64, Vec<u8>)> = Vec::new();
        let (mut generation, mut saved_at, mut newest_saved) = (0, 0, i64::MIN / 2);
        let mut at = 0;
        for (read, merged, fate) in saves {
            let end = (at + read).min(in_order.len());
            let expected = feed(&mut straight, &in_order[at..end], &mut newest);
            let found = feed(&mut killed, &in_order[at..end], &mut newest_of_killed);
            prop_assert_eq!(found, expected);
            at = end;
            generation += 1;
            let kept = chain.len().saturating_sub(merged);
            let since = kept.checked_sub(1).map_or(0, |last| chain[last].0);
            let step = killed.save("p0", after(since, generation));
            // One in five is not written.
            if fate >= 2 {
                chain.truncate(kept);
                chain.push((generation, step));
                (saved_at, newest_saved) = (at, newest);
            }
            // One in three is followed by a kill; what was read since is read again.
            if fate % 3 == 0 {
                killed = SensorRules::new(rules());
                killed.restore("p0", &chain).unwrap();
                generation = chain.last().map_or(0, |last| last.0);
                newest_of_killed = newest_saved;
                feed(&mut killed, &in_order[saved_at..at], &mut newest_of_killed);
            }
        }
        let rest = &in_order[at..];
        prop_assert_eq!(feed(&mut killed, rest, &mut newest_of_killed), feed(&mut straight, rest, &mut newest));
    }
}

fn after(since: u64, generation: u64) -> Step {
    Step { since, generation }
}
