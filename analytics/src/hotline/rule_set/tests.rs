//! Rule sets as they are shipped, chosen and refused.

use serde_json::{Value, json};

use super::*;
use crate::hotline::CaseKind;
use crate::hotline::calendar::Calendar;
use crate::hotline::deadlines::ClockName;

fn facts(kind: CaseKind, channel: &str, severity: Option<u8>) -> CaseFacts<'_> {
    CaseFacts {
        kind,
        group: Some("utilities"),
        layer: "street_light",
        severity,
        channel,
        labels: &[],
    }
}

#[test]
fn what_is_shipped_is_whole_and_says_its_source() {
    for shipped in SHIPPED_CALENDARS {
        let calendar = Calendar::from_json(&shipped.body().unwrap());
        assert!(calendar.is_ok(), "{}: {calendar:?}", shipped.name);
        assert!(Calendar::shipped(shipped.name).is_some());
    }
    for shipped in SHIPPED_RULES {
        let set = RuleSet::from_json(&shipped.body().unwrap(), |name| Calendar::shipped(name).is_some());
        let set = set.unwrap_or_else(|error| panic!("{}: {error}", shipped.name));
        assert_eq!(set.name, shipped.name);
        assert!(set.source.is_some_and(|source| source.contains("not verified")));
    }
    assert!(Calendar::shipped("nowhere").is_none() && RuleSet::shipped("nowhere").is_none());
}

#[test]
fn the_most_members_win_then_the_first() {
    let set = RuleSet::shipped("beijing").unwrap();
    let rule = |case: &CaseFacts<'_>| set.rule_for(case).unwrap().id.clone();
    assert_eq!(rule(&facts(CaseKind::Help, "phone", None)), "utilities");
    assert_eq!(rule(&facts(CaseKind::Help, "phone", Some(4))), "danger");
    assert_eq!(rule(&facts(CaseKind::Help, "web", Some(4))), "danger_web");
    assert_eq!(rule(&facts(CaseKind::Help, "web", Some(3))), "utilities_web");
    let hard = CaseFacts {
        group: None,
        labels: &["hard".to_owned()],
        ..facts(CaseKind::Help, "phone", None)
    };
    assert_eq!(rule(&hard), "hard");
    let general = CaseFacts {
        group: None,
        ..facts(CaseKind::Help, "phone", None)
    };
    assert_eq!(rule(&general), "general");
    let guangdong = RuleSet::shipped("guangdong").unwrap();
    let tip = guangdong
        .rule_for(&facts(CaseKind::TipOff, "phone", None))
        .unwrap();
    assert_eq!(tip.clocks[&ClockName::Handle].term.to_string(), "15wd");
    assert!(!tip.clocks.contains_key(&ClockName::Return));
    assert!(
        guangdong
            .rule_for(&facts(CaseKind::Other, "phone", None))
            .is_none()
    );
}

fn problems_of(clocks: &Value) -> Vec<String> {
    let set = json!({"name": "a", "rules": [{"id": "r", "calendar": "cn", "clocks": clocks}]});
    match RuleSet::from_json(&set, |name| name == "cn") {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.into_iter().map(|problem| problem.field).collect(),
    }
}

#[test]
fn each_wrong_key_is_named() {
    let handle = |rule: Value| problems_of(&json!({"handle": rule}));
    let key = |name: &str| vec![format!("rules[0].clocks.handle{name}")];
    assert_eq!(handle(json!("5wd")), Vec::<String>::new());
    for wrong in [
        json!("0wd"),
        json!("3661wd"),
        json!("5 wd"),
        json!("5w"),
        json!("-1d"),
        json!("1.5h"),
        json!(""),
        json!("wd"),
        json!("5WD"),
        json!("99999999999999999999s"),
    ] {
        assert_eq!(handle(wrong.clone()), key(""), "{wrong}");
    }
    assert_eq!(handle(json!(5)), key(""));
    assert_eq!(handle(json!({})), key(".term"));
    assert_eq!(handle(json!({"term": "5wd", "yellow": "2wh"})), key(".yellow"));
    assert_eq!(handle(json!({"term": "5wd", "red": "next"})), key(".red"));
    assert_eq!(handle(json!({"term": "5h", "roll": true})), key(".roll"));
    assert_eq!(handle(json!({"term": "5d@", "close": true})), key(".close"));
    assert_eq!(handle(json!({"term": "5wd", "extend": "3d"})), key(".extend"));
    assert_eq!(
        handle(json!({"term": "5wd", "extensions": 2})),
        key(".extensions")
    );
    assert_eq!(handle(json!({"term": "5wd", "colour": 1})), key(".colour"));
    assert_eq!(problems_of(&json!({"wait": "5wd"})), ["rules[0].clocks.wait"]);
    assert_eq!(
        problems_of(&json!({"return": {"term": "2wd", "yellow": "1wd"}})),
        ["rules[0].clocks.return.yellow"]
    );
    assert_eq!(
        problems_of(&json!({"accept": {"term": "2h", "extend": "1h"}})),
        ["rules[0].clocks.accept.extend"]
    );
    let set = json!({"name": "", "rules": [
        {"id": "r", "calendar": "none", "clocks": {}, "when": {"kind": "fun", "severity": 9}},
        {"id": "s", "calendar": "cn", "clocks": {}}, {"id": "s", "calendar": "cn", "clocks": {}}], "more": 1});
    let error = RuleSet::from_json(&set, |name| name == "cn").unwrap_err();
    let fields: Vec<&str> = error
        .problems
        .iter()
        .map(|problem| problem.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "name",
            "rules[0].when.kind",
            "rules[0].when.severity",
            "rules[0].calendar",
            "rules[2].id",
            "more"
        ]
    );
}

#[test]
fn a_rule_set_is_read_back_as_it_was_written() {
    for shipped in SHIPPED_RULES {
        let set = RuleSet::shipped(shipped.name).unwrap();
        let written = serde_json::to_value(&set).unwrap();
        assert_eq!(RuleSet::from_json(&written, |_| true).unwrap(), set);
    }
}

#[test]
fn samples_tell_what_a_rule_set_would_do() {
    let text = include_str!("../../../../fixtures/hotline/sample.toml");
    let document = crate::hotline::read_document(text).unwrap();
    let told: Vec<(usize, &str, String, Option<String>)> = SampleClock::of_document(&document)
        .unwrap()
        .into_iter()
        .map(|clock| (clock.sample, clock.clock.as_str(), clock.due, clock.yellow))
        .collect();
    let handle = "2026-02-28T00:00:00+08:00".to_owned();
    assert_eq!(
        told,
        [
            (1, "accept", "2026-02-13T17:10:00+08:00".to_owned(), None),
            (1, "return", "2026-02-25T00:00:00+08:00".to_owned(), None),
            (1, "handle", handle, Some("2026-02-27T00:00:00+08:00".to_owned())),
            (
                2,
                "handle",
                "2026-03-16T17:00:00+08:00".to_owned(),
                Some("2026-03-16T15:00:00+08:00".to_owned())
            ),
        ]
    );
    let mut wrong = document.clone();
    wrong["samples"][0]["kind"] = json!("fun");
    wrong["samples"][1]["opened_at"] = json!("today");
    wrong["calendars"] = json!({"mine": {"zone": "UTC"}});
    let error = SampleClock::of_document(&wrong).unwrap_err();
    let fields: Vec<&str> = error
        .problems
        .iter()
        .map(|problem| problem.field.as_str())
        .collect();
    assert_eq!(
        fields,
        ["calendars.mine.week", "samples[0].kind", "samples[1].opened_at"]
    );
    let mut none = document;
    none["rules"].as_array_mut().unwrap().truncate(1);
    let error = SampleClock::of_document(&none).unwrap_err();
    assert_eq!(error.problems[0].field, "samples[1]");
}
