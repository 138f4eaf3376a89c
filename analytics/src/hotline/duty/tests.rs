//! Whose a case is, as the contract's example says.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::hotline::CaseKind;
use crate::hotline::calendar::Calendar;
use riskgrid_ingest::EventTime;

#[expect(clippy::needless_pass_by_value, reason = "it is written where it is used")]
fn table(rows: Value) -> Result<DutyTable, InvalidDuty> {
    DutyTable::from_json(&json!({ "rows": rows }), &Calendar::shipped("cn").unwrap())
}

fn example() -> DutyTable {
    table(json!([
        {"id": "r1", "layer": "street_light", "office": "lighting"},
        {"id": "r2", "area": "grid-12", "office": "subdistrict-a"},
        {"id": "r3", "group": "roads", "area": "district-1", "office": "roads-1"},
        {"id": "r4", "area": "district-1", "office": "district-1", "fallback": true},
        {"id": "r5", "layer": "street_light", "area": "district-1", "hours": "closed", "office": "night-desk"},
    ]))
    .unwrap()
}

fn areas() -> Vec<(String, u8)> {
    [("city", 1), ("district-1", 2), ("grid-12", 4)]
        .map(|(id, level)| (id.to_owned(), level))
        .into()
}

fn case<'a>(
    layer: &'a str,
    group: Option<&'a str>,
    hours: Hours,
    areas: &'a [(String, u8)],
) -> DutyFacts<'a> {
    DutyFacts {
        layer,
        group,
        kind: CaseKind::Help,
        channel: "phone",
        areas,
        hours,
        at: EventTime::from_micros(1_772_000_000_000_000),
        excluded: &[],
        returns: 0,
    }
}

#[test]
fn the_narrowest_row_has_it() {
    let (table, areas) = (example(), areas());
    let chosen = |facts: DutyFacts<'_>| {
        let choice = table.choose(&facts, Order::Duty, 2).unwrap();
        (choice.row.id.clone(), choice.specificity, choice.by_fallback)
    };
    let by_day = case("street_light", None, Hours::Open, &areas);
    assert_eq!(chosen(by_day), ("r1".to_owned(), [2, 0, 0, 0, 0], false));
    let by_night = case("street_light", None, Hours::Closed, &areas);
    assert_eq!(chosen(by_night), ("r5".to_owned(), [2, 2, 0, 0, 1], false));
    let pothole = case("pothole", Some("roads"), Hours::Closed, &areas);
    assert_eq!(chosen(pothole), ("r3".to_owned(), [1, 2, 0, 0, 0], false));
    let noise = case("noise", None, Hours::Closed, &areas);
    assert_eq!(chosen(noise), ("r2".to_owned(), [0, 4, 0, 0, 0], false));
    let returned = ["subdistrict-a".to_owned()];
    let after = DutyFacts {
        excluded: &returned,
        returns: 1,
        ..noise
    };
    let choice = table.choose(&after, Order::Duty, 2).unwrap();
    assert_eq!((choice.row.id.as_str(), choice.by_fallback), ("r4", true));
    let often = DutyFacts { returns: 2, ..by_day };
    assert!(table.choose(&often, Order::Duty, 2).unwrap().by_fallback);
    assert_eq!(table.choose(&pothole, Order::Area, 2).unwrap().row.id, "r2");
    assert_eq!(
        table.choose(&case("noise", None, Hours::Open, &[]), Order::Duty, 2),
        None
    );
}

#[test]
fn why_says_what_matched_and_what_lost() {
    let (table, areas) = (example(), areas());
    let choice = table
        .choose(&case("street_light", None, Hours::Closed, &areas), Order::Duty, 2)
        .unwrap();
    assert_eq!(
        choice.why(7),
        json!({
            "version": 7, "rule": "r5", "fallback": false,
            "matched": {"layer": "street_light", "area": "district-1", "hours": "closed"},
            "beaten": [{"rule": "r1", "lost_at": "area"}, {"rule": "r2", "lost_at": "category"}],
        })
    );
    let many: Vec<Value> = (0..9)
        .map(|n| json!({"id": format!("r{n}"), "office": "o", "priority": n}))
        .collect();
    let many = super::tests::table(Value::Array(many)).unwrap();
    let choice = many
        .choose(&case("noise", None, Hours::Open, &[]), Order::Duty, 2)
        .unwrap();
    assert_eq!(choice.row.id, "r8");
    assert_eq!(choice.beaten.len(), 5);
    assert!(choice.beaten.iter().all(|beaten| beaten.lost_at == "priority"));
}

#[test]
fn rows_that_tie_are_refused_where_their_validities_meet() {
    let row = |id: &str, from: Value, to: Value| json!({"id": id, "office": id, "valid_from": from, "valid_to": to});
    let met = table(json!([
        row("a", json!("2026-01-01"), json!("2026-06-30")),
        row("b", json!("2026-06-30"), Value::Null)
    ]));
    assert!(matches!(met, Err(InvalidDuty::Ambiguous { .. })), "{met:?}");
    let apart = table(json!([
        row("a", json!("2026-01-01"), json!("2026-06-30")),
        row("b", json!("2026-07-01"), Value::Null)
    ]));
    assert!(apart.is_ok());
    let always = table(json!([
        row("a", Value::Null, Value::Null),
        row("b", Value::Null, Value::Null)
    ]));
    assert_eq!(
        always,
        Err(InvalidDuty::Ambiguous {
            first: "a".into(),
            second: "b".into()
        })
    );
    assert!(table(json!([{"id": "a", "office": "a"}, {"id": "b", "office": "b", "fallback": true}])).is_ok());
}

#[test]
fn a_row_holds_from_its_first_instant_to_the_one_after_its_last() {
    let table =
        table(json!([{"id": "a", "office": "a", "valid_from": "2026-03-01", "valid_to": "2026-03-31"}]))
            .unwrap();
    let has = |text: &str| {
        let at = EventTime::parse_rfc3339(text).unwrap();
        let facts = DutyFacts {
            at,
            ..case("noise", None, Hours::Open, &[])
        };
        table.choose(&facts, Order::Duty, 2).is_some()
    };
    assert!(!has("2026-02-28T23:59:59.999999+08:00") && has("2026-03-01T00:00:00+08:00"));
    assert!(has("2026-03-31T23:59:59.999999+08:00") && !has("2026-04-01T00:00:00+08:00"));
}

#[test]
fn each_wrong_key_is_named() {
    let wrong = table(json!([
        {"id": "a", "office": "o", "layer": "x", "group": "y"},
        {"id": "b"},
        {"id": "b", "office": "o", "hours": "night", "priority": 0.5, "with": "x", "colour": 1, "kind": "fun"},
        {"id": "c", "office": "o", "valid_from": "2026-02-30", "valid_to": "soon"},
        {"id": "c", "office": "o", "priority": 1},
        {"id": "c", "office": "o", "priority": 2},
    ]));
    let Err(InvalidDuty::Data(error)) = wrong else {
        panic!("{wrong:?}")
    };
    let fields: Vec<&str> = error
        .problems
        .iter()
        .map(|problem| problem.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "rows[0].group",
            "rows[1].office",
            "rows[2].kind",
            "rows[2].hours",
            "rows[2].with",
            "rows[2].priority",
            "rows[2].colour",
            "rows[3].valid_from",
            "rows[3].valid_to",
            "rows[4].id",
            "rows[5].id"
        ]
    );
}

proptest! {
    /// The index by subject and area finds what looking at every row does.
    #[test]
    fn the_choice_is_that_of_looking_at_every_row(
        rows in prop::collection::vec((0u8..4, 0u8..4, 0u8..3, 0u8..2, 0u8..3, 0i64..3, any::<bool>()), 0..30),
        night in any::<bool>(), returns in 0u32..3, excluded in any::<bool>(),
    ) {
        let rows: Vec<Value> = rows.into_iter().enumerate().map(|(place, (subject, area, kind, channel, hours, priority, fallback))| {
            let mut row = json!({"id": format!("{place:02}"), "office": format!("o{}", place % 3), "priority": priority * 100 + place as i64, "fallback": fallback});
            match subject { 1 => row["layer"] = json!("noise"), 2 => row["group"] = json!("g"), 3 => row["layer"] = json!("other"), _ => {} }
            match area { 1 => row["area"] = json!("city"), 2 => row["area"] = json!("grid-12"), 3 => row["area"] = json!("else"), _ => {} }
            match kind { 1 => row["kind"] = json!("help"), 2 => row["kind"] = json!("other"), _ => {} }
            if channel == 1 { row["channel"] = json!("phone"); }
            match hours { 1 => row["hours"] = json!("open"), 2 => row["hours"] = json!("closed"), _ => {} }
            row
        }).collect();
        let table = table(Value::Array(rows)).unwrap();
        let (areas, out) = (areas(), if excluded { vec!["o1".to_owned()] } else { Vec::new() });
        let facts = DutyFacts { excluded: &out, returns, ..case("noise", Some("g"), if night { Hours::Closed } else { Hours::Open }, &areas) };
        let level = |area: &Option<String>| area.as_ref().map_or(Some(0), |area| areas.iter().find(|(id, _)| id == area).map(|(_, level)| *level));
        let mut best: Option<(([u8; 5], i64), &DutyRow)> = None;
        let first_hand = |row: &DutyRow| !row.fallback && !out.contains(&row.office);
        let fits = |row: &DutyRow| level(&row.area).is_some()
            && match &row.subject { Subject::Any => true, Subject::Group(group) => group == "g", Subject::Layer(layer) => layer == "noise" }
            && row.kind.is_none_or(|kind| kind == CaseKind::Help)
            && row.hours.is_none_or(|hours| (hours == Hours::Closed) == night);
        let by_fallback = returns >= 2 || !table.rows().iter().any(|row| fits(row) && first_hand(row));
        for row in table.rows().iter().filter(|row| fits(row) && if by_fallback { row.fallback } else { first_hand(row) }) {
            let category = match row.subject { Subject::Any => 0, Subject::Group(_) => 1, Subject::Layer(_) => 2 };
            let rank = ([category, level(&row.area).unwrap(), row.kind.is_some().into(), row.channel.is_some().into(), row.hours.is_some().into()], row.priority);
            if best.is_none_or(|(other, _)| other < rank) { best = Some((rank, row)); }
        }
        let found = table.choose(&facts, Order::Duty, 2);
        prop_assert_eq!(found.map(|choice| &choice.row.id), best.map(|(_, row)| &row.id));
    }
}
