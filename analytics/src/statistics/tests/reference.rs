//! Against other software: z of esda, q of scipy and a whole-number exact law, as written by
//! `fixtures/reference/hotspots_reference.py`.

use h3o::CellIndex;

use crate::statistics::{HotspotOptions, Method, hotspots};

const GOLDEN: &str = include_str!("../../../../fixtures/reference/hotspots_golden.csv");
const BOSTON_R8: &str = include_str!("../../../../fixtures/reference/hotspots_boston_r8.csv");
const BOSTON_R9: &str = include_str!("../../../../fixtures/reference/hotspots_boston_r9.csv");
const BOSTON_LIGHTS_R9: &str = include_str!("../../../../fixtures/reference/hotspots_boston_lights_r9.csv");

/// One line: cell, value, and the numbers after them.
struct Line {
    cell: u64,
    value: i128,
    numbers: Vec<f64>,
}

fn lines(csv: &str) -> Vec<Line> {
    let line = |text: &str| {
        let mut fields = text.split(',');
        let cell: CellIndex = fields.next().unwrap().parse().unwrap();
        Line {
            cell: cell.into(),
            value: fields.next().unwrap().parse().unwrap(),
            numbers: fields.map(|field| field.parse().unwrap()).collect(),
        }
    };
    csv.lines().skip(2).map(line).collect()
}

#[track_caller]
fn assert_column(name: &str, got: impl Iterator<Item = f64>, expected: impl Iterator<Item = f64>) {
    for (row, (got, expected)) in got.zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= 1e-9 * expected.abs(),
            "{name}, row {row}: {got} instead of {expected}"
        );
    }
}

/// From the cells with an event alone: study area, neighbours, z, p and q must all come out.
fn assert_agrees(csv: &str, method: Method) {
    let expected = lines(csv);
    let (cells, values): (Vec<u64>, Vec<i128>) = expected
        .iter()
        .filter(|line| line.value > 0)
        .map(|line| (line.cell, line.value))
        .unzip();
    let table = hotspots(
        &cells,
        &values,
        1.0,
        &HotspotOptions {
            method,
            ..Default::default()
        },
    )
    .unwrap();
    assert_eq!(
        table.cell,
        expected.iter().map(|line| line.cell).collect::<Vec<u64>>()
    );
    assert_eq!(
        table.value,
        expected
            .iter()
            .map(|line| line.value as f64)
            .collect::<Vec<f64>>()
    );

    let column = |at: usize| expected.iter().map(move |line| line.numbers[at]);
    assert_column("z", table.z.iter().map(|z| z.unwrap()), column(0));
    let (p, q) = if method == Method::Exact { (3, 4) } else { (1, 2) };
    assert_column("p", table.p.iter().copied(), column(p));
    assert_column("q", table.q.iter().copied(), column(q));
}

#[test]
fn the_worked_example_agrees_with_esda_and_scipy() {
    assert_agrees(GOLDEN, Method::Analytic);
    assert_agrees(GOLDEN, Method::Exact);
}

#[test]
fn all_reports_of_boston_agree_with_esda_and_scipy() {
    assert_agrees(BOSTON_R8, Method::Analytic);
    assert_agrees(BOSTON_R9, Method::Analytic);
}

#[test]
fn a_week_of_street_lights_agrees_with_the_law_in_whole_numbers() {
    assert_agrees(BOSTON_LIGHTS_R9, Method::Analytic);
    assert_agrees(BOSTON_LIGHTS_R9, Method::Exact);
}
