//! Reference layers in SQL: the tables, study areas by name, `h3_in_area`.

use std::sync::Arc;

use h3o::{CellIndex, LatLng, Resolution};
use riskgrid_analytics::sql::{SqlEngine, SqlLimits};
use riskgrid_ingest::MINUTE;
use riskgrid_ingest::grid::GridSnapshot;
use riskgrid_ingest::places::{Area, AreaIndex, Facility, FacilityIndex, PeopleAt, Places, Shape, cells_of};
use serde_json::json;

use crate::hotspots::GOLDEN;
use crate::made::{Made, csv, grid_over, refusal, rows};

/// A rectangle of so many degrees around the middle of the worked example.
fn around(id: &str, name: &str, degrees: f64) -> Area {
    let centre = LatLng::from(CellIndex::try_from(GOLDEN[2].0).unwrap());
    let (west, south) = (centre.lng() - degrees, centre.lat() - degrees);
    let (east, north) = (centre.lng() + degrees, centre.lat() + degrees);
    let ring = vec![
        [west, south],
        [east, south],
        [east, north],
        [west, north],
        [west, south],
    ];
    Area {
        id: id.into(),
        name: name.to_owned(),
        level: "district".into(),
        parent: None,
        population: None,
        shape: Shape::new(vec![vec![ring]]).unwrap(),
    }
}

pub(crate) fn places() -> Arc<Places> {
    let harbour = Area {
        population: Some(1200),
        ..around("harbour", "Harbour", 0.05)
    };
    let quay = Area {
        parent: Some("harbour".into()),
        ..around("quay", "The Quay", 0.002)
    };
    let clinic = Facility {
        id: "c1".into(),
        name: "Clinic".to_owned(),
        kind: "hospital".into(),
        lon: 113.93,
        lat: 22.53,
        properties: vec![
            ("beds".into(), "46".to_owned()),
            ("night".into(), "no".to_owned()),
        ],
    };
    let shut = Facility {
        id: "c2".into(),
        properties: Vec::new(),
        ..clinic.clone()
    };
    Arc::new(Places {
        areas: AreaIndex::new(vec![quay, harbour, around("speck", "Speck", 1e-6)]).unwrap(),
        facilities: FacilityIndex::new(vec![clinic, shut]).unwrap(),
        population: vec![PeopleAt {
            lon: 113.93,
            lat: 22.53,
            people: 12.5,
        }],
        ..Places::default()
    })
}

/// The worked example in the minute from 08:00, one event far away at 08:10.
fn golden(places: &Arc<Places>) -> Arc<GridSnapshot> {
    let mut events: Vec<Made> = GOLDEN
        .iter()
        .flat_map(|(cell, count)| {
            (0..*count).map(|number| Made::at_cell("noise", number as i64 * 1000, *cell))
        })
        .collect();
    events.push(Made::at_cell("noise", 10 * MINUTE, 0x0891_9a40_0003_ffff));
    grid_over(places, &events)
}

#[tokio::test]
async fn reference_layers_are_tables() {
    let places = places();
    let grid = golden(&places);
    let areas = rows(
        &grid,
        "SELECT area, name, level, parent, population FROM areas ORDER BY area",
    )
    .await;
    assert_eq!(
        areas,
        [
            [
                json!("harbour"),
                json!("Harbour"),
                json!("district"),
                json!(null),
                json!(1200)
            ],
            [
                json!("quay"),
                json!("The Quay"),
                json!("district"),
                json!("harbour"),
                json!(null)
            ],
            [
                json!("speck"),
                json!("Speck"),
                json!("district"),
                json!(null),
                json!(null)
            ],
        ]
    );
    let facilities = rows(&grid, "SELECT facility, name, kind, lon, lat, cell, properties, properties['beds'] FROM facilities ORDER BY facility").await;
    assert_eq!(
        facilities[0][5..],
        [
            json!("89411ca1b67ffff"),
            json!({"beds": "46", "night": "no"}),
            json!("46")
        ]
    );
    assert_eq!(facilities[1][6..], [json!({}), json!(null)]);
    let people = rows(&grid, "SELECT lon, lat, cell, people FROM population").await;
    assert_eq!(
        people,
        [[json!(113.93), json!(22.53), json!("89411ca1b67ffff"), json!(12.5)]]
    );
    for (filter, facilities, people) in [
        ("lon BETWEEN 113.93 AND 114 AND lat BETWEEN 22 AND 22.53", 2, 1),
        ("lon = 113.93 AND lat > 22.53", 0, 0),
        ("lon < 113.93", 0, 0),
        ("lat >= 22.53 AND facility_or_point = 1", 1, 0),
    ] {
        let count = async |table: &str, of: &str| {
            let all = format!("SELECT *, {of} AS facility_or_point FROM {table}");
            let counted = format!("SELECT count(*) FROM ({all}) WHERE {filter}");
            rows(&grid, &counted).await[0][0].clone()
        };
        let of_facility = "CASE WHEN facility = 'c1' THEN 1 ELSE 0 END";
        assert_eq!(
            count("facilities", of_facility).await,
            json!(facilities),
            "{filter}"
        );
        assert_eq!(count("population", "0").await, json!(people), "{filter}");
    }
    // What is outside the box is not made, rather than made and filtered.
    for (table, made) in [("facilities", 2), ("population", 1)] {
        for (filter, made) in [("lon < 113.92", 0), ("lon >= 113.93", made)] {
            let analysed = rows(
                &grid,
                &format!("EXPLAIN ANALYZE SELECT lon FROM {table} WHERE {filter}"),
            )
            .await;
            let shown = format!("{analysed:?}");
            let scan = shown.split("SnapshotScan").nth(1).unwrap();
            let counted = format!("output_rows={made}, ");
            assert!(
                scan.contains("box") && scan.contains(&counted),
                "{filter}: {scan}"
            );
        }
    }
    // Printed as well-known text.
    let shapes = rows(
        &grid,
        "SELECT geometry, st_npoints(geometry) FROM areas WHERE area = 'quay'",
    )
    .await;
    assert!(shapes[0][0].as_str().unwrap().starts_with("MULTIPOLYGON((("));
    assert_eq!(shapes[0][1], json!(5));
    let bare = rows(&grid, "SELECT count(comment), count(*) FROM information_schema.columns WHERE table_name IN ('areas', 'facilities', 'population')").await;
    assert_eq!(bare[0][0], bare[0][1]);
}

#[tokio::test]
async fn events_bear_the_areas_that_hold_them() {
    let places = places();
    let grid = golden(&places);
    let by_area =
        "SELECT area, count(*) FROM (SELECT unnest(areas) AS area FROM events) GROUP BY area ORDER BY area";
    let held = |id: &str| {
        let shape = &places.areas.get(id).unwrap().shape;
        let inside = GOLDEN.iter().filter(|(cell, _)| {
            let centre = LatLng::from(CellIndex::try_from(*cell).unwrap());
            shape.contains([centre.lng(), centre.lat()])
        });
        inside.map(|(_, count)| count).sum::<usize>()
    };
    assert!(
        held("harbour") > held("quay"),
        "{} {}",
        held("harbour"),
        held("quay")
    );
    let expected = ["harbour", "quay", "speck"].map(|id| vec![json!(id), json!(held(id))]);
    assert_eq!(rows(&grid, by_area).await, expected);
    let outside = "SELECT count(*) FROM events WHERE cardinality(areas) = 0";
    assert_eq!(rows(&grid, outside).await, [[json!(1)]]);
    // Without areas nothing is known of them.
    let unknown = "SELECT count(*) FROM events WHERE areas IS NULL";
    assert_eq!(rows(&golden(&Arc::default()), unknown).await, [[json!(47)]]);
}

#[tokio::test]
async fn a_study_area_is_all_cells_whose_centre_an_area_holds() {
    let places = places();
    let grid = golden(&places);
    for resolution in [8, 9] {
        let shape = &places.areas.get("harbour").unwrap().shape;
        let cells = cells_of(shape, Resolution::try_from(resolution).unwrap(), 10_000).unwrap();
        for domain in ["harbour", "Harbour"] {
            for function in ["hotspots", "local_moran"] {
                let sql = format!(
                    "SELECT count(*), min(n), max(n), sum(value) FROM {function}('noise', resolution => {resolution}, domain => '{domain}', \
                     at => '2026-11-22T08:01:00Z')"
                );
                let n = json!(cells.len());
                assert_eq!(
                    rows(&grid, &sql).await,
                    [[n.clone(), n.clone(), n, json!(46.0)]],
                    "{sql}"
                );
            }
        }
    }
    let cells = |function: &str| {
        format!("SELECT count(*) FROM {function}, domain => 'harbour', at => '2026-11-22T10:00:00Z')")
    };
    let harbour = cells_of(
        &places.areas.get("harbour").unwrap().shape,
        Resolution::Nine,
        10_000,
    )
    .unwrap();
    for function in [
        "trends('noise', window => INTERVAL '1 hour', step => INTERVAL '5 minutes'",
        "bursts('noise', baseline => INTERVAL '9 hours', gap => INTERVAL '1 hour'",
        "bursts('noise', model => 'cusum'",
    ] {
        assert_eq!(
            rows(&grid, &cells(function)).await,
            [[json!(harbour.len())]],
            "{function}"
        );
    }
    // Where nothing happened all is alike.
    let quiet = "SELECT count(*), sum(value), count(z), min(p), min(class) FROM hotspots('noise', domain => 'quay', at => '2026-11-20T08:00:00Z')";
    let quay = cells_of(&places.areas.get("quay").unwrap().shape, Resolution::Nine, 100).unwrap();
    assert_eq!(
        rows(&grid, quiet).await,
        [[json!(quay.len()), json!(0.0), json!(0), json!(1.0), json!("none")]]
    );
    let unseen = "SELECT count(*) FROM hotspots('water', metric => 'mean', domain => 'quay', at => '2026-11-20T08:00:00Z')";
    assert_eq!(rows(&grid, unseen).await, [[json!(0)]]);

    let plan = rows(
        &grid,
        "EXPLAIN SELECT cell FROM hotspots('noise', domain => 'The Quay')",
    )
    .await;
    assert!(format!("{plan:?}").contains("cells of quay"), "{plan:?}");
    for (domain, expected) in [
        (
            "harbor",
            "hotspots: domain is 'harbor', allowed is 'neighbours' or 'observed', or an area's id or name; did you mean 'harbour'?",
        ),
        (
            "speck",
            "hotspots: domain is 'speck', allowed is an area that holds the centre of a cell; it holds none of resolution 8: take a finer one",
        ),
    ] {
        let said = refusal(
            &grid,
            &format!("SELECT * FROM hotspots('noise', resolution => 8, domain => '{domain}')"),
        )
        .await;
        assert_eq!(said, expected);
    }
}

#[tokio::test]
async fn cells_of_an_area_are_picked_by_their_centre() {
    let places = places();
    let grid = golden(&places);
    let engine = SqlEngine::over(&places, SqlLimits::default()).unwrap();
    let counted = csv(
        &engine,
        &grid,
        "SELECT sum(count) AS inside FROM cells WHERE layer = 'noise' AND h3_in_area(cell, 'The Quay')",
    )
    .await
    .unwrap();
    let in_events = rows(
        &grid,
        "SELECT count(*) FROM events WHERE array_has(areas, 'quay')",
    )
    .await;
    assert_eq!(counted.trim_end(), format!("inside\n{}", in_events[0][0]));
    // Both scans apply it; asked of each row it keeps the same.
    for (pushed, by_row, of) in [
        (
            "h3_in_area(cell, 'quay')",
            "h3_in_area(cell, 'quay') IS TRUE",
            "cells",
        ),
        (
            "h3_in_area(cell, 'harbour') AND h3_in_area(cell, 'The Quay')",
            "h3_in_area(cell, 'quay') IS TRUE",
            "cells",
        ),
        (
            "h3_in_area(cell, 'quay') OR h3_in_area(cell, 'Harbour')",
            "h3_in_area(cell, 'harbour') IS TRUE",
            "cells",
        ),
        (
            "array_has(areas, 'quay')",
            "CASE WHEN array_has(areas, 'quay') THEN random() < 2 END",
            "events",
        ),
    ] {
        let plan = format!("EXPLAIN SELECT cell FROM {of} WHERE {pushed}");
        let plan = csv(&engine, &grid, &plan).await.unwrap();
        assert!(!plan.contains("FilterExec"), "{plan}");
        let counted = |filter: &str| {
            format!("SELECT cell, count(*) AS n FROM {of} WHERE {filter} GROUP BY cell ORDER BY cell")
        };
        let counts = csv(&engine, &grid, &counted(pushed)).await.unwrap();
        assert!(counts.lines().count() > 1, "{counts}");
        assert_eq!(
            counts,
            csv(&engine, &grid, &counted(by_row)).await.unwrap(),
            "{pushed}"
        );
    }
    let plan = csv(
        &engine,
        &grid,
        "EXPLAIN SELECT cell FROM cells WHERE h3_in_area(cell, 'quay') IS TRUE",
    )
    .await
    .unwrap();
    assert!(plan.contains("FilterExec"), "{plan}");
    // The centre decides at any resolution, and areas of rows need not exist.
    let by_row = "SELECT name, h3_in_area('88411ca1b7fffff', name) AS inside FROM (VALUES ('harbour'), ('nowhere')) AS t(name)";
    let by_row = csv(&engine, &grid, by_row).await.unwrap();
    assert_eq!(by_row, "name,inside\nharbour,true\nnowhere,\n");
    let said = csv(&engine, &grid, "SELECT h3_in_area(cell, 'The Key') FROM cells")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("h3_in_area: area is 'The Key', allowed is an area's id or name; did you mean 'quay'?"),
        "{said}"
    );
}
