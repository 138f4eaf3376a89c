//! A month of one office, as the contract works it out.

use serde_json::json;

use super::*;
use crate::hotline::calendar::{Amount, Calendar};
use crate::hotline::deadlines::{ClockRule, Course, deadline};
use riskgrid_ingest::EventTime;

fn at(text: &str) -> EventTime {
    EventTime::parse_rfc3339(&format!("2026-{text}:00+08:00")).unwrap()
}

struct Unit {
    name: &'static str,
    dispatched: &'static str,
    extended: u32,
    is_started: bool,
    stop: Option<(&'static str, Stop)>,
    answer: Option<(&'static str, Resolved, u8)>,
}

fn units() -> [Unit; 8] {
    let replied = |at| Some((at, Stop::Replied));
    let unit = |name, dispatched, stop, answer| Unit {
        name,
        dispatched,
        extended: 0,
        is_started: true,
        stop,
        answer,
    };
    [
        unit(
            "u1",
            "03-02T10:00",
            replied("03-05T15:00"),
            Some(("03-09T10:00", Resolved::No, 2)),
        ),
        unit(
            "u2",
            "03-09T10:00",
            replied("03-17T00:00"),
            Some(("03-18T10:00", Resolved::Yes, 3)),
        ),
        unit(
            "u3",
            "03-24T09:00",
            replied("03-30T16:00"),
            Some(("04-20T09:00", Resolved::Yes, 5)),
        ),
        unit(
            "u4",
            "03-25T09:00",
            replied("03-30T16:00"),
            Some(("04-01T09:00", Resolved::Yes, 5)),
        ),
        Unit {
            is_started: false,
            ..unit(
                "u5",
                "03-03T09:00",
                Some(("03-04T09:00", Stop::Left(OutReason::Return))),
                None,
            )
        },
        Unit {
            extended: 10,
            ..unit(
                "u6",
                "03-05T09:00",
                replied("03-26T23:59"),
                Some(("03-30T09:00", Resolved::Partly, 2)),
            )
        },
        Unit {
            is_started: false,
            ..unit("u7", "03-10T09:00", None, None)
        },
        unit(
            "u8",
            "03-12T09:00",
            replied("03-16T09:00"),
            Some(("03-18T09:00", Resolved::Yes, 4)),
        ),
    ]
}

/// The units of a month as known at `limit`.
fn assessed(month: Month, limit: EventTime) -> Vec<AssessedUnit> {
    let calendar = Calendar::shipped("cn").unwrap();
    let rule = ClockRule::of(Amount::parse("5wd").unwrap());
    units()
        .into_iter()
        .map(|unit| {
            let start = at(unit.dispatched);
            let course = Course {
                start,
                pauses: &[],
                extended: unit.extended,
            };
            let answer = unit.answer.filter(|(when, ..)| at(when) < limit);
            UnitFacts {
                case: unit.name.to_owned(),
                generation: 1,
                office: "lighting".to_owned(),
                due: deadline(&calendar, &rule, course, true, 3).unwrap().due,
                stopped: unit.stop.map(|(when, stop)| (at(when), stop)),
                started: unit.is_started.then(|| start.plus(1)),
                respond_due: None,
                answer: answer.map(|(_, resolved, rating)| (resolved, rating)),
            }
        })
        .filter(|facts| Month::of_due(&calendar, facts.due) == month)
        .map(AssessedUnit::of)
        .collect()
}

fn shown(rate: Rate) -> String {
    let (low, high) = rate.interval().unwrap();
    let tenths = rate.tenths_of_percent().unwrap();
    format!(
        "{}/{} {}.{} [{low:.4}, {high:.4}]",
        rate.count,
        rate.of,
        tenths / 10,
        tenths % 10
    )
}

#[test]
fn march_is_as_the_contract_says() {
    let calendar = Calendar::shipped("cn").unwrap();
    let march = Month::parse("2026-03").unwrap();
    let freeze = march.frozen_at(&calendar, 10).unwrap();
    assert_eq!(freeze, at("04-15T00:00"));
    let frozen = Assessment::of(&assessed(march, freeze));
    let office = &frozen.offices["lighting"];
    assert_eq!((office.n, office.out["return"], office.out["merge"]), (6, 1, 0));
    assert_eq!(shown(office.response), "5/6 83.3 [0.4365, 0.9699]");
    assert_eq!(shown(office.timely), "4/6 66.7 [0.3000, 0.9032]");
    assert_eq!(shown(office.coverage), "4/5 80.0 [0.3755, 0.9638]");
    assert_eq!(shown(office.resolution), "2/4 50.0 [0.1500, 0.8500]");
    assert_eq!(shown(office.satisfaction), "2/4 50.0 [0.1500, 0.8500]");
    assert_eq!(frozen.city, *office);
    let restated = Assessment::of(&assessed(march, at("05-01T00:00")));
    assert_eq!(shown(restated.city.satisfaction), "3/5 60.0 [0.2307, 0.8824]");
    assert_eq!(shown(restated.city.coverage), "5/5 100.0 [0.5655, 1.0000]");
    let april = Assessment::of(&assessed(Month::parse("2026-04").unwrap(), freeze));
    assert_eq!(april.city.n, 1);
}

#[test]
fn what_leaves_its_office_too_late_is_counted_as_late() {
    let facts = |reason, hour: &str| UnitFacts {
        case: "a".into(),
        generation: 1,
        office: "o".into(),
        due: at("03-10T12:00"),
        stopped: Some((at(&format!("03-10T{hour}")), Stop::Left(reason))),
        started: Some(at("03-10T08:00")),
        respond_due: Some(at("03-10T09:00")),
        answer: None,
    };
    for reason in OutReason::ALL {
        let early = AssessedUnit::of(facts(reason, "11:59"));
        assert_eq!(early.out, Some(reason));
        let late = AssessedUnit::of(facts(reason, "12:00"));
        assert!(late.out.is_none() && !late.is_timely() && late.responded);
    }
    let slow = UnitFacts {
        started: Some(at("03-10T09:00")),
        ..facts(OutReason::Merge, "12:00")
    };
    assert!(
        !AssessedUnit::of(slow).responded,
        "started, and not within `respond`"
    );
}

#[test]
fn frozen_rows_are_the_same_text_whatever_order_they_come_in() {
    let march = Month::parse("2026-03").unwrap();
    let mut units = assessed(march, at("04-15T00:00"));
    units.truncate(3);
    let text = frozen_csv(march, &units);
    assert_eq!(
        text,
        "month,office,case_id,generation,due_at,out,responded,replied_at,resolved,rating\n\
         2026-03,lighting,u1,1,1773072000000000,,1,1772694000000000,no,2\n\
         2026-03,lighting,u2,1,1773676800000000,,1,1773676800000000,yes,3\n\
         2026-03,lighting,u3,1,1774972800000000,,1,1774857600000000,,\n"
    );
    let hash = sha256_hex(&text);
    units.reverse();
    assert_eq!(sha256_hex(&frozen_csv(march, &units)), hash);
    assert_eq!(
        sha256_hex(""),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

#[test]
fn rates_are_told_as_objects_and_of_nothing_as_null() {
    let rate = serde_json::to_value(Rate { count: 1, of: 8 }).unwrap();
    assert_eq!(
        (&rate["percent"], &rate["count"], &rate["of"]),
        (&json!(12.5), &json!(1), &json!(8))
    );
    assert_eq!(
        Rate { count: 1, of: 16 }.tenths_of_percent(),
        Some(63),
        "6.25 is 6.3: half up"
    );
    assert_eq!(serde_json::to_value(Rate::default()).unwrap(), json!(null));
}

#[test]
fn months_are_read_back() {
    for text in ["2026-03", "2025-12"] {
        assert_eq!(Month::parse(text).unwrap().to_string(), text);
    }
    for text in ["2026-13", "2026-3", "2026", "2026-03-01", "x", "-2026-03"] {
        assert_eq!(Month::parse(text), None, "{text}");
    }
    assert_eq!(Month::parse("2025-12").unwrap().next().to_string(), "2026-01-01");
}
