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
            "`kind` is \"burst\", not available; allowed: threshold",
        ),
        (
            with(river(), "kind", json!(null)),
            "`kind` is missing; allowed: threshold",
        ),
        (
            with(calls(), "per", json!("city")),
            "`per` is \"city\"; allowed: sensor, cell",
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
        found.starts_with("`abov` is 1; allowed: no such field; a rule has above, at_least, clear_below"),
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
