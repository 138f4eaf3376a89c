//! Against other software: esda (Gi*, local Moran's I), scipy (q) and slow second writings of the definitions, as written
//! by `fixtures/reference/local_statistics_reference.py`. All to 1e-9, relative; seeded p must be equal.

use std::collections::HashMap;

use h3o::CellIndex;

use super::{hotspots, local_moran, weighted_hotspots};
use crate::statistics::{FalseDiscovery, HotspotTable, LocalOptions, Method, Quadrant, Weights};

const GOLDEN: &str = include_str!("../../../../fixtures/reference/local_golden.csv");
const BOSTON_R8: &str = include_str!("../../../../fixtures/reference/local_boston_r8.csv");
const BOSTON_R9: &str = include_str!("../../../../fixtures/reference/local_boston_r9.csv");
const BOSTON_LIGHTS: &str = include_str!("../../../../fixtures/reference/local_boston_lights.csv");
const CRASHES: &str = include_str!("../../../../fixtures/reference/local_crashes.csv");
const EARTHQUAKES: &str = include_str!("../../../../fixtures/reference/local_earthquakes.csv");

/// One file: the study area, and the columns of numbers by their names.
struct Reference {
    cells: Vec<u64>,
    values: Vec<i128>,
    quadrants: Vec<String>,
    columns: HashMap<String, Vec<f64>>,
    /// Metres of the weights by distance.
    reach: Option<f64>,
}

impl Reference {
    fn read(csv: &str) -> Self {
        let mut lines = csv.lines();
        let reach = lines.next().unwrap().split_once("distance ");
        let names: Vec<&str> = lines.next().unwrap().split(',').collect();
        let mut read = Self {
            cells: Vec::new(),
            values: Vec::new(),
            quadrants: Vec::new(),
            columns: HashMap::new(),
            reach: reach.map(|(_, metres)| metres.parse().unwrap()),
        };
        for line in lines {
            for (name, field) in names.iter().zip(line.split(',')) {
                match *name {
                    "cell" => read.cells.push(field.parse::<CellIndex>().unwrap().into()),
                    "value" => read.values.push(field.parse().unwrap()),
                    "quadrant" => read.quadrants.push(field.to_owned()),
                    name => {
                        let column = read.columns.entry(name.to_owned()).or_default();
                        column.push(field.parse().unwrap());
                    }
                }
            }
        }
        read
    }

    fn has(&self, name: &str) -> bool {
        self.columns.contains_key(name)
    }

    #[track_caller]
    fn assert_column(&self, name: &str, got: &[f64]) {
        let expected = &self.columns[name];
        assert_eq!(got.len(), expected.len(), "{name}");
        for ((got, expected), cell) in got.iter().zip(expected).zip(&self.cells) {
            assert!(
                (got - expected).abs() <= 1e-9 * expected.abs(),
                "{name}, cell {cell:x}: {got} instead of {expected}"
            );
        }
    }

    /// The cells with an event alone: study area and neighbours must come out.
    fn observed(&self) -> (Vec<u64>, Vec<i128>) {
        let all = self.cells.iter().copied().zip(self.values.iter().copied());
        all.filter(|(_, value)| *value > 0).unzip()
    }

    fn hotspots(&self, weights: Weights, method: Method, fdr: FalseDiscovery) -> HotspotTable {
        let (cells, values) = self.observed();
        let options = LocalOptions {
            method,
            fdr,
            ..Default::default()
        };
        let table = weighted_hotspots(&cells, &values, weights, &options).unwrap();
        assert_eq!((&table.cell, &table.value), (&self.cells, &self.values));
        table
    }
}

fn assert_agrees(csv: &str) {
    let expected = Reference::read(csv);
    let bh = FalseDiscovery::BenjaminiHochberg;
    let analytic = expected.hotspots(Weights::Disk, Method::Analytic, bh);
    expected.assert_column("z", &analytic.z);
    expected.assert_column("p_analytic", &analytic.p);
    expected.assert_column("q_analytic", &analytic.q);
    let by = expected.hotspots(
        Weights::Disk,
        Method::Analytic,
        FalseDiscovery::BenjaminiYekutieli,
    );
    expected.assert_column("q_by", &by.q);
    if expected.has("p_exact") {
        let exact = expected.hotspots(Weights::Disk, Method::Exact, bh);
        expected.assert_column("p_exact", &exact.p);
        expected.assert_column("q_exact", &exact.q);
    }
    if let Some(reach) = expected.reach {
        let near = expected.hotspots(Weights::Distance(reach), Method::Analytic, bh);
        expected.assert_column("z_distance", &near.z);
        let nearer = expected.hotspots(Weights::Bisquare(reach), Method::Analytic, bh);
        expected.assert_column("z_bisquare", &nearer.z);
    }
    assert_moran_agrees(&expected);
}

fn assert_moran_agrees(expected: &Reference) {
    let (cells, values) = expected.observed();
    let with = |method, permutations| LocalOptions {
        method,
        permutations,
        ..Default::default()
    };
    let simulated = with(Method::Permutation, 99);
    let moran = local_moran(&cells, &values, &simulated).unwrap();
    assert_eq!(moran.cell, expected.cells);
    expected.assert_column("moran", &moran.i);
    let quadrants: Vec<&str> = moran.quadrant.iter().copied().map(Quadrant::as_str).collect();
    assert_eq!(quadrants, expected.quadrants);
    if expected.has("p_exact") {
        assert_eq!(moran.p, expected.columns["p_permutation"]);
        let hot = hotspots(&cells, &values, &simulated).unwrap();
        assert_eq!(hot.p, expected.columns["p_permutation"]);
        let exact = local_moran(&cells, &values, &with(Method::Exact, 1)).unwrap();
        expected.assert_column("moran_p_exact", &exact.p);
    }
}

#[test]
fn the_worked_example_agrees_with_esda_and_scipy() {
    assert_agrees(GOLDEN);
}

#[test]
fn all_reports_of_boston_agree_with_esda_and_scipy() {
    assert_agrees(BOSTON_R8);
    assert_agrees(BOSTON_R9);
}

#[test]
fn a_week_of_street_lights_agrees_with_the_law_in_whole_numbers() {
    assert_agrees(BOSTON_LIGHTS);
}

#[test]
fn two_years_of_crashes_agree_with_esda_and_scipy() {
    assert_agrees(CRASHES);
}

#[test]
fn earthquakes_of_the_whole_earth_agree_with_esda_scipy_and_the_law_in_whole_numbers() {
    assert_agrees(EARTHQUAKES);
}
