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

fn told(transitions: &[Transition]) -> Vec<(TransitionKind, u64, f64)> {
    transitions
        .iter()
        .map(|t| (t.kind, t.cell.unwrap(), t.value))
        .collect()
}

#[test]
fn a_cell_that_is_gone_from_the_rows_counts_as_zero() {
    let (mut cells, rule) = (CellRules::new(), rule("count", "0s"));
    let fired = cells.evaluate(
        &rule,
        [(7, 20.0), (3, 25.0), (9, 19.0)].into_iter(),
        MINUTE,
        MINUTE,
    );
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
    assert_eq!(
        cells.evaluate(&rule, [(3, 10.0), (7, 15.0)].into_iter(), 2 * MINUTE, 2 * MINUTE),
        []
    );
    let resolved = cells.evaluate(&rule, std::iter::once((7, 12.0)), 3 * MINUTE, 3 * MINUTE);
    assert_eq!(told(&resolved), [(TransitionKind::Resolved, 3, 0.0)]);
    assert_eq!(resolved[0].episode, fired[0].episode);
}

#[test]
fn a_cell_without_a_mean_stays_firing_and_does_not_stay_pending() {
    let (mut cells, at_once, later) = (CellRules::new(), rule("mean", "0s"), rule("mean", "5m"));
    assert_eq!(
        cells
            .evaluate(&at_once, std::iter::once((7, 30.0)), MINUTE, MINUTE)
            .len(),
        1
    );
    assert_eq!(
        cells.evaluate(&at_once, std::iter::empty(), 2 * MINUTE, 2 * MINUTE),
        []
    );
    assert_eq!(
        told(&cells.evaluate(&at_once, std::iter::once((7, 1.0)), 3 * MINUTE, 3 * MINUTE)).len(),
        1
    );

    let mut cells = CellRules::new();
    assert_eq!(
        cells.evaluate(&later, std::iter::once((7, 30.0)), MINUTE, MINUTE),
        []
    );
    assert_eq!(
        cells.evaluate(&later, std::iter::empty(), 2 * MINUTE, 2 * MINUTE),
        []
    );
    assert_eq!(
        cells.evaluate(&later, std::iter::once((7, 30.0)), 6 * MINUTE, 6 * MINUTE),
        []
    );
}

#[test]
fn an_older_evaluation_changes_nothing_and_a_saved_state_goes_on() {
    let (mut cells, rule) = (CellRules::new(), rule("count", "0s"));
    let fired = cells.evaluate(&rule, std::iter::once((7, 20.0)), 5 * MINUTE, 5 * MINUTE);
    assert_eq!(
        cells.evaluate(&rule, std::iter::empty(), 4 * MINUTE, 5 * MINUTE),
        []
    );
    let mut restored = CellRules::restore(&cells.save()).unwrap();
    let resolved = restored.evaluate(&rule, std::iter::empty(), 6 * MINUTE, 6 * MINUTE);
    assert_eq!((resolved.len(), &resolved[0].episode), (1, &fired[0].episode));
    restored.set_rules(&[]);
    assert_eq!(restored.rules.len(), 0);
}

#[test]
fn the_duration_runs_out_by_now_between_two_evaluations() {
    let (mut cells, rule) = (CellRules::new(), rule("count", "2m"));
    assert_eq!(
        cells.evaluate(&rule, std::iter::once((7, 20.0)), MINUTE, MINUTE),
        []
    );
    let fired = cells.evaluate(&rule, std::iter::once((7, 21.0)), 3 * MINUTE, 3 * MINUTE);
    assert_eq!((fired.len(), fired[0].at), (1, 3 * MINUTE));
}
