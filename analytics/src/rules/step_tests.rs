use proptest::prelude::*;
use serde_json::json;

use super::super::rule::RuleBounds;
use super::*;

fn rule(hold: &str) -> Rule {
    let json = json!({"name": "river high", "kind": "threshold", "layer": "water_level", "per": "sensor",
        "above": 3.5, "clear_below": 3.2, "for": hold, "severity": "major"});
    Rule::from_json("r", &json, &RuleBounds::default()).unwrap()
}

fn feed(rule: &Rule, readings: &[(i64, f64)]) -> (Option<InstanceState>, Vec<Change>) {
    let mut all = Vec::new();
    let mut state = None;
    for (at, value) in readings {
        let (next, changes) = step(state, *value, micros(*at), rule);
        state = Some(next);
        all.extend(changes);
    }
    (state, all)
}

const SECOND: i64 = 1_000_000;

fn micros(micros: i64) -> EventTime {
    EventTime::from_micros(micros)
}

#[test]
fn without_a_duration_it_fires_at_once_and_resolves_below_the_lower_limit() {
    let (_, changes) = feed(
        &rule("0s"),
        &[(0, 3.5), (10, 3.6), (20, 3.3), (30, 3.2), (40, 3.1)],
    );
    let expected = [
        Change::Fired {
            at: micros(10),
            since: micros(10),
            value: 3.6,
        },
        Change::Resolved {
            at: micros(40),
            fired_at: micros(10),
            value: 3.1,
        },
    ];
    assert_eq!(changes, expected);
}

#[test]
fn a_timer_that_ran_out_before_the_next_reading_fires_at_its_own_time() {
    let (_, changes) = feed(&rule("2m"), &[(0, 4.0), (600 * SECOND, 1.0)]);
    let expected = [
        Change::Fired {
            at: micros(120 * SECOND),
            since: micros(0),
            value: 4.0,
        },
        Change::Resolved {
            at: micros(600 * SECOND),
            fired_at: micros(120 * SECOND),
            value: 1.0,
        },
    ];
    assert_eq!(changes, expected);
}

#[test]
fn the_reading_at_the_very_end_of_the_duration_decides() {
    assert_eq!(feed(&rule("2m"), &[(0, 4.0), (120 * SECOND, 1.0)]).1, []);
    let fired = Change::Fired {
        at: micros(120 * SECOND),
        since: micros(0),
        value: 4.1,
    };
    assert_eq!(feed(&rule("2m"), &[(0, 4.0), (120 * SECOND, 4.1)]).1, [fired]);
}

#[test]
fn a_dip_below_the_limit_starts_the_duration_again() {
    let (state, changes) = feed(
        &rule("2m"),
        &[
            (0, 4.0),
            (60 * SECOND, 3.4),
            (90 * SECOND, 4.0),
            (150 * SECOND, 4.0),
        ],
    );
    assert_eq!(changes, []);
    assert_eq!(
        state.unwrap().phase,
        Phase::Pending {
            since: micros(90 * SECOND)
        }
    );
}

#[test]
fn a_late_reading_changes_nothing() {
    let (before, _) = feed(&rule("0s"), &[(100, 1.0)]);
    let (after, changes) = feed(&rule("0s"), &[(100, 1.0), (50, 9.0)]);
    assert_eq!((after, changes), (before, vec![]));
}

fn readings() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let reading = (0i64..90, prop_oneof![3.0..3.9f64, Just(3.2), Just(3.5)]);
    prop::collection::vec(reading, 0..60).prop_map(|steps| {
        let mut at = 0;
        steps
            .into_iter()
            .map(|(gap, value)| {
                at += gap * SECOND;
                (at, value)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn firing_and_resolved_alternate_and_each_crossed_its_limit(readings in readings(), hold in 0u32..180) {
        let rule = rule(&format!("{hold}s"));
        let (_, changes) = feed(&rule, &readings);
        for (index, change) in changes.iter().enumerate() {
            match change {
                Change::Fired { value, .. } => prop_assert!(index % 2 == 0 && *value > 3.5),
                Change::Resolved { value, .. } => prop_assert!(index % 2 == 1 && *value < 3.2),
            }
        }
    }

    #[test]
    fn values_between_the_limits_never_change_anything(
        start in prop_oneof![Just(9.0), Just(0.0)], between in prop::collection::vec(3.2..=3.5f64, 0..40),
    ) {
        let rule = rule("0s");
        let (mut state, _) = step(None, start, micros(0), &rule);
        for (index, value) in between.into_iter().enumerate() {
            let (next, changes) = step(Some(state), value, micros(index as i64 + 1), &rule);
            prop_assert!(changes.is_empty());
            state = next;
        }
    }

    #[test]
    fn when_timers_are_looked_at_does_not_matter(
        readings in readings(), hold in 0u32..180, looks in prop::collection::vec(0i64..100, 60),
    ) {
        let rule = rule(&format!("{hold}s"));
        let (_, expected) = feed(&rule, &readings);
        let mut found = Vec::new();
        let mut state = None;
        for ((at, value), look) in readings.iter().zip(looks) {
            if let Some(before) = state {
                let (advanced, change) = advance(before, micros(at - look * SECOND), &rule);
                found.extend(change);
                state = Some(advanced);
            }
            let (next, changes) = step(state, *value, micros(*at), &rule);
            state = Some(next);
            found.extend(changes);
        }
        prop_assert_eq!(found, expected);
    }
}
