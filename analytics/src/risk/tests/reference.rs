//! Reference layers shared out among cells: nobody is lost, nobody counts twice.

use std::sync::Arc;

use h3o::{CellIndex, LatLng, Resolution};
use proptest::prelude::*;
use riskgrid_ingest::places::{Area, AreaIndex, Facility, FacilityIndex, PeopleAt, Places, Shape};

use super::made::model;
use crate::risk::RiskModel;
use crate::risk::model::Indicator;
use crate::risk::reference::{InvalidReference, ReferenceCells};
use crate::risk::vulnerability::Scale;
use riskgrid_ingest::HOUR;

const LON: f64 = 113.93;
const LAT: f64 = 22.53;

pub(super) fn area(id: &str, [west, south, east, north]: [f64; 4], people: Option<u64>) -> Area {
    let ring = vec![
        [west, south],
        [east, south],
        [east, north],
        [west, north],
        [west, south],
    ];
    Area {
        id: id.into(),
        name: id.to_owned(),
        level: "district".into(),
        parent: None,
        population: people,
        shape: Shape::new(vec![vec![ring]]).unwrap(),
    }
}

fn places(areas: Vec<Area>) -> Places {
    Places {
        areas: AreaIndex::new(areas).unwrap(),
        ..Places::default()
    }
}

fn shared(model: &RiskModel, places: &Places) -> Result<ReferenceCells, InvalidReference> {
    ReferenceCells::new(model, places, Resolution::Nine)
}

/// All cells round the place.
fn around() -> Vec<u64> {
    let centre = LatLng::new(LAT, LON).unwrap().to_cell(Resolution::Nine);
    centre
        .grid_disk::<Vec<CellIndex>>(30)
        .into_iter()
        .map(u64::from)
        .collect()
}

fn people_in(cells: &ReferenceCells) -> f64 {
    around()
        .into_iter()
        .filter_map(|cell| cells.of(cell).population)
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn all_people_are_somewhere_once(width in 0.0005..0.02_f64, height in 0.0005..0.02_f64, people in 1..100_000_u64) {
        let here = area("a", [LON, LAT, LON + width, LAT + height], Some(people));
        let beside = area("b", [LON - width, LAT, LON, LAT + height], Some(7));
        let cells = shared(&model(2 * HOUR), &places(vec![here, beside])).unwrap();
        let all = people_in(&cells);
        prop_assert!((all - people as f64 - 7.0).abs() < 1e-6, "{all}");
    }
}

#[test]
fn an_area_between_the_centres_of_sub_cells_is_at_its_own_point() {
    let speck = area("speck", [LON, LAT, LON + 1e-6, LAT + 1e-6], Some(500));
    let cells = shared(&model(2 * HOUR), &places(vec![speck])).unwrap();
    let here = LatLng::new(LAT, LON).unwrap().to_cell(Resolution::Nine).into();
    assert_eq!(cells.of(here).population, Some(500.0));
}

#[test]
fn who_would_count_twice_is_an_error_that_names_the_areas() {
    let model = model(2 * HOUR);
    let district = |people| area("district", [LON, LAT, LON + 0.01, LAT + 0.01], people);
    let city = |people| area("city", [LON - 0.01, LAT, LON + 0.02, LAT + 0.02], people);
    let error = shared(&model, &places(vec![district(Some(5)), city(Some(9))]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`city`") && error.contains("`district`") && error.contains("a population"),
        "{error}"
    );
    // Of one level only.
    assert!(shared(&model, &places(vec![district(Some(5)), city(None)])).is_ok());
    let at_point = |areas: Vec<Area>, summed: bool| Places {
        population: vec![PeopleAt {
            lon: LON + 0.005,
            lat: LAT + 0.005,
            people: 3.0,
        }],
        summed_areas: summed.then(|| "district".into()).into_iter().collect(),
        ..places(areas)
    };
    let error = shared(&model, &at_point(vec![district(Some(5))], false))
        .unwrap_err()
        .to_string();
    assert!(error.contains("`district`"), "{error}");
    // A figure that is the sum of points is not another one.
    let cells = shared(&model, &at_point(vec![district(Some(3))], true)).unwrap();
    assert!((people_in(&cells) - 3.0).abs() < 1e-12);
    let speck = area(
        "speck",
        [LON + 0.005, LAT + 0.005, LON + 0.005_001, LAT + 0.005_001],
        Some(1),
    );
    assert!(shared(&model, &places(vec![district(Some(5)), speck])).is_err());
}

#[test]
fn indicators_are_averaged_before_they_are_shares_and_facilities_are_in_their_cell() {
    let mut model = model(2 * HOUR);
    let values = [("a".into(), 0.0), ("b".into(), 10.0)].into_iter().collect();
    model.susceptibility = vec![Indicator {
        name: "poor.csv".to_owned(),
        values,
        scale: Scale { lo: 0.0, hi: 5.0 },
        weight: 1.0,
    }];
    model.facilities = [("hospital".to_owned(), 3.0)].into_iter().collect();
    let centre = LatLng::from(LatLng::new(LAT, LON).unwrap().to_cell(Resolution::Nine));
    let (lon, lat) = (centre.lng(), centre.lat());
    // The border between the two runs through the middle of a cell: 5 on average is all of it, and so is 10.
    let west = area("a", [lon - 0.01, lat - 0.01, lon, lat + 0.01], None);
    let east = area("b", [lon, lat - 0.01, lon + 0.01, lat + 0.01], None);
    let hospital = |id: &str| Facility {
        id: id.into(),
        name: id.to_owned(),
        kind: "hospital".into(),
        lon,
        lat,
        properties: Vec::new(),
    };
    let places = Places {
        facilities: FacilityIndex::new(vec![hospital("one"), hospital("two")]).unwrap(),
        ..places(vec![west, east])
    };
    let cells = shared(&model, &places).unwrap();
    let here = cells.of(LatLng::new(lat, lon).unwrap().to_cell(Resolution::Nine).into());
    assert_eq!(here.facilities, 6.0);
    assert!((here.susceptibility.unwrap() - 1.0).abs() < 0.1, "{here:?}");
    let at = |east: f64| {
        cells
            .of(LatLng::new(lat, lon + east)
                .unwrap()
                .to_cell(Resolution::Nine)
                .into())
            .susceptibility
    };
    assert_eq!((at(-0.007), at(0.007), at(0.1)), (Some(0.0), Some(1.0), None));
    assert_eq!(here.population, None);
    let _ = Arc::new(cells);
}
