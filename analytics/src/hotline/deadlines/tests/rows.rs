//! The seventeen rows of the contract.

use super::*;

/// Calendar, start, term, pauses, extension, `roll`, due.
type Example = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    u32,
    bool,
    &'static str,
);

const ROWS: [Example; 17] = [
    (
        "cn",
        "2026-02-13T16:40+08:00",
        "2wd",
        &[],
        0,
        false,
        "2026-02-25T00:00+08:00",
    ),
    (
        "cn",
        "2026-02-09T09:00+08:00",
        "15wd",
        &[],
        0,
        false,
        "2026-03-07T00:00+08:00",
    ),
    (
        "cn",
        "2026-02-21T11:00+08:00",
        "5wd",
        &[],
        0,
        false,
        "2026-03-01T00:00+08:00",
    ),
    (
        "cn",
        "2026-09-18T17:50+08:00",
        "5wd",
        &[],
        0,
        false,
        "2026-09-25T00:00+08:00",
    ),
    (
        "cn",
        "2026-03-09T10:00+08:00",
        "5wd",
        &[("2026-03-13T10:00+08:00", "2026-03-16T09:00+08:00")],
        0,
        false,
        "2026-03-18T00:00+08:00",
    ),
    (
        "cn",
        "2026-03-09T10:00+08:00",
        "5wd",
        &[("2026-03-14T10:00+08:00", "2026-03-15T20:00+08:00")],
        0,
        false,
        "2026-03-17T00:00+08:00",
    ),
    (
        "cn",
        "2026-03-09T10:00+08:00",
        "5wd",
        &[],
        10,
        false,
        "2026-03-31T00:00+08:00",
    ),
    (
        "cn",
        "2026-02-10T15:00+08:00",
        "7d",
        &[],
        0,
        false,
        "2026-02-18T00:00+08:00",
    ),
    (
        "cn",
        "2026-02-10T15:00+08:00",
        "7d",
        &[],
        0,
        true,
        "2026-02-25T00:00+08:00",
    ),
    (
        "cn_office",
        "2026-02-13T16:00+08:00",
        "8wh",
        &[],
        0,
        false,
        "2026-02-14T17:00+08:00",
    ),
    (
        "cn_office",
        "2026-03-13T09:00+08:00",
        "8wh",
        &[("2026-03-13T16:00+08:00", "2026-03-16T10:00+08:00")],
        0,
        false,
        "2026-03-16T14:00+08:00",
    ),
    (
        "cn_office",
        "2026-03-12T15:30+08:00",
        "2wh",
        &[],
        0,
        false,
        "2026-03-13T09:00+08:00",
    ),
    (
        "new_york",
        "2026-11-01T00:30-04:00",
        "2h",
        &[],
        0,
        false,
        "2026-11-01T01:30-05:00",
    ),
    (
        "ny_night",
        "2026-10-31T21:00-04:00",
        "8wh",
        &[],
        0,
        false,
        "2026-11-01T05:00-05:00",
    ),
    (
        "ny_night",
        "2026-03-07T21:00-05:00",
        "8wh",
        &[],
        0,
        false,
        "2026-03-08T23:00-04:00",
    ),
    (
        "new_york",
        "2026-03-07T02:30-05:00",
        "1d@",
        &[],
        0,
        false,
        "2026-03-08T03:00-04:00",
    ),
    (
        "boston",
        "2015-01-01T00:25:23-05:00",
        "10wd@",
        &[],
        0,
        false,
        "2015-01-16T08:30-05:00",
    ),
];

#[test]
fn the_rows_of_the_contract_are_due_as_it_says() {
    for (place, (name, start, term, pauses, extended, roll, due)) in ROWS.into_iter().enumerate() {
        let pauses: Vec<Pause> = pauses
            .iter()
            .map(|(from, to)| Pause {
                from: instant(from),
                to: instant(to),
            })
            .collect();
        let rule = ClockRule { roll, ..rule(term) };
        let course = Course {
            start: instant(start),
            pauses: &pauses,
            extended,
        };
        let found = due_of(&calendar(name), &rule, course);
        assert_eq!(found.to_string(), instant(due).to_string(), "row {}", place + 1);
    }
}

#[test]
fn closing_is_the_last_span_of_the_last_date() {
    let office = calendar("cn_office");
    let close = ClockRule {
        close: true,
        ..rule("1d")
    };
    let friday = due_of(&office, &close, Course::from(instant("2026-03-12T15:30+08:00")));
    assert_eq!(friday, instant("2026-03-13T17:30+08:00"));
    let saturday = due_of(&office, &close, Course::from(instant("2026-03-13T15:30+08:00")));
    assert_eq!(
        saturday,
        instant("2026-03-15T00:00+08:00"),
        "a date off ends with itself"
    );
    let rolled = ClockRule { roll: true, ..close };
    let monday = due_of(&office, &rolled, Course::from(instant("2026-03-13T15:30+08:00")));
    assert_eq!(monday, instant("2026-03-16T17:30+08:00"));
}

#[test]
fn what_the_calendar_does_not_cover_is_provisional() {
    let calendar = calendar("cn");
    let is = |start| {
        deadline(&calendar, &rule("5wd"), Course::from(instant(start)), true, 3)
            .unwrap()
            .provisional
    };
    assert!(!is("2026-12-24T10:00+08:00"), "due at the end of 31 December");
    assert!(is("2026-12-25T10:00+08:00"));
    assert!(is("2025-12-31T10:00+08:00") && !is("2026-01-01T00:00+08:00"));
}

#[test]
fn a_calendar_without_working_time_says_so() {
    let empty = serde_json::json!({"zone": "UTC", "week": {}});
    let empty = Calendar::from_json(&empty).unwrap();
    let course = Course::from(instant("2026-03-09T10:00+00:00"));
    for term in ["1wd", "1wh", "1ws", "1wd@"] {
        assert!(deadline(&empty, &rule(term), course, true, 3).is_err(), "{term}");
    }
    let still = deadline(&empty, &rule("1d"), course, true, 3).unwrap();
    assert_eq!((still.red, still.supervision), (Some(still.due), None));
    let week = serde_json::json!({"zone": "UTC", "week": {"mon": ["00:00-24:00"]}});
    let mondays = Calendar::from_json(&week).unwrap();
    assert!(deadline(&mondays, &rule("500wd"), course, true, 3).is_ok());
    assert!(
        deadline(&mondays, &rule("600wd"), course, true, 3).is_err(),
        "past 3660 dates"
    );
    assert!(deadline(&mondays, &rule("3660d"), course, true, 3).is_ok());
}
