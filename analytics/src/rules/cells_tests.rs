use proptest::prelude::*;
use serde_json::json;

use super::super::rule::RuleBounds;
use super::super::transition::TransitionKind;
use super::*;

const MINUTE: i64 = 60_000_000;

fn rule(metric: &str, hold: &str) -> Rule {
    let json = json!({"name": "calls pile up", "kind": "threshold", "layer": "flooding", "per": "cell", "resolution": 8,
        "metric": metric, "window": "15m", "at_least": 20, "clear_below": 10, "for": hold, "severity": "critical"});
    Rule::from_json("r", &json, &RuleBounds::default()).unwrap()
}

impl CellRules {
    fn decide(&mut self, rule: &Rule, rows: &[(u64, f64)], minute: i64) -> Vec<Transition> {
        let at = EventTime::from_micros(minute * MINUTE);
        self.evaluate(rule, rows.iter().copied(), at).transitions
    }
}

fn told(transitions: &[Transition]) -> Vec<(TransitionKind, u64, f64)> {
    transitions
        .iter()
        .map(|t| (t.kind, t.cell.unwrap(), t.value))
        .collect()
}

#[test]
fn a_cell_that_is_gone_from_the_rows_counts_as_zero() {
    let (mut cells, rule) = (CellRules::new(), rule("count", "0s"));
    let fired = cells.decide(&rule, &[(7, 20.0), (3, 25.0), (9, 19.0)], 1);
    assert_eq!(
        told(&fired),
        [
            (TransitionKind::Firing, 3, 25.0),
            (TransitionKind::Firing, 7, 20.0)
        ]
    );
    assert_eq!(
        fired[0].evidence["window"],
        json!({"start": "1969-12-31T23:46:00Z", "end": "1970-01-01T00:01:00Z"})
    );
    assert_eq!(cells.decide(&rule, &[(3, 10.0), (7, 15.0)], 2), []);
    let resolved = cells.decide(&rule, &[(7, 12.0)], 3);
    assert_eq!(told(&resolved), [(TransitionKind::Resolved, 3, 0.0)]);
    assert_eq!(resolved[0].episode, fired[0].episode);
}

#[test]
fn a_cell_without_a_mean_stays_firing_and_does_not_stay_pending() {
    let (mut cells, at_once, later) = (CellRules::new(), rule("mean", "0s"), rule("mean", "5m"));
    assert_eq!(cells.decide(&at_once, &[(7, 30.0)], 1).len(), 1);
    assert_eq!(cells.decide(&at_once, &[], 2), []);
    assert_eq!(cells.decide(&at_once, &[(7, 1.0)], 3).len(), 1);

    let mut cells = CellRules::new();
    assert_eq!(cells.decide(&later, &[(7, 30.0)], 1), []);
    assert_eq!(cells.decide(&later, &[], 2), []);
    assert_eq!(cells.decide(&later, &[(7, 30.0)], 6), []);
}

#[test]
fn an_older_evaluation_changes_nothing_and_a_state_that_was_one_value_goes_on() {
    let (mut cells, rule) = (CellRules::new(), rule("count", "0s"));
    let fired = cells.decide(&rule, &[(7, 20.0)], 5);
    assert_eq!(cells.decide(&rule, &[], 4), []);
    let saved = postcard::to_extend(&cells.rules, vec![1]).unwrap();
    let mut restored = CellRules::restore(&saved).unwrap();
    let resolved = restored.decide(&rule, &[], 6);
    assert_eq!((resolved.len(), &resolved[0].episode), (1, &fired[0].episode));
    restored.set_rules(&[]);
    assert_eq!(restored.rules.len(), 0);
    assert!(matches!(
        CellRules::restore(&[9]),
        Err(RestoreError::Format { found: 9 })
    ));
}

#[test]
fn the_duration_runs_out_by_now_between_two_evaluations() {
    let (mut cells, rule) = (CellRules::new(), rule("count", "2m"));
    assert_eq!(cells.decide(&rule, &[(7, 20.0)], 1), []);
    let fired = cells.decide(&rule, &[(7, 21.0)], 3);
    assert_eq!((fired.len(), fired[0].at.micros()), (1, 3 * MINUTE));
}

#[test]
fn a_condition_that_lapsed_while_nobody_looked_does_not_fire_and_one_that_held_does_at_its_time() {
    let rule = rule("count", "5m");
    let mut before = CellRules::new();
    before.decide(&rule, &[(7, 20.0), (8, 20.0)], 1);
    let stored: Vec<(u64, InstanceState)> = before.rules[&rule.id].cells.clone().into_iter().collect();
    // A stop; then the minutes that were missed, one by one: cell 7 lapsed in one of them.
    let mut after = CellRules::new();
    after.put_back(&rule.id, Some(EventTime::from_micros(MINUTE)), stored);
    let mut decided = Vec::new();
    for minute in 1..=20 {
        let count_of_7 = if minute == 3 { 5.0 } else { 20.0 };
        let rows: &[(u64, f64)] = if minute < 6 {
            &[(7, count_of_7), (8, 20.0)]
        } else {
            &[(8, 20.0)]
        };
        decided.extend(after.decide(&rule, rows, minute));
    }
    let fired: Vec<(Option<u64>, i64)> = decided.iter().map(|one| (one.cell, one.at.micros())).collect();
    assert_eq!(fired, [(Some(8), 6 * MINUTE)]);
}

#[test]
fn what_was_pending_before_a_time_of_which_nothing_is_known_begins_anew() {
    let rule = rule("count", "5m");
    let mut cells = CellRules::new();
    cells.decide(&rule, &[(7, 20.0)], 1);
    let lost = cells.lose_sight(&rule, EventTime::from_micros(60 * MINUTE));
    assert_eq!(lost.changes, [(7, None)]);
    let mut taken_back = cells.clone();
    taken_back.undo(&rule.id, lost.undo);
    assert_eq!(taken_back.instances(), 1);
    assert_eq!(cells.decide(&rule, &[(7, 20.0)], 60), []);
    assert_eq!(cells.decide(&rule, &[(7, 20.0)], 65).len(), 1);
}

proptest! {
    #[test]
    fn what_is_stored_cell_by_cell_goes_on_as_the_state_itself(
        looks in prop::collection::vec((prop::collection::btree_map(0u64..6, 0.0..40.0f64, 0..6), 0u8..6), 1..40),
        hold in prop::sample::select(vec!["0s", "2m"]),
    ) {
        let rule = rule("count", hold);
        let (mut straight, mut killed) = (CellRules::new(), CellRules::new());
        let mut stored: BTreeMap<u64, InstanceState> = BTreeMap::new();
        let mut stored_at = None;
        for (minute, (rows, fate)) in looks.into_iter().enumerate() {
            let at = EventTime::from_micros(minute as i64 * MINUTE);
            let expected = straight.evaluate(&rule, rows.clone().into_iter(), at);
            let mut found = killed.evaluate(&rule, rows.clone().into_iter(), at);
            // One in six is not stored at first.
            if fate == 0 {
                killed.undo(&rule.id, found.undo);
                found = killed.evaluate(&rule, rows.into_iter(), at);
            }
            prop_assert_eq!(&found.transitions, &expected.transitions);
            if !found.changes.is_empty() {
                stored_at = Some(at);
            }
            for (cell, state) in found.changes {
                match state {
                    Some(state) => drop(stored.insert(cell, state)),
                    None => drop(stored.remove(&cell)),
                }
            }
            if fate == 1 {
                killed = CellRules::new();
                killed.put_back(&rule.id, stored_at, stored.clone());
            }
        }
    }
}
