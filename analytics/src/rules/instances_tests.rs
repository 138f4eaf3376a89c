use proptest::prelude::*;
use serde_json::json;

use super::super::kinds::What;
use super::super::rule::RuleBounds;
use super::super::transition::TransitionKind;
use super::*;

const MINUTE: i64 = 60_000_000;

fn rule(metric: &str, hold: &str) -> Rule {
    let json = json!({"name": "calls pile up", "kind": "threshold", "layer": "flooding", "per": "cell", "resolution": 8,
        "metric": metric, "window": "15m", "at_least": 20, "clear_below": 10, "for": hold, "severity": "critical"});
    Rule::from_json("r", &json, &RuleBounds::default()).unwrap()
}

fn row(rule: &Rule, cell: u64, value: f64) -> Row {
    let verdict = rule.what.limit().unwrap().judge(value);
    Row {
        key: InstanceKey::Cell(cell),
        cell: Some(cell),
        judged: Some(Judged { verdict, value }),
    }
}

fn rows(rule: &Rule, values: &[(u64, f64)]) -> Vec<Row> {
    values
        .iter()
        .map(|(cell, value)| row(rule, *cell, *value))
        .collect()
}

fn absent(rule: &Rule) -> Absent {
    let What::Threshold(threshold) = &rule.what else {
        panic!("a threshold")
    };
    threshold.absent().map_or(Absent::NoValue, |value| {
        Absent::Is(Judged {
            verdict: threshold.limit.judge(value),
            value,
        })
    })
}

fn minute(minute: i64) -> EventTime {
    EventTime::from_micros(minute * MINUTE)
}

impl Instances {
    fn decide(&mut self, rule: &Rule, values: &[(u64, f64)], at: i64) -> Vec<Transition> {
        self.evaluate(rule, rows(rule, values), absent(rule), minute(at))
            .transitions
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
    let (mut cells, rule) = (Instances::new(), rule("count", "0s"));
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
    assert_eq!(fired[0].instance, "3");
    assert_eq!(cells.decide(&rule, &[(3, 10.0), (7, 15.0)], 2), []);
    let resolved = cells.decide(&rule, &[(7, 12.0)], 3);
    assert_eq!(told(&resolved), [(TransitionKind::Resolved, 3, 0.0)]);
    assert_eq!(resolved[0].episode, fired[0].episode);
}

#[test]
fn a_cell_without_a_mean_stays_firing_and_does_not_stay_pending() {
    let (mut cells, at_once, later) = (Instances::new(), rule("mean", "0s"), rule("mean", "5m"));
    assert_eq!(cells.decide(&at_once, &[(7, 30.0)], 1).len(), 1);
    assert_eq!(cells.decide(&at_once, &[], 2), []);
    assert_eq!(cells.decide(&at_once, &[(7, 1.0)], 3).len(), 1);

    let mut cells = Instances::new();
    assert_eq!(cells.decide(&later, &[(7, 30.0)], 1), []);
    assert_eq!(cells.decide(&later, &[], 2), []);
    assert_eq!(cells.decide(&later, &[(7, 30.0)], 6), []);
}

#[test]
fn an_older_evaluation_changes_nothing() {
    let (mut cells, rule) = (Instances::new(), rule("count", "0s"));
    cells.decide(&rule, &[(7, 20.0)], 5);
    assert_eq!(cells.decide(&rule, &[], 4), []);
    assert_eq!(cells.decide(&rule, &[], 6).len(), 1);
}

#[test]
fn how_a_rule_stood_is_kept_for_an_hour_and_no_longer() {
    let (mut cells, rule) = (Instances::new(), rule("count", "0s"));
    for (cell, at) in [(3, 0), (5, 99), (7, 150)] {
        cells.decide(&rule, &[(cell, 20.0)], at);
        cells.decide(&rule, &[], at + 1);
    }
    cells.decide(&rule, &[(9, 20.0)], 161);
    cells.forget_what_is_settled();
    let back = {
        let from = cells.revisable_from(&rule.id, minute(0)).unwrap();
        assert_eq!(from, minute(101));
        cells.go_back(&rule.id, from).unwrap()
    };
    let of = |cell| back.iter().any(|(key, _)| *key == InstanceKey::Cell(cell));
    assert_eq!([3, 5, 7, 9].map(of), [false, false, true, true]);
}

#[test]
fn what_was_said_before_a_rule_was_made_changed_or_lost_sight_is_not_said_anew() {
    let (mut cells, rule) = (Instances::new(), rule("count", "0s"));
    assert_eq!(cells.revisable_from(&rule.id, minute(0)), None);
    for at in 5..=9 {
        cells.decide(&rule, &[], at);
    }
    assert_eq!(cells.revisable_from(&rule.id, minute(0)), Some(minute(5)));
    assert_eq!(cells.revisable_from(&rule.id, minute(7)), Some(minute(7)));
    assert_eq!(cells.revisable_from(&rule.id, minute(10)), None);
    let mut changed = rule.clone();
    changed.version += 1;
    let mut edited = cells.clone();
    edited.set_rules(&[changed], std::slice::from_ref(&rule));
    assert_eq!(edited.revisable_from(&rule.id, minute(0)), None);
    edited.decide(&rule, &[], 10);
    assert_eq!(
        edited.revisable_from(&rule.id, minute(0)),
        Some(minute(9).plus(1))
    );
    cells.lose_sight(&rule, minute(20));
    assert_eq!(cells.go_back(&rule.id, minute(20)), None);
}

#[test]
fn a_rule_that_watches_something_else_or_is_off_begins_anew() {
    let (mut cells, rule) = (Instances::new(), rule("count", "0s"));
    cells.decide(&rule, &[(7, 20.0)], 5);
    let before = [rule.clone()];
    let mut stricter = rule.clone();
    stricter.severity = super::super::words::Severity::Minor;
    cells.set_rules(&[stricter], &before);
    assert_eq!(cells.instances(), 1);
    let mut off = rule.clone();
    off.enabled = false;
    cells.clone().set_rules(&[off.clone()], &before);
    cells.set_rules(&[off], &before);
    assert_eq!(cells.instances(), 0);
}

#[test]
fn the_duration_runs_out_by_now_between_two_evaluations() {
    let (mut cells, rule) = (Instances::new(), rule("count", "90s"));
    assert_eq!(cells.decide(&rule, &[(7, 20.0)], 1), []);
    assert_eq!(cells.decide(&rule, &[(7, 21.0)], 2), []);
    assert!(cells.advance(&rule, minute(3), minute(2)).is_empty());
    let fired = cells.advance(&rule, minute(3), minute(3)).transitions;
    assert_eq!(
        (fired.len(), fired[0].at.micros(), fired[0].value),
        (1, 5 * MINUTE / 2, 21.0)
    );
}

#[test]
fn an_open_bucket_fires_what_is_over_and_ends_nothing() {
    let (mut cells, rule) = (Instances::new(), rule("count", "0s"));
    cells.decide(&rule, &[(7, 20.0)], 1);
    let look = |cells: &mut Instances, values: &[(u64, f64)], at: i64| {
        let looks = [(minute(2), EventTime::from_micros(at), rows(&rule, values))];
        cells.look_ahead(&rule, looks, absent(&rule)).transitions
    };
    // Cell 7 is clear in what there is of it, cell 8 is over already.
    let fired = look(&mut cells, &[(7, 1.0), (8, 20.0)], MINUTE + 30);
    assert_eq!(told(&fired), [(TransitionKind::Firing, 8, 20.0)]);
    assert_eq!(fired[0].at.micros(), MINUTE + 30);
    assert_eq!(look(&mut cells, &[(8, 25.0)], MINUTE + 40), []);
    assert_eq!(cells.instances(), 2);
    let at_the_end = cells.decide(&rule, &[(8, 30.0)], 2);
    assert_eq!(told(&at_the_end), [(TransitionKind::Resolved, 7, 0.0)]);
    assert_eq!(cells.decide(&rule, &[], 3)[0].fired_at, fired[0].at);
}

#[test]
fn a_look_ahead_counts_what_was_over_without_a_break() {
    let rule = rule("count", "2m");
    let mut cells = Instances::new();
    cells.decide(&rule, &[(7, 20.0), (8, 20.0)], 1);
    let looks = [
        (minute(2), minute(2), rows(&rule, &[(7, 20.0), (8, 3.0)])),
        (minute(3), minute(3), rows(&rule, &[(7, 20.0), (8, 20.0)])),
    ];
    let fired = cells.look_ahead(&rule, looks, absent(&rule)).transitions;
    assert_eq!(told(&fired), [(TransitionKind::Firing, 7, 20.0)]);
}

#[test]
fn a_condition_that_lapsed_while_nobody_looked_does_not_fire_and_one_that_held_does_at_its_time() {
    let rule = rule("count", "5m");
    let mut before = Instances::new();
    before.decide(&rule, &[(7, 20.0), (8, 20.0)], 1);
    let stored: Vec<(InstanceKey, Known)> = before
        .of_rule(&rule.id)
        .map(|(key, known)| (key.clone(), *known))
        .collect();
    // A stop; then the minutes that were missed, one by one: cell 7 lapsed in one of them.
    let mut after = Instances::new();
    after.put_back(&rule.id, (Some(minute(1)), None), stored, []);
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
    let mut cells = Instances::new();
    cells.decide(&rule, &[(7, 20.0)], 1);
    let lost = cells.lose_sight(&rule, minute(60));
    assert_eq!(lost, [(InstanceKey::Cell(7), None)]);
    assert_eq!(cells.decide(&rule, &[(7, 20.0)], 60), []);
    assert_eq!(cells.decide(&rule, &[(7, 20.0)], 65).len(), 1);
}

type Looks = Vec<(std::collections::BTreeMap<u64, f64>, u8)>;

fn looks() -> impl Strategy<Value = Looks> {
    let row = prop_oneof![0.0..40.0f64, Just(20.0), Just(10.0)];
    prop::collection::vec((prop::collection::btree_map(0u64..6, row, 0..6), 0u8..6), 1..40)
}

proptest! {
    #[test]
    fn what_is_stored_piece_by_piece_goes_on_as_the_state_itself(
        looks in looks(),
        hold in prop::sample::select(vec!["0s", "2m", "90s"]),
    ) {
        let rule = rule("count", hold);
        let (mut straight, mut killed) = (Instances::new(), Instances::new());
        let mut stored: BTreeMap<InstanceKey, Known> = BTreeMap::new();
        let mut stored_at = None;
        for (number, (values, fate)) in looks.into_iter().enumerate() {
            let at = minute(number as i64);
            let values: Vec<(u64, f64)> = values.into_iter().collect();
            let expected = straight.evaluate(&rule, rows(&rule, &values), absent(&rule), at);
            let evaluated = killed.evaluated(&rule.id);
            let mut found = killed.evaluate(&rule, rows(&rule, &values), absent(&rule), at);
            // One in six is not stored at first.
            if fate == 0 {
                killed.undo(&rule.id, evaluated, found.undo);
                found = killed.evaluate(&rule, rows(&rule, &values), absent(&rule), at);
            }
            prop_assert_eq!(&found.transitions, &expected.transitions);
            if !found.changes.is_empty() {
                stored_at = Some(at);
            }
            put_all(&mut stored, found.changes);
            if fate == 1 {
                killed = Instances::new();
                killed.put_back(&rule.id, (stored_at, None), stored.clone(), []);
            }
        }
    }

    #[test]
    fn evaluations_that_are_made_again_come_to_what_they_come_to_at_once(
        looks in looks(),
        late in looks(),
        hold in prop::sample::select(vec!["0s", "2m", "90s"]),
    ) {
        let rule = rule("count", hold);
        let (mut straight, mut revised) = (Instances::new(), Instances::new());
        let values = |looks: &Looks, number: usize| -> Vec<(u64, f64)> {
            looks.get(number).into_iter().flat_map(|(values, _)| values.clone()).collect()
        };
        let first_changed = looks.len() / 2;
        // What stands in the end: the first half as it came, the second half as late data have it.
        let last = |number: usize| if number < first_changed { values(&looks, number) } else { values(&late, number) };
        for number in 0..looks.len() {
            revised.decide(&rule, &values(&looks, number), number as i64);
            straight.decide(&rule, &last(number), number as i64);
        }
        prop_assert!(revised.go_back(&rule.id, minute(first_changed as i64)).is_some());
        for number in first_changed..looks.len() {
            revised.decide(&rule, &last(number), number as i64);
        }
        let all = |one: &Instances| one.of_rule(&rule.id).map(|(key, known)| (key.clone(), *known)).collect::<Vec<_>>();
        prop_assert_eq!(all(&revised), all(&straight));
    }
}
