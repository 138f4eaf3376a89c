//! Calendars as they are read and refused; wall time in gaps and folds.

use chrono::NaiveDate;
use riskgrid_ingest::EventTime;
use serde_json::{Value, json};

use super::*;

fn problems_of(calendar: &Value) -> Vec<String> {
    match Calendar::from_json(calendar) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.into_iter().map(|problem| problem.field).collect(),
    }
}

#[test]
fn each_wrong_key_is_named() {
    let monday = |spans: Value| problems_of(&json!({"zone": "UTC", "week": {"mon": spans}}));
    assert_eq!(
        monday(json!(["09:00-12:00", "12:00-24:00"])),
        Vec::<String>::new()
    );
    for wrong in [
        json!(["09:00-09:00"]),
        json!(["12:00-09:00"]),
        json!(["09:00-12:00", "11:59-13:00"]),
        json!(["13:00-14:00", "09:00-12:00"]),
        json!(["09:00-24:01"]),
        json!(["9:00-12:00"]),
        json!(["09:60-12:00"]),
        json!(["09:00"]),
        json!("09:00-12:00"),
        json!([9]),
    ] {
        assert_eq!(monday(wrong.clone()), ["week.mon"], "{wrong}");
    }
    let wrong = json!({"zone": "Mars/Olympus", "week": {"noday": []}, "days": {"2026-02-30": [], "2026-2-1": [], "2026-02-01": 1},
        "covers": {"from": "2026-02-01", "to": "2026-01-01"}, "colour": 1});
    let fields = problems_of(&wrong);
    for field in [
        "zone",
        "week.noday",
        "days.2026-02-30",
        "days.2026-2-1",
        "days.2026-02-01",
        "covers.to",
        "colour",
    ] {
        assert!(fields.iter().any(|found| found == field), "{field}: {fields:?}");
    }
    assert_eq!(fields.len(), 7);
    assert_eq!(problems_of(&json!({})), ["zone", "week"]);
    assert_eq!(problems_of(&json!([])), ["(the whole)"]);
}

#[test]
fn amounts_are_read_back() {
    for text in [
        "1s",
        "10000000min",
        "2h",
        "10000000ws",
        "3wmin",
        "4wh",
        "5d",
        "3660wd",
        "6d@",
        "7wd@",
    ] {
        assert_eq!(Amount::parse(text).unwrap().to_string(), text);
    }
    for text in [
        "0s",
        "10000001s",
        "3661h",
        "5",
        "d",
        "5 d",
        "5D",
        "+5d",
        "5.0d",
        "5wd@@",
        "5w",
        "５d",
    ] {
        assert_eq!(Amount::parse(text), None, "{text}");
    }
}

#[test]
fn a_gap_ends_at_its_first_instant_and_a_fold_is_its_earlier_one() {
    let calendar = Calendar::shipped("new_york").unwrap();
    let wall = |text: &str| calendar.wall(text.parse().unwrap());
    let instant = |text: &str| EventTime::parse_rfc3339(text).unwrap();
    assert_eq!(wall("2026-03-08T02:30:00"), instant("2026-03-08T03:00:00-04:00"));
    assert_eq!(wall("2026-03-08T01:59:59"), instant("2026-03-08T01:59:59-05:00"));
    assert_eq!(wall("2026-11-01T01:30:00"), instant("2026-11-01T01:30:00-04:00"));
    assert_eq!(wall("2026-11-01T02:00:00"), instant("2026-11-01T02:00:00-05:00"));
    let date = NaiveDate::from_ymd_opt(2026, 11, 1).unwrap();
    assert_eq!(
        calendar.end_of(date).since(calendar.midnight(date)),
        25 * riskgrid_ingest::HOUR
    );
    let apia = json!({"zone": "Pacific/Apia", "week": {"fri": ["00:00-24:00"]}});
    let apia = Calendar::from_json(&apia).unwrap();
    let skipped = NaiveDate::from_ymd_opt(2011, 12, 30).unwrap();
    assert_eq!(
        apia.midnight(skipped),
        apia.end_of(skipped),
        "a date that did not happen"
    );
}

#[test]
fn open_is_by_spans_of_the_date_before_too() {
    let calendar = Calendar::shipped("ny_night").unwrap();
    let is_open = |text: &str| calendar.is_open(EventTime::parse_rfc3339(text).unwrap());
    assert!(is_open("2026-11-01T01:30:00-04:00") && is_open("2026-11-01T01:30:00-05:00"));
    assert!(!is_open("2026-11-01T06:00:00-05:00") && is_open("2026-11-01T23:59:59-05:00"));
}

#[test]
fn times_at_the_ends_of_the_range_are_no_panic() {
    let calendar = Calendar::shipped("cn").unwrap();
    for micros in [i64::MIN, i64::MAX] {
        let date = calendar.local_date(EventTime::from_micros(micros));
        calendar.midnight(date);
        calendar.is_open(EventTime::from_micros(micros));
    }
}
