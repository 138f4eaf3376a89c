#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;

use h3o::{CellIndex, LatLng, Resolution};
use proptest::prelude::*;
use riskgrid_ingest::places::{Area, AreaIndex, Places, Shape};
use riskgrid_ingest::{LayerSettings, LayerTable};

use super::*;

fn names(list: &[&str]) -> Names {
    list.iter().copied().collect()
}

fn scope(layers: &[&str], areas: &[&str]) -> Scope {
    Scope {
        layers: names(layers),
        areas: names(areas),
    }
}

/// A square of `size` degrees.
fn area(id: &str, parent: Option<&str>, [west, south]: [f64; 2], size: f64) -> Area {
    let (east, north) = (west + size, south + size);
    let ring = vec![
        [west, south],
        [east, south],
        [east, north],
        [west, north],
        [west, south],
    ];
    Area {
        id: id.into(),
        name: id.to_uppercase(),
        level: "district".into(),
        parent: parent.map(Into::into),
        population: None,
        shape: Shape::new(vec![vec![ring]]).unwrap(),
    }
}

fn places(areas: Vec<Area>) -> Arc<Places> {
    Arc::new(Places {
        areas: AreaIndex::new(areas).unwrap(),
        ..Places::default()
    })
}

#[test]
fn classes_are_those_of_the_contract() {
    let class = |role, scope: &Scope| class::Class::of(role, scope).to_string();
    let some = scope(&["noise", "flooding", "noise"], &["dorchester"]);
    assert_eq!(class(Role::Analyst, &some), "3a61ac1c9a898be317b59f48bad9f361");
    let all = [Role::Analyst, Role::Public].map(|role| Permission::everywhere(role).class().to_string());
    assert_eq!(
        all,
        [
            "1519d3470dc5d20a2239292ccd4a3394",
            "57f451817daa03615c8c4b8b86d66cda"
        ]
    );
}

#[test]
fn a_scope_means_nothing_to_an_admin_and_to_the_public() {
    let all = Permissions::new(Arc::default(), Resolution::Nine);
    for role in [Role::Admin, Role::Public] {
        let permission = all.of(role, scope(&["noise"], &["a"]));
        // Of the grid the public sees nothing.
        let is_admin = role == Role::Admin;
        assert_eq!(permission.is_whole(), is_admin);
        for layer in [None, Some("noise"), Some("flooding")] {
            assert_eq!(permission.admits_layer(layer), is_admin);
        }
        assert_eq!(permission.class(), Permission::everywhere(role).class());
    }
}

#[test]
fn a_class_is_compiled_once_while_it_is_held() {
    let all = Permissions::new(places(vec![area("a", None, [7.0, 50.0], 0.1)]), Resolution::Nine);
    let first = all.of(Role::Analyst, scope(&["noise"], &["a"]));
    let again = all.of(Role::Analyst, scope(&["noise", "noise"], &["a"]));
    assert!(Arc::ptr_eq(&first, &again));
    assert!(!Arc::ptr_eq(
        &first,
        &all.of(Role::Operator, scope(&["noise"], &["a"]))
    ));
}

#[test]
fn areas_below_those_of_a_scope_are_in_it() {
    let all = places(vec![
        area("city", None, [7.0, 50.0], 1.0),
        area("district", Some("city"), [7.0, 50.0], 0.5),
        area("quarter", Some("district"), [7.0, 50.0], 0.2),
        area("elsewhere", None, [8.5, 50.0], 0.2),
    ]);
    let permission = Permission::within(Role::Analyst, scope(&["*"], &["district"]), &all, Resolution::Six);
    let seen = ["city", "district", "quarter", "elsewhere"].map(|id| permission.admits_area(id));
    assert_eq!(seen, [false, true, true, false]);
    assert!(!permission.admits_place(None) && permission.admits_layer(None));
    let of_layers = Permission::within(Role::Analyst, scope(&["noise"], &["*"]), &all, Resolution::Six);
    assert!(of_layers.admits_place(None) && !of_layers.admits_layer(None));
    assert!(of_layers.admits_layer(Some("noise")) && !of_layers.admits_layer(Some("flooding")));
}

#[test]
fn a_name_that_means_nothing_is_told_with_what_may_be_meant() {
    let layers: Vec<LayerSettings> = serde_json::from_value(serde_json::json!([
        {"id": "noise", "kind": "report"}, {"id": "flooding", "kind": "report"},
    ]))
    .unwrap();
    let layers = LayerTable::new(&layers, 16).unwrap();
    let areas = AreaIndex::new(vec![area("dorchester", None, [7.0, 50.0], 0.1)]).unwrap();
    let said = |scope: Scope| scope.check(&layers, &areas).unwrap_err().to_string();
    assert_eq!(
        said(scope(&["noize"], &["*"])),
        "layer `noize` does not exist; did you mean noise?"
    );
    assert_eq!(
        said(scope(&["*"], &["elsewhere"])),
        "area `elsewhere` does not exist; GET /v1/areas lists those known"
    );
    assert!(
        scope(&["noise", "flooding"], &["dorchester"])
            .check(&layers, &areas)
            .is_ok()
    );
    assert!(
        Scope::ALL
            .check(&LayerTable::default(), &AreaIndex::default())
            .is_ok()
    );
}

#[test]
fn a_scope_is_written_as_lists() {
    let written = serde_json::to_value(scope(&["b", "a"], &["*", "x"])).unwrap();
    assert_eq!(written, serde_json::json!({"layers": ["a", "b"], "areas": ["*"]}));
    assert_eq!(
        serde_json::from_value::<Scope>(written).unwrap(),
        scope(&["a", "b"], &["*"])
    );
}

#[test]
fn tables_are_those_of_the_contract() {
    let tables = |permission: &Permission| -> BTreeSet<&str> {
        let had = Table::ALL
            .into_iter()
            .filter(|table| permission.has_table(*table));
        had.map(Table::as_str).collect()
    };
    let all = places(vec![area("a", None, [7.0, 50.0], 0.1)]);
    let scoped = |role| Permission::within(role, scope(&["*"], &["a"]), &all, Resolution::Six);
    let public = BTreeSet::from([
        "cells",
        "cells_rest",
        "risk",
        "areas",
        "layers",
        "alerts",
        "queries",
    ]);
    let analyst = BTreeSet::from([
        "cells",
        "risk",
        "events",
        "reports",
        "sensors",
        "facilities",
        "population",
        "areas",
        "layers",
        "alerts",
        "rules",
        "queries",
        "cases",
        "case_moves",
        "case_clocks",
        "case_assessed",
    ]);
    let operator: BTreeSet<&str> = analyst.iter().copied().chain(["units"]).collect();
    let whole: BTreeSet<&str> = operator
        .iter()
        .copied()
        .chain(["deliveries", "dead_letters"])
        .collect();
    assert_eq!(tables(&Permission::public()), public);
    assert_eq!(tables(&scoped(Role::Analyst)), analyst);
    assert_eq!(tables(&Permission::everywhere(Role::Analyst)), analyst);
    assert_eq!(tables(&scoped(Role::Operator)), operator);
    assert_eq!(tables(&Permission::everywhere(Role::Operator)), whole);
    assert_eq!(tables(&Permission::admin()), whole);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_seen_is_what_a_look_at_every_area_says(
        corners in prop::collection::vec((0..20_u32, 0..20_u32, 1..8_u32, prop::option::of(0..6_usize)), 1..6),
        named in prop::collection::vec(any::<bool>(), 6),
        points in prop::collection::vec((0.0..0.3_f64, 0.0..0.3_f64), 1..60),
    ) {
        let id = |number: usize| format!("a{number}");
        let areas: Vec<Area> = corners
            .iter()
            .enumerate()
            .map(|(number, (east, north, size, parent))| {
                // A parent comes before, so that there is no circle.
                let parent = parent.filter(|parent| *parent < number).map(id);
                let corner = [7.0 + f64::from(*east) / 100.0, 50.0 + f64::from(*north) / 100.0];
                area(&id(number), parent.as_deref(), corner, f64::from(*size) / 100.0)
            })
            .collect();
        let chosen: Vec<String> = (0..areas.len()).filter(|number| named[*number]).map(id).collect();
        let all = places(areas.clone());
        let scope = Scope { layers: Names::All, areas: chosen.iter().cloned().collect() };
        let permission = Permission::within(Role::Analyst, scope, &all, Resolution::Nine);
        let is_below = |area: &Area| -> bool { let mut at = area.clone(); loop {
            if chosen.iter().any(|id| **id == *at.id) {
                return true;
            }
            match at.parent.as_ref().and_then(|parent| areas.iter().find(|area| area.id == *parent)) {
                Some(parent) => at = parent.clone(),
                None => return false,
            }
        } };
        for (east, north) in points {
            let (lon, lat) = (7.0 + east, 50.0 + north);
            let seen = areas.iter().any(|area| is_below(area) && area.shape.contains([lon, lat]));
            prop_assert_eq!(permission.admits_place(Some([lon, lat])), seen);
            let cell: CellIndex = LatLng::new(lat, lon).unwrap().to_cell(Resolution::Nine);
            let centre = LatLng::from(cell);
            let is_named = |area: &&Area| chosen.iter().any(|id| **id == *area.id);
            let seen = areas.iter().filter(is_named).any(|area| area.shape.contains([centre.lng(), centre.lat()]));
            prop_assert_eq!(permission.admits_cell(cell.into()), seen);
        }
        for area in &areas {
            prop_assert_eq!(permission.admits_area(&area.id), is_below(area));
        }
    }
}
