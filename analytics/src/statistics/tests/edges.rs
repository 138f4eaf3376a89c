//! Places and fields where something is degenerate: pentagons, poles, the antimeridian, one cell, no events, ties.

use std::sync::atomic::AtomicBool;

use h3o::{CellIndex, LatLng, Resolution};

use super::golden::events;
use super::obvious::{cell, disk};
use super::{hotspots, weighted_hotspots};
use crate::statistics::{self, Domain, LocalOptions, Method, Neighbours, StatisticsError, Weights};

/// Cells that share an edge or a corner with none further away: breadth-first over the edges, nothing borrowed from disks.
fn disk_over_edges(origin: CellIndex, k: u32) -> Vec<u64> {
    let mut found = vec![origin];
    let mut rim = vec![origin];
    for _ in 0..k {
        let mut next: Vec<CellIndex> = rim
            .iter()
            .flat_map(|cell| cell.edges().map(h3o::DirectedEdgeIndex::destination))
            .collect();
        next.sort_unstable();
        next.dedup();
        next.retain(|cell| !found.contains(cell));
        found.extend(&next);
        rim = next;
    }
    let mut found: Vec<u64> = found.into_iter().map(u64::from).collect();
    found.sort_unstable();
    found
}

pub(super) fn odd_places() -> Vec<(CellIndex, &'static str)> {
    let at = |lat: f64, lng: f64, resolution| LatLng::new(lat, lng).unwrap().to_cell(resolution);
    let mut places = vec![
        (at(90.0, 0.0, Resolution::Nine), "north pole"),
        (at(-90.0, 0.0, Resolution::Nine), "south pole"),
        (at(-16.8, 180.0, Resolution::Nine), "antimeridian"),
        (at(65.0, -179.999, Resolution::Five), "antimeridian, west of it"),
    ];
    // All base cells are within three steps of some of these.
    places.extend(
        CellIndex::base_cells()
            .filter(|base| !base.is_pentagon())
            .step_by(8)
            .map(|base| (base, "base cell")),
    );
    for resolution in [
        Resolution::One,
        Resolution::Five,
        Resolution::Eight,
        Resolution::Nine,
    ] {
        places.extend(resolution.pentagons().map(|pentagon| (pentagon, "pentagon")));
    }
    places
}

#[test]
fn neighbours_near_pentagons_poles_and_antimeridian_are_those_over_shared_edges() {
    for (centre, place) in odd_places() {
        let area = disk_over_edges(centre, 3);
        let cells: Vec<CellIndex> = area.iter().copied().map(cell).collect();
        for k in 1..=2 {
            let neighbours = Neighbours::new(&cells, Weights::Disk, k).unwrap();
            for (position, &origin) in cells.iter().enumerate() {
                let mut expected = disk_over_edges(origin, k);
                expected.retain(|near| *near != u64::from(origin) && area.contains(near));
                let got: Vec<u64> = neighbours
                    .of(position)
                    .iter()
                    .map(|&near| cells[near as usize].into())
                    .collect();
                assert_eq!(got, expected, "{place} {centre}, cell {origin}, k {k}");
            }
        }
    }
}

#[test]
fn a_pentagon_has_five_neighbours_and_a_score() {
    let pentagon = Resolution::Nine.pentagons().next().unwrap();
    let options = LocalOptions {
        method: Method::Exact,
        ..Default::default()
    };
    let domain = Domain::Cells(disk(pentagon, 3));
    let table = hotspots(&[pentagon.into()], &[4], &LocalOptions { domain, ..options }).unwrap();
    assert_eq!(table.n, 31);
    let row = table
        .cell
        .iter()
        .position(|&cell| cell == u64::from(pentagon))
        .unwrap();
    assert_eq!(table.neighbours[row], 5);
    assert!((table.p[row] - 2.0 * 6.0 / 31.0).abs() < 1e-12);
}

#[test]
fn distances_do_not_stop_at_the_antimeridian_or_the_pole() {
    for (centre, place) in odd_places().into_iter().take(3) {
        let cells: Vec<CellIndex> = disk(centre, 4).into_iter().map(cell).collect();
        for weights in [Weights::Distance(700.0), Weights::Distance(1e9)] {
            let Weights::Distance(limit) = weights else {
                continue;
            };
            let neighbours = Neighbours::new(&cells, weights, 1).unwrap();
            for (i, &own) in cells.iter().enumerate() {
                let near = |&j: &u32| LatLng::from(own).distance_m(cells[j as usize].into()) <= limit;
                let expected: Vec<u32> = (0..cells.len() as u32)
                    .filter(|&j| j as usize != i)
                    .filter(near)
                    .collect();
                assert_eq!(neighbours.of(i), expected, "{place} {own}");
            }
        }
    }
}

#[test]
fn fields_without_a_statistic_say_none() {
    let cells = disk(cell(0x0894_11ca_1b67_ffff), 2);
    let fields: [(&str, &[u64], Vec<i128>); 5] = [
        ("no cell", &[], vec![]),
        ("one cell", &cells[..1], vec![5]),
        ("two cells", &cells[..2], vec![5, 1]),
        ("all zero", &cells, vec![0; 19]),
        ("constant", &cells, vec![7; 19]),
    ];
    for (name, cells, values) in fields {
        for method in [Method::Auto, Method::Analytic, Method::Exact, Method::Permutation] {
            let options = LocalOptions {
                domain: Domain::Observed,
                method,
                ..Default::default()
            };
            let table = hotspots(cells, &values, &options).unwrap();
            assert!(table.z.iter().all(|z| z.is_nan()), "{name} {method:?}");
            assert_eq!(table.z.len(), cells.len(), "{name} {method:?}");
            assert_eq!(table.p, vec![1.0; cells.len()], "{name} {method:?}");
            assert_eq!(table.q, vec![1.0; cells.len()], "{name} {method:?}");
            assert!(
                table.class.iter().all(|class| class.as_str() == "none"),
                "{name} {method:?}"
            );
            assert!(table.runs_needed.iter().all(Option::is_none), "{name} {method:?}");
        }
    }
}

#[test]
fn one_event_and_its_zeros_have_a_score_only_where_the_area_goes_on() {
    let table = hotspots(&[0x0894_11ca_1b67_ffff], &[3], &LocalOptions::default()).unwrap();
    assert_eq!(table.n, 7);
    assert_eq!(table.z.iter().filter(|z| z.is_nan()).count(), 1);
    assert!(table.q.iter().all(|&q| q == 1.0));
}

#[test]
fn lone_cells_stay_in_the_family_and_permutation_gives_them_one() {
    let mut cells: Vec<u64> = [
        "8928308280fffff",
        "8929a1d7577ffff",
        "89411ca1b67ffff",
        "8930e1ca25bffff",
    ]
    .iter()
    .map(|text| text.parse::<CellIndex>().unwrap().into())
    .collect();
    cells.sort_unstable();
    let options = LocalOptions {
        domain: Domain::Observed,
        method: Method::Permutation,
        ..Default::default()
    };
    let table = hotspots(&cells, &[1, 2, 3, 9], &options).unwrap();
    assert_eq!(table.neighbours, [0; 4]);
    assert_eq!(table.p, [1.0; 4]);
    let sd = (95.0_f64 / 4.0 - 3.75 * 3.75).sqrt();
    for (z, x) in table.z.iter().zip([1.0, 2.0, 3.0, 9.0]) {
        assert!((z - (x - 3.75) / sd).abs() < 1e-12);
    }
}

#[test]
fn cells_that_tie_get_the_same_answer() {
    let (cells, _) = events();
    let table = hotspots(&cells, &[1; 7], &LocalOptions::default()).unwrap();
    for i in 0..table.n {
        for j in 0..i {
            if (table.z[i], table.neighbours[i]) == (table.z[j], table.neighbours[j]) {
                assert_eq!((table.p[i], table.q[i]), (table.p[j], table.q[j]));
            }
        }
    }
    assert!(table.z.iter().all(|z| z.is_finite()));
}

#[test]
fn units_change_the_value_and_nothing_else() {
    let (cells, values) = events();
    let small: Vec<i128> = values.iter().map(|value| value * 1_234_567).collect();
    let options = LocalOptions {
        method: Method::Exact,
        ..Default::default()
    };
    let counted = hotspots(&cells, &values, &options).unwrap();
    let measured = hotspots(&cells, &small, &options).unwrap();
    assert_eq!(measured.value.iter().max(), Some(&(14 * 1_234_567)));
    assert_eq!(
        (&measured.p, &measured.q, &measured.class),
        (&counted.p, &counted.q, &counted.class)
    );
}

#[test]
fn what_the_exact_law_cannot_do_is_refused_and_auto_goes_round_it() {
    let (cells, values) = events();
    let bisquare = |method| {
        let options = LocalOptions {
            method,
            ..Default::default()
        };
        weighted_hotspots(&cells, &values, Weights::Bisquare(900.0), &options)
    };
    assert_eq!(bisquare(Method::Auto).unwrap().method, Method::Analytic);
    assert!(
        bisquare(Method::Exact)
            .unwrap_err()
            .to_string()
            .starts_with("method is 'exact', allowed is")
    );
    let permuted = bisquare(Method::Permutation).unwrap();
    assert!(permuted.p.iter().all(|p| (0.002..=1.0).contains(p)));

    let area = disk(cell(0x0894_11ca_1b67_ffff), 15);
    let wide: Vec<i128> = (0..area.len() as i128).map(|i| i * i * 1_000_003 + i).collect();
    let options = LocalOptions {
        domain: Domain::Observed,
        ..Default::default()
    };
    assert_eq!(hotspots(&area, &wide, &options).unwrap().method, Method::Analytic);
    let refused = hotspots(
        &area,
        &wide,
        &LocalOptions {
            method: Method::Exact,
            ..options
        },
    );
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("take 'auto', 'analytic'")
    );
}

#[test]
fn too_many_draws_and_no_run_at_all_are_refused() {
    let (cells, values) = events();
    let with = |permutations| LocalOptions {
        method: Method::Permutation,
        permutations,
        ..Default::default()
    };
    let none = hotspots(&cells, &values, &with(0)).unwrap_err();
    assert_eq!(none.to_string(), "permutations is 0, allowed is at least 1");
    let many = hotspots(&cells, &values, &with(u32::MAX)).unwrap_err();
    assert!(
        many.to_string()
            .starts_with("permutations is 4294967295, allowed is what gives at most"),
        "{many}"
    );
}

#[test]
fn a_set_stop_ends_the_answer() {
    let (cells, values) = events();
    let (stop, options) = (AtomicBool::new(true), LocalOptions::default());
    let stopped = statistics::hotspots(&cells, &values, Weights::Disk, &options, &stop);
    assert_eq!(stopped, Err(StatisticsError::Stopped));
    let stopped = statistics::local_moran(&cells, &values, &options, &stop);
    assert_eq!(stopped, Err(StatisticsError::Stopped));
}
