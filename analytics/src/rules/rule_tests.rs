use riskgrid_ingest::LayerKind;
use riskgrid_ingest::grid::Metric;
use serde_json::json;

use super::*;

fn river() -> Value {
    json!({"name": "river high", "kind": "threshold", "layer": "water_level", "per": "sensor", "metric": "last",
        "above": 3.5, "clear_below": 3.2, "for": "2m", "severity": "major", "webhooks": ["ops"]})
}

fn calls() -> Value {
    json!({"name": "calls pile up", "kind": "threshold", "layer": "flooding", "per": "cell", "resolution": 8,
        "metric": "count", "window": "15m", "at_least": 20, "clear_below": 10, "severity": "critical", "webhooks": ["ops"]})
}

const BOUNDS: RuleBounds = RuleBounds {
    base_resolution: 9,
    longest_window: Duration::from_hours(48),
    shortest_window: Duration::from_mins(2),
    bucket: Duration::from_mins(1),
};

fn message(rule: &Value) -> String {
    Rule::from_json("r", rule, &BOUNDS).unwrap_err().to_string()
}

#[test]
fn a_stored_rule_is_the_rule() {
    for json in [river(), calls()] {
        let rule = Rule::from_json("r1", &json, &BOUNDS).unwrap();
        assert_eq!(
            Rule::from_stored(&serde_json::to_string(&rule).unwrap()).unwrap(),
            rule
        );
    }
}

#[test]
fn what_a_client_sent_comes_back_with_its_defaults() {
    let mut json = calls();
    json.as_object_mut().unwrap().remove("clear_below");
    let shown = serde_json::to_value(Rule::from_json("r1", &json, &BOUNDS).unwrap()).unwrap();
    json["id"] = json!("r1");
    json["clear_below"] = json!(20.0);
    json["at_least"] = json!(20.0);
    json["for"] = json!("0s");
    json["keep_firing_for"] = json!("0s");
    assert_eq!(shown, json);
}

#[test]
fn each_complaint_names_field_value_and_what_is_allowed() {
    let with = |base: Value, field: &str, value: Value| {
        let mut json = base;
        json[field] = value;
        message(&json)
    };
    let cases = [
        (
            with(river(), "keep_firing_for", json!("31d")),
            "`keep_firing_for` is \"31d\"; allowed: a duration up to 30d, like 0s, 2m or 1h 30m",
        ),
        (
            with(river(), "stale_after", json!("0s")),
            "`stale_after` is \"0s\"; allowed: a duration from 1s to 365d, like 30m or 7d",
        ),
        (
            with(calls(), "stale_after", json!("1h")),
            "`stale_after` is \"1h\"; allowed: none, but for rules per sensor",
        ),
        (
            with(river(), "kind", json!("burst")),
            "`kind` is \"burst\"; allowed: threshold, sql, no_data, composite, risk; burst, trend, clusters and geofence are not available",
        ),
        (
            with(river(), "kind", json!(null)),
            "`kind` is missing; allowed: threshold, sql, no_data, composite, risk; burst, trend, clusters and geofence are not available",
        ),
        (
            with(calls(), "per", json!("city")),
            "`per` is \"city\"; allowed: sensor, cell, area",
        ),
        (
            with(river(), "metric", json!("count")),
            "`metric` is \"count\"; allowed: last, for rules per sensor",
        ),
        (
            with(river(), "above", json!("3.5")),
            "`above` is \"3.5\"; allowed: a number",
        ),
        (
            with(river(), "at_least", json!(1)),
            "`at_least` is 1; allowed: either `above` or `at_least`, not both",
        ),
        (
            with(river(), "clear_below", json!(4)),
            "`clear_below` is 4; allowed: a number not over the limit, 3.5",
        ),
        (
            with(river(), "window", json!("1h")),
            "`window` is \"1h\"; allowed: none, for rules per sensor",
        ),
        (
            with(river(), "severity", json!("huge")),
            "`severity` is \"huge\"; allowed: minor, moderate, major, critical",
        ),
        (
            with(river(), "webhooks", json!(["a", "a"])),
            "`webhooks` is [\"a\",\"a\"]; allowed: a list of at most 16 names of webhooks, each once",
        ),
        (
            with(calls(), "resolution", json!(10)),
            "`resolution` is 10; allowed: a whole number from 0 to 9, the resolution of the grid",
        ),
        (
            with(calls(), "window", json!("15s")),
            "`window` is \"15s\"; allowed: a whole number and m, h or d, like 15m, from 2m (two buckets) up to 2days",
        ),
        (
            with(calls(), "window", json!("49h")),
            "`window` is \"49h\"; allowed: a whole number and m, h or d, like 15m, from 2m (two buckets) up to 2days",
        ),
        (
            with(calls(), "window", json!("1m")),
            "`window` is \"1m\"; allowed: a whole number and m, h or d, like 15m, from 2m (two buckets) up to 2days",
        ),
        (
            with(calls(), "at_least", json!(-1)),
            "`at_least` is -1; allowed: a number from 0 to 2^64, which count can be",
        ),
        (
            with(calls(), "at_least", json!(1e30)),
            "`at_least` is 1e+30; allowed: a number from 0 to 2^64, which count can be",
        ),
        (
            with(calls(), "clear_below", json!(-0.5)),
            "`clear_below` is -0.5; allowed: a number from 0 to 2^64, which count can be",
        ),
        (
            with(calls(), "for", json!("long")),
            "`for` is \"long\"; allowed: a duration up to 30d, like 0s, 2m or 1h 30m",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

#[test]
fn an_unknown_field_is_named_with_the_known_ones() {
    let mut json = river();
    json["abov"] = json!(1);
    let found = message(&json);
    assert!(
        found.starts_with(
            "`abov` is 1; allowed: no such field; a rule has above, at_least, at_most, audience, below"
        ),
        "{found}"
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let problems = Rule::from_json("r", &json!({"per": "cell"}), &BOUNDS)
        .unwrap_err()
        .problems;
    let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(
        fields,
        ["name", "kind", "layer", "metric", "above", "window", "severity"]
    );
}

#[test]
fn a_rule_that_never_fires_on_its_layer_is_told_why() {
    let layer = |kind: &str| {
        let settings = serde_json::from_value(json!({"id": "x", "kind": kind, "unit": "m"})).unwrap();
        let table = riskgrid_ingest::LayerTable::new(&[settings], 8).unwrap();
        std::sync::Arc::clone(table.get(table.find("x").unwrap()).unwrap())
    };
    let (reports, water) = (layer("report"), layer("observation"));
    for metric in Metric::ALL {
        let mut json = calls();
        json["metric"] = json!(metric.as_str());
        let rule = Rule::from_json("r", &json, &BOUNDS).unwrap();
        assert!(rule.fits(&water).is_ok(), "{metric:?}");
        let on_reports = rule.fits(&reports);
        assert_eq!(
            on_reports.is_ok(),
            metric.applies_to(LayerKind::Report),
            "{metric:?}"
        );
        if let Err(invalid) = on_reports {
            assert_eq!(invalid.problems[0].field, "metric");
            assert!(
                invalid.problems[0].allowed.starts_with("count, weight, sources"),
                "{invalid}"
            );
        }
    }
    let mut json = river();
    let rule = Rule::from_json("r", &json, &BOUNDS).unwrap();
    assert!(rule.fits(&water).is_ok());
    assert_eq!(rule.fits(&reports).unwrap_err().problems[0].field, "per");
    json["above"] = json!(1e300);
    json["clear_below"] = json!(0);
    let rule = Rule::from_json("r", &json, &BOUNDS).unwrap();
    assert_eq!(rule.fits(&water).unwrap_err().problems[0].field, "above");
}

/// The rules of the contract page, each on its line.
fn page() -> Vec<Value> {
    let text = include_str!("../../../fixtures/reference/alerts/rules.ndjson");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_rules_of_the_page_that_are_available_are_rules_and_the_others_say_so() {
    for json in page() {
        let kind = json["kind"].as_str().unwrap().to_owned();
        match Rule::from_json("r", &json, &BOUNDS) {
            Ok(rule) => {
                assert_eq!(
                    Rule::from_stored(&serde_json::to_string(&rule).unwrap()).unwrap(),
                    rule
                );
                // What was sent is there, in the same words.
                let shown = serde_json::to_value(&rule).unwrap();
                for (name, value) in json.as_object().unwrap() {
                    assert!(
                        shown[name] == *value || shown[name].as_f64() == value.as_f64(),
                        "{kind} {name}: {} {value}",
                        shown[name]
                    );
                }
            }
            Err(invalid) => {
                assert!(
                    ["burst", "trend", "clusters", "geofence"].contains(&kind.as_str()),
                    "{invalid}"
                );
                assert_eq!(invalid.problems.len(), 1);
                assert!(invalid.to_string().ends_with("are not available"), "{invalid}");
            }
        }
    }
}

#[test]
fn a_rule_says_where_it_is_and_under_which_words_its_alerts_are_gathered() {
    let mut json = river();
    json["in"] = json!(["nanshan"]);
    json["group"] = json!("flood");
    json["labels"] = json!({"team": "water", "_x": ""});
    json["mute"] = json!("nights");
    json["sets_mode"] = json!({"area": "nanshan", "hold": "2h"});
    json["cap"] =
        json!({"publish": true, "category": ["Met"], "response": "Avoid", "expires": "2h", "radius_km": 0.5});
    json["text"] = json!({"en": {"event": "Flooding", "headline": "{sensor} at {value} {unit}"}, "zh-CN": {"event": "积水"}});
    json["enabled"] = json!(false);
    json["comment"] = json!("after the storm");
    json["emergency"] =
        json!({"above": 3.0, "for": "0s", "severity": "critical", "webhooks": ["ops", "mayor"]});
    let rule = Rule::from_json("r", &json, &BOUNDS).unwrap();
    assert_eq!(rule.mute, ["nights"]);
    assert_eq!(
        Rule::from_stored(&serde_json::to_string(&rule).unwrap()).unwrap(),
        rule
    );
}

#[test]
fn each_wrong_common_field_is_named_with_what_is_allowed() {
    let with = |field: &str, value: Value| {
        let mut json = river();
        json[field] = value;
        message(&json)
    };
    let many = |count: usize| -> Vec<String> { (0..count).map(|number| format!("a{number}")).collect() };
    let cases = [
        (with("in", json!(many(65))), "`in`", "1 to 64 ids of areas"),
        (with("in", json!([])), "`in`", "1 to 64 ids of areas"),
        (
            with("labels", json!({"1a": "x"})),
            "`labels`",
            "at most 16 members",
        ),
        (
            with("labels", json!({"a": "x".repeat(257)})),
            "`labels`",
            "at most 256 characters",
        ),
        (with("mute", json!(7)), "`mute`", "[[alerts.mutes]]"),
        (
            with("sets_mode", json!({"hold": "2h"})),
            "`sets_mode.area` is missing",
            "the id of an area",
        ),
        (
            with("sets_mode", json!({"area": "a", "held": "2h"})),
            "`sets_mode.held`",
            "`sets_mode` has area, hold",
        ),
        (
            with("cap", json!({"category": ["Weather"]})),
            "`cap.category`",
            "Geo, Met",
        ),
        (
            with("cap", json!({"urgency": "Now"})),
            "`cap.urgency`",
            "Immediate, Expected",
        ),
        (
            with("text", json!({"de": {}})),
            "`text.de`",
            "`text` has en, zh-CN",
        ),
        (
            with("text", json!({"en": {"event": "x".repeat(65)}})),
            "`text.en.event`",
            "1 to 64 characters",
        ),
        (
            with("text", json!({"en": {"headline": "{who}"}})),
            "`text.en.headline`",
            "{rule}, {value}",
        ),
        (with("enabled", json!("yes")), "`enabled`", "true or false"),
        (with("comment", json!("")), "`comment`", "1 to 2000 characters"),
        (
            with("webhooks", json!(many(17))),
            "`webhooks`",
            "at most 16 names",
        ),
        (
            with("emergency", json!({"above": 4})),
            "`emergency.above` is 4",
            "an emergency is no laxer",
        ),
        (
            with("emergency", json!({"for": "3m"})),
            "`emergency.for`",
            "up to 2m",
        ),
        (
            with("emergency", json!({"severity": "minor"})),
            "`emergency.severity`",
            "major or graver",
        ),
        (
            with("emergency", json!({"webhooks": ["mayor"]})),
            "`emergency.webhooks`",
            "has \"ops\" too",
        ),
        (
            with("emergency", json!({"every": "1m"})),
            "`emergency.every`",
            "judged on each event",
        ),
        (
            with("clear_above", json!(4)),
            "`clear_above` is 4",
            "it has `clear_below`",
        ),
        (
            with("below", json!(1)),
            "`below` is 1",
            "either `above` or `below`",
        ),
        (
            with("level", json!("district")),
            "`level`",
            "but for rules per area",
        ),
        (
            with("every", json!("1m")),
            "`every`",
            "none, for rules per sensor",
        ),
    ];
    for (found, field, allowed) in cases {
        assert!(found.contains(field) && found.contains(allowed), "{found}");
    }
}

#[test]
fn each_kind_names_its_own_wrong_fields() {
    let sql = json!({"name": "s", "kind": "sql", "sql": "SELECT 1 AS a WHERE $1 IS NOT NULL", "keys": ["a"], "severity": "minor"});
    let silent =
        json!({"name": "n", "kind": "no_data", "of": "sensor", "layer": "water_level", "severity": "minor"});
    let both =
        json!({"name": "c", "kind": "composite", "all": ["a", "b"], "by": "cell", "severity": "minor"});
    let risk = json!({"name": "k", "kind": "risk", "layer": "*", "at_least": 0.6, "severity": "minor"});
    for good in [&sql, &silent, &both, &risk] {
        let rule = Rule::from_json("r", good, &BOUNDS).unwrap();
        assert_eq!(
            Rule::from_stored(&serde_json::to_string(&rule).unwrap()).unwrap(),
            rule
        );
    }
    let with = |base: &Value, field: &str, value: Value| {
        let mut json = base.clone();
        json[field] = value;
        message(&json)
    };
    let cases = [
        (with(&sql, "keys", json!([])), "`keys`", "1 to 8 columns"),
        (
            with(&sql, "at_least", json!(5)),
            "`value` is missing",
            "compared with the limit",
        ),
        (with(&sql, "lon", json!("x")), "`lat`", "with `lon`"),
        (with(&sql, "timeout", json!("2m")), "`timeout`", "100ms to 60s"),
        (
            with(&sql, "every", json!("90s")),
            "`every`",
            "a multiple of 1m (a bucket)",
        ),
        (
            with(&silent, "feeds", json!(["f"])),
            "`feeds`",
            "none, where `of` is sensor",
        ),
        (
            with(&silent, "of", json!("feed")),
            "`feeds` is missing",
            "at most 1000 names",
        ),
        (with(&silent, "factor", json!(0)), "`factor`", "1 to 100"),
        (with(&silent, "max", json!("1m")), "`max`", "at least `min`"),
        (with(&both, "any", json!(["a", "b"])), "`any`", "not both"),
        (
            with(&both, "all", json!(["a"])),
            "`all`",
            "2 to 16 names of rules",
        ),
        (
            with(&both, "by", json!("area")),
            "`level` is missing",
            "a level of areas",
        ),
        (
            with(&risk, "at_least", json!(2)),
            "`at_least` is 2",
            "from 0 to 1",
        ),
        (
            with(&risk, "class", json!("watch")),
            "`at_least`",
            "none, with `class`",
        ),
        (
            with(&risk, "metric", json!("level")),
            "`metric`",
            "all layers together",
        ),
    ];
    for (found, field, allowed) in cases {
        assert!(found.contains(field) && found.contains(allowed), "{found}");
    }
}
