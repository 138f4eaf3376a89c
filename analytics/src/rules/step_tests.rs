use proptest::prelude::*;
use serde_json::json;

use super::super::rule::RuleBounds;
use super::*;

fn rule(hold: &str) -> Rule {
    rule_that_keeps(hold, "0s", "365d")
}

fn rule_that_keeps(hold: &str, keep: &str, stale: &str) -> Rule {
    let json = json!({"name": "river high", "kind": "threshold", "layer": "water_level", "per": "sensor",
        "above": 3.5, "clear_below": 3.2, "for": hold, "keep_firing_for": keep, "stale_after": stale,
        "severity": "major"});
    Rule::from_json("r", &json, &RuleBounds::default()).unwrap()
}

fn step(
    state: Option<InstanceState>,
    value: f64,
    at: EventTime,
    rule: &Rule,
) -> (InstanceState, Vec<Change>) {
    let verdict = rule.what.limit().unwrap().judge(value);
    super::step(state, Judged { verdict, value }, at, &Pace::from(rule))
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
                Change::Expired { .. } => prop_assert!(false, "nothing is old here"),
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
        readings in sparse_readings(), rule in any_rule(), looks in prop::collection::vec(0i64..400, 60),
    ) {
        let (_, expected) = feed_to_the_end(&rule, &readings);
        let mut found = Vec::new();
        let mut state = None;
        for ((at, value), look) in readings.iter().zip(looks) {
            state = state.map(|before| advance_all(before, micros(at - look * SECOND), &Pace::from(&rule), &mut found));
            let (next, changes) = step(state, *value, micros(*at), &rule);
            state = Some(next);
            found.extend(changes);
        }
        if let Some(state) = state {
            advance_all(state, END, &Pace::from(&rule), &mut found);
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn episodes_never_overlap_and_each_was_over_for_as_long_as_it_had_to_be(
        readings in sparse_readings(), rule in any_rule(),
    ) {
        let (state, changes) = feed_to_the_end(&rule, &readings);
        let mut newest = micros(0);
        let mut open = None;
        for change in changes {
            let (at, began) = match change {
                Change::Fired { at, since, .. } => {
                    prop_assert!(open.replace(at).is_none());
                    prop_assert!(plus(since, rule.hold) <= at);
                    // of several readings at the time when it began the last one began it
                    let meanwhile = readings.iter().filter(|(t, _)| micros(*t) > since && micros(*t) < at);
                    prop_assert!(meanwhile.into_iter().all(|(_, value)| *value > 3.5));
                    (at, at)
                }
                Change::Resolved { at, fired_at, value } => {
                    prop_assert!(value < 3.2);
                    prop_assert_eq!(open.take(), Some(fired_at));
                    (at, fired_at)
                }
                Change::Expired { at, fired_at, .. } => {
                    prop_assert_eq!(open.take(), Some(fired_at));
                    (at, fired_at)
                }
            };
            prop_assert!(newest <= at && began <= at);
            newest = at;
        }
        // What is stale at the end has expired, so nothing is open.
        prop_assert!(state.is_none_or(|state| state.phase == Phase::Quiet));
    }
}

/// Long after all readings.
const END: EventTime = EventTime::from_micros(1_000_000_000 * SECOND);

fn feed_to_the_end(rule: &Rule, readings: &[(i64, f64)]) -> (Option<InstanceState>, Vec<Change>) {
    let (state, mut changes) = feed(rule, readings);
    (
        state.map(|state| advance_all(state, END, &Pace::from(rule), &mut changes)),
        changes,
    )
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let stale = prop_oneof![Just("5m"), Just("30d")];
    (
        prop_oneof![Just("0s"), Just("1m"), Just("2m")],
        prop_oneof![Just("0s"), Just("30s"), Just("90s")],
        stale,
    )
        .prop_map(|(hold, keep, stale)| rule_that_keeps(hold, keep, stale))
}

fn sparse_readings() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let gap = prop::sample::select(vec![0, 5, 30, 61, 400]);
    let value = prop::sample::select(vec![3.0, 3.1, 3.2, 3.3, 3.5, 3.6, 3.9]);
    prop::collection::vec((gap, value), 0..40).prop_map(|steps| {
        let mut at = 0;
        let readings = steps.into_iter().map(|(gap, value)| {
            at += gap * SECOND;
            (at, value)
        });
        readings.collect()
    })
}

#[test]
fn the_example_of_the_contract_fires_once_and_resolves_once() {
    let rule = rule_that_keeps("2m", "1m", "7d");
    let readings = [
        (0, 3.6),
        (60, 3.7),
        (180, 3.9),
        (600, 3.1),
        (630, 3.3),
        (720, 3.0),
        (840, 3.05),
        (1_200, 3.8),
        (1_260, 3.4),
    ];
    let (state, changes) = feed(&rule, &readings.map(|(seconds, value)| (seconds * SECOND, value)));
    let fired_at = micros(120 * SECOND);
    let expected = [
        Change::Fired {
            at: fired_at,
            since: micros(0),
            value: 3.7,
        },
        Change::Resolved {
            at: micros(780 * SECOND),
            fired_at,
            value: 3.0,
        },
    ];
    assert_eq!(changes, expected);
    assert_eq!(state.unwrap().phase, Phase::Quiet);
}

/// Every state of an instance with every input that the data and the clock can give.
#[test]
fn each_state_answers_each_input_as_the_contract_says() {
    let rule = rule_that_keeps("60s", "30s", "300s");
    let (over, between, clear) = (4.0, 3.3, 3.0);
    let (since, fired_at) = (micros(0), micros(60 * SECOND));
    let firing = Phase::Firing { since, fired_at };
    let clearing = |clear_since| Phase::Clearing {
        since,
        fired_at,
        clear_since,
        clear_value: 2.9,
    };
    let begin = micros(100 * SECOND);
    let state = |phase| InstanceState {
        newest: begin,
        value: 3.9,
        phase,
    };
    let pending = Phase::Pending { since: begin };
    let later = |seconds: i64| begin.plus(seconds * SECOND);
    let became_clear = |at| Phase::Clearing {
        since,
        fired_at,
        clear_since: at,
        clear_value: clear,
    };
    let fired = |at, value| Change::Fired {
        at,
        since: begin,
        value,
    };
    let resolved = |at, value| Change::Resolved { at, fired_at, value };
    let expired = |at| Change::Expired {
        at,
        fired_at,
        value: 3.9,
    };

    let on_values: [(Phase, f64, i64, Phase, Vec<Change>); 16] = [
        (
            Phase::Quiet,
            over,
            10,
            Phase::Pending { since: later(10) },
            vec![],
        ),
        (Phase::Quiet, between, 10, Phase::Quiet, vec![]),
        (Phase::Quiet, clear, 10, Phase::Quiet, vec![]),
        (pending, over, 59, pending, vec![]),
        (
            pending,
            over,
            60,
            Phase::Firing {
                since: begin,
                fired_at: later(60),
            },
            vec![fired(later(60), over)],
        ),
        (pending, between, 60, Phase::Quiet, vec![]),
        (pending, clear, 60, Phase::Quiet, vec![]),
        (firing, over, 10, firing, vec![]),
        (firing, between, 10, firing, vec![]),
        (firing, clear, 10, became_clear(later(10)), vec![]),
        (clearing(begin), over, 30, firing, vec![]),
        (clearing(begin), between, 30, firing, vec![]),
        (clearing(begin), clear, 29, clearing(begin), vec![]),
        (
            clearing(begin),
            clear,
            30,
            Phase::Quiet,
            vec![resolved(later(30), clear)],
        ),
        // Timers that ran out before the value.
        (
            clearing(begin),
            over,
            31,
            Phase::Pending { since: later(31) },
            vec![resolved(later(30), 2.9)],
        ),
        (firing, between, 301, Phase::Quiet, vec![expired(later(300))]),
    ];
    for (phase, value, seconds, becomes, expected) in on_values {
        let (after, changes) = step(Some(state(phase)), value, later(seconds), &rule);
        assert_eq!(
            (after.phase, changes),
            (becomes, expected),
            "{phase:?} and {value} after {seconds} s"
        );
    }
    let on_time: [(Phase, i64, Phase, Vec<Change>); 8] = [
        (Phase::Quiet, 9_999, Phase::Quiet, vec![]),
        (pending, 60, pending, vec![]),
        (
            pending,
            61,
            Phase::Firing {
                since: begin,
                fired_at: later(60),
            },
            vec![fired(later(60), 3.9)],
        ),
        (firing, 300, firing, vec![]),
        (firing, 301, Phase::Quiet, vec![expired(later(300))]),
        (clearing(begin), 30, clearing(begin), vec![]),
        (clearing(begin), 31, Phase::Quiet, vec![resolved(later(30), 2.9)]),
        (clearing(later(290)), 310, Phase::Quiet, vec![expired(later(300))]),
    ];
    for (phase, seconds, becomes, expected) in on_time {
        let mut changes = Vec::new();
        let after = advance_all(state(phase), later(seconds), &Pace::from(&rule), &mut changes);
        assert_eq!(
            (after.phase, changes),
            (becomes, expected),
            "{phase:?} after {seconds} s"
        );
    }
    for (phase, becomes) in [
        (pending, Phase::Quiet),
        (firing, firing),
        (clearing(begin), clearing(begin)),
    ] {
        let (after, changes) = step_without_value(state(phase), later(10), &Pace::from(&rule));
        assert_eq!(
            (after.phase, changes),
            (becomes, vec![]),
            "{phase:?} without a value"
        );
    }
}
