//! Cards, the ladder, and the risk that a clock runs over.

use super::*;

fn second_row(red: Red) -> Deadline {
    let rule = ClockRule {
        yellow: Some(Yellow::LastWorkingDates(1)),
        red,
        ..rule("15wd")
    };
    let course = Course::from(instant("2026-02-09T09:00+08:00"));
    deadline(&calendar("cn"), &rule, course, true, 3).unwrap()
}

#[test]
fn the_second_row_has_the_contracts_cards() {
    let due = second_row(Red::Due);
    assert_eq!(due.yellow, Some(instant("2026-03-06T00:00+08:00")));
    assert_eq!(due.red, Some(instant("2026-03-07T00:00+08:00")));
    let next = second_row(Red::NextWd);
    assert_eq!(next.red, Some(instant("2026-03-09T00:00+08:00")));
    assert_eq!(next.supervision, Some(instant("2026-03-11T00:00+08:00")));
}

#[test]
fn yellow_before_due_is_elapsed_and_never_before_the_start() {
    let yellow = |term: &str, yellow: &str| {
        let json = serde_json::json!({"term": term, "yellow": yellow});
        let rule = ClockRule::from_json(ClockName::Handle, &json).unwrap();
        let start = Course::from(instant("2026-03-09T10:00+08:00"));
        deadline(&calendar("cn"), &rule, start, true, 3).unwrap().yellow
    };
    assert_eq!(yellow("24h", "4h"), Some(instant("2026-03-10T06:00+08:00")));
    assert_eq!(yellow("2h", "2h"), None, "it would be at the start");
    assert_eq!(yellow("2h", "3h"), None);
    assert_eq!(yellow("24h", "1wd"), Some(instant("2026-03-10T00:00+08:00")));
    assert_eq!(yellow("7d", "2d"), Some(instant("2026-03-15T00:00+08:00")));
    // due on Saturday 14 March at 24:00: the last working date up to then is Friday, the one before Thursday
    assert_eq!(yellow("5d", "1wd"), Some(instant("2026-03-13T00:00+08:00")));
    assert_eq!(yellow("5d", "2wd"), Some(instant("2026-03-12T00:00+08:00")));
}

#[test]
fn each_step_is_taken_once_and_taken_back_when_it_moves_away() {
    let first = second_row(Red::NextWd);
    let mut ladder = Ladder::default();
    assert_eq!(ladder.next_at(&first), first.yellow);
    assert_eq!(ladder.advance(&first, instant("2026-03-05T23:59+08:00")), []);
    let late = instant("2026-03-09T00:00+08:00");
    assert_eq!(ladder.advance(&first, late), [Step::Yellow, Step::Red]);
    assert_eq!(ladder.advance(&first, late), []);
    assert_eq!(
        (ladder.card(), ladder.next_at(&first)),
        (Card::Red, first.supervision)
    );
    let later = Deadline {
        red: Some(instant("2026-03-20T00:00+08:00")),
        ..first
    };
    assert_eq!(ladder.revise(&later, late), [Step::Red]);
    assert_eq!(
        (ladder.card(), ladder.next_at(&later)),
        (Card::Yellow, first.supervision)
    );
    assert_eq!(ladder.revise(&later, late), []);
    let json = serde_json::to_string(&ladder).unwrap();
    assert_eq!(json, "[\"yellow\"]");
    assert_eq!(serde_json::from_str::<Ladder>(&json).unwrap(), ladder);
}

fn history() -> Vec<StoppedClock> {
    let of = |count, share, was_overdue, is_own| {
        std::iter::repeat_n(
            StoppedClock {
                share,
                was_overdue,
                is_own,
            },
            count,
        )
    };
    of(5, 0.3, false, true)
        .chain(of(55, 0.3, false, false))
        .chain(of(2, 0.8, false, true))
        .chain(of(25, 0.8, false, false))
        .chain(of(4, 1.4, true, true))
        .chain(of(7, 1.4, true, false))
        .collect()
}

#[test]
fn the_risk_is_that_of_clocks_that_used_as_much() {
    assert_eq!(breach_risk(history(), 0.5, false), 0.4375);
    assert!((breach_risk(history(), 0.0, false) - 0.247_619_047_619_047_63).abs() < 1e-15);
    assert!((breach_risk(history(), 0.9, false) - 0.945_054_945_054_945_1).abs() < 1e-15);
    assert_eq!(breach_risk(history(), 0.5, true), 1.0);
    assert_eq!(breach_risk([], 0.5, false), 0.5);
}

#[test]
fn pauses_are_neither_used_nor_to_use() {
    let at = |seconds: i64| EventTime::from_micros(seconds * 1_000_000);
    let pauses = [Pause {
        from: at(20),
        to: at(40),
    }];
    assert_eq!(used_share(at(0), at(120), &pauses, None, at(70)), 0.5);
    assert_eq!(used_share(at(0), at(120), &pauses, Some(at(70)), at(500)), 0.5);
    assert_eq!(used_share(at(0), at(0), &[], None, at(5)), 1.0);
}
