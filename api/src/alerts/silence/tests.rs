use std::sync::Arc;

use h3o::Resolution;
use riskgrid_analytics::permission::Role;
use riskgrid_ingest::places::{Area, AreaIndex};
use serde_json::json;

use super::*;

const NOW: &str = "2026-11-22T08:00:00Z";

fn now() -> EventTime {
    EventTime::parse_rfc3339(NOW).unwrap()
}

fn square() -> Vec<Ring> {
    vec![vec![
        [113.9, 22.5],
        [114.0, 22.5],
        [114.0, 22.6],
        [113.9, 22.6],
        [113.9, 22.5],
    ]]
}

fn places() -> Arc<Places> {
    let area = Area {
        id: "nanshan".into(),
        name: "Nanshan".to_owned(),
        level: "district".into(),
        parent: None,
        population: None,
        shape: Shape::new(vec![square()]).unwrap(),
    };
    Arc::new(Places {
        areas: AreaIndex::new(vec![area]).unwrap(),
        ..Places::default()
    })
}

#[allow(clippy::needless_pass_by_value, reason = "callers write it where they ask")]
fn request(extra: Value) -> Value {
    let mut json =
        json!({"match": {"rule": ["river high"]}, "ends_at": "2026-11-22T10:00:00Z", "comment": "works"});
    for (name, value) in extra.as_object().unwrap() {
        json[name] = value.clone();
    }
    json
}

fn accepted(json: Value) -> Result<Silence, InvalidSilence> {
    let request: SilenceRequest = serde_json::from_value(json).unwrap();
    request.accept("key:7", now(), &places())
}

fn cell_at(lon: f64, lat: f64, resolution: Resolution) -> CellIndex {
    LatLng::new(lat, lon).unwrap().to_cell(resolution)
}

static NO_LABELS: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();

fn subject<'a>() -> Subject<'a> {
    Subject {
        rule: "river high",
        rule_id: "5b1e",
        layer: "water_level",
        kind: "threshold",
        labels: &NO_LABELS,
        severity: "major",
        cell: Some(cell_at(113.95, 22.55, Resolution::Nine).into()),
    }
}

#[test]
fn what_is_not_said_is_filled_in() {
    let silence = accepted(request(json!({}))).unwrap();
    assert_eq!((silence.starts_at, silence.by.as_str()), (now(), "key:7"));
    assert!(silence.is_in_force(now()));
    assert!(!silence.is_in_force(silence.ends_at));
}

#[test]
fn each_wrong_value_is_named_with_what_is_allowed() {
    let crossing = json!({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]});
    for (field, extra) in [
        ("match", json!({"match": null})),
        ("match", json!({"match": {}})),
        ("match.rule", json!({"match": {"rule": [""]}})),
        ("match.layer", json!({"match": {"layer": vec!["a"; 65]}})),
        ("ends_at", json!({"ends_at": null})),
        ("ends_at", json!({"ends_at": "tomorrow"})),
        ("ends_at", json!({"ends_at": NOW})),
        ("ends_at", json!({"starts_at": "2026-11-22T10:00:00Z"})),
        ("ends_at", json!({"ends_at": "2026-12-22T08:00:01Z"})),
        (
            "ends_at",
            json!({"starts_at": "2026-11-22T06:00:00Z", "ends_at": "2026-11-22T07:00:00Z"}),
        ),
        ("starts_at", json!({"starts_at": "now"})),
        ("comment", json!({"comment": null})),
        ("comment", json!({"comment": "  "})),
        ("by", json!({"by": "x".repeat(129)})),
        ("place.area", json!({"place": {"area": "atlantis"}})),
        ("place.cells", json!({"place": {"cells": []}})),
        (
            "place.cells",
            json!({"place": {"cells": ["88411ca1b7fffff", "wet"]}}),
        ),
        (
            "place.polygon",
            json!({"place": {"polygon": {"type": "Point", "coordinates": [1, 2]}}}),
        ),
        (
            "place.polygon",
            json!({"place": {"polygon": {"type": "Polygon", "coordinates": "here"}}}),
        ),
        ("place.polygon", json!({"place": {"polygon": crossing}})),
    ] {
        let invalid = accepted(request(extra.clone())).unwrap_err();
        assert_eq!(invalid.field, field, "{extra}: {invalid}");
        assert!(invalid.to_string().contains("allowed: "), "{invalid}");
    }
    let thirty_days = request(json!({"ends_at": "2026-12-22T08:00:00Z"}));
    assert!(accepted(thirty_days).is_ok());
}

#[test]
fn all_that_is_said_must_hold_and_of_a_list_one() {
    let subject = subject();
    for (matches, is_about) in [
        (json!({"rule": ["river high"]}), true),
        (json!({"rule": ["5b1e"]}), true),
        (json!({"rule": ["river"]}), false),
        (
            json!({"rule": ["other", "river high"], "layer": ["water_level"]}),
            true,
        ),
        (json!({"rule": ["river high"], "layer": ["noise"]}), false),
        (json!({"kind": ["threshold"]}), true),
        (json!({"severity": ["minor", "major"]}), true),
        (json!({"severity": ["critical"]}), false),
    ] {
        let silence = accepted(request(json!({ "match": matches }))).unwrap();
        assert_eq!(silence.is_about(&subject, &places()), is_about, "{matches}");
    }
}

#[test]
fn critical_alerts_are_hidden_only_where_they_are_named() {
    let critical = Subject {
        severity: "critical",
        ..subject()
    };
    let by_rule = accepted(request(json!({}))).unwrap();
    assert!(!by_rule.is_about(&critical, &places()));
    let named = accepted(request(json!({"match": {"severity": ["critical"]}}))).unwrap();
    assert!(named.is_about(&critical, &places()));
}

#[test]
fn a_place_hides_what_lies_in_it() {
    let inside = cell_at(113.95, 22.55, Resolution::Nine);
    let outside = cell_at(113.8, 22.55, Resolution::Nine);
    let polygon = json!({"type": "Polygon", "coordinates": square()});
    let coarse = cell_at(113.95, 22.55, Resolution::Seven);
    for place in [
        json!({"area": "nanshan"}),
        json!({"polygon": polygon}),
        json!({"polygon": {"type": "MultiPolygon", "coordinates": [square()]}}),
        json!({"cells": [coarse.to_string()]}),
        json!({"cells": [inside.to_string()]}),
    ] {
        let silence = accepted(request(json!({"match": null, "place": place}))).unwrap();
        let is_about = |cell: Option<CellIndex>| {
            let subject = Subject {
                cell: cell.map(u64::from),
                ..subject()
            };
            silence.is_about(&subject, &places())
        };
        assert!(is_about(Some(inside)), "{place}");
        assert!(!is_about(Some(outside)), "{place}");
        assert!(!is_about(None), "{place}: what has no place lies in none");
    }
}

#[test]
fn a_cell_holds_what_has_its_centre_in_it_and_not_each_of_its_children() {
    let parent = cell_at(113.95, 22.55, Resolution::Seven);
    let silence = accepted(request(
        json!({"match": null, "place": {"cells": [parent.to_string()]}}),
    ))
    .unwrap();
    let mut beside = 0;
    for child in parent.children(Resolution::Nine) {
        let has_centre = LatLng::from(child).to_cell(Resolution::Seven) == parent;
        let subject = Subject {
            cell: Some(child.into()),
            ..subject()
        };
        assert_eq!(silence.is_about(&subject, &places()), has_centre, "{child}");
        beside += usize::from(!has_centre);
    }
    assert!(beside > 0, "the example has no child beside its parent");
}

#[test]
fn whoever_sees_a_part_may_silence_nothing_else() {
    let scope = serde_json::from_value(json!({"layers": ["water_level"], "areas": ["nanshan"]})).unwrap();
    let seen = Permission::within(Role::Operator, scope, &places(), Resolution::Nine);
    let area = json!({"area": "nanshan"});
    let cells = json!({"cells": [cell_at(113.95, 22.55, Resolution::Nine).to_string()]});
    for (matches, place, is_within) in [
        (json!({"layer": ["water_level"]}), area.clone(), true),
        (json!({"layer": ["water_level", "noise"]}), area.clone(), false),
        (json!({"rule": ["river high"]}), area, false),
        (json!({"layer": ["water_level"]}), Value::Null, false),
        (json!({"layer": ["water_level"]}), cells, false),
    ] {
        let silence = accepted(request(json!({"match": matches, "place": place}))).unwrap();
        assert_eq!(silence.is_within(&seen), is_within, "{matches} {place}");
        assert!(silence.is_within(&Permission::admin()));
    }
}
