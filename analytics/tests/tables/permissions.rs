//! What a permission shows is what a grid shows that was fed with that alone, byte for byte: rows, numbers, plans and errors.

use std::sync::Arc;

use chrono_tz::Tz;
use h3o::{LatLng, Resolution};
use proptest::prelude::*;
use riskgrid_analytics::permission::{Permission, Role, Scope, Table};
use riskgrid_ingest::grid::GridSnapshot;
use riskgrid_ingest::places::{Area, AreaIndex, Facility, FacilityIndex, PeopleAt, Places, Shape};
use riskgrid_ingest::{HOUR, MINUTE};

use crate::made::{Made, POSITION, grid_of_numbered, seen};

/// Where the areas and all events of these tests are.
const WEST: f64 = 113.93;
const SOUTH: f64 = 22.53;

/// Three squares in a row, the second with a part of its own, and all of them in a city.
fn areas() -> Vec<Area> {
    let square = |id: &str, parent: Option<&str>, west: f64, size: [f64; 2]| {
        let (west, south) = (WEST + west, SOUTH);
        let (east, north) = (west + size[0], south + size[1]);
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
    };
    vec![
        square("city", None, -0.01, [0.2, 0.1]),
        square("one", Some("city"), 0.0, [0.02, 0.04]),
        square("two", Some("city"), 0.02, [0.02, 0.04]),
        square("part", Some("two"), 0.025, [0.01, 0.01]),
        square("three", Some("city"), 0.04, [0.02, 0.04]),
    ]
}

fn places() -> Arc<Places> {
    let facility = |id: &str, east: f64| Facility {
        id: id.into(),
        name: id.to_owned(),
        kind: "hospital".into(),
        lon: WEST + east,
        lat: SOUTH + 0.02,
        properties: Vec::new(),
    };
    Arc::new(Places {
        areas: AreaIndex::new(areas()).unwrap(),
        facilities: FacilityIndex::new(vec![facility("c1", 0.01), facility("c2", 0.03)]).unwrap(),
        population: vec![
            PeopleAt {
                lon: WEST + 0.01,
                lat: SOUTH + 0.02,
                people: 12.5,
            },
            PeopleAt {
                lon: WEST + 0.03,
                lat: SOUTH + 0.02,
                people: 7.0,
            },
        ],
        ..Places::default()
    })
}

fn permission(places: &Arc<Places>, role: Role, layers: &[&str], areas: &[&str]) -> Arc<Permission> {
    let scope = Scope {
        layers: layers.iter().copied().collect(),
        areas: areas.iter().copied().collect(),
    };
    Arc::new(Permission::within(role, scope, places, Resolution::Nine))
}

/// Some scopes.
const SCOPES: [(&[&str], &[&str]); 6] = [
    (&["*"], &["*"]),
    (&["*"], &["one"]),
    (&["noise", "water"], &["*"]),
    (&["flooding"], &["two", "three"]),
    (&["noise", "water"], &["part", "one"]),
    (&["*"], &["elsewhere"]),
];

/// What is asked. Columns of units are named where they are meant.
const QUESTIONS: [&str; 38] = [
    "SELECT * FROM cells ORDER BY layer, bucket, cell",
    "SELECT count(*) FROM cells",
    "SELECT count(*), min(bucket), max(bucket) FROM cells WHERE layer <> 'water'",
    "SELECT layer, sum(count), bit_or(sources) FROM cells GROUP BY layer ORDER BY layer",
    "SELECT date_trunc('hour', bucket) AS hour, sum(count) FROM cells GROUP BY 1 ORDER BY 1",
    "SELECT h3_parent(cell, 7) AS parent, sum(count), max(max) FROM cells WHERE layer = 'water' GROUP BY 1 ORDER BY 1",
    "SELECT cell, sum(count) OVER (PARTITION BY layer ORDER BY bucket, cell) FROM cells ORDER BY 1, 2",
    "SELECT layer, cell FROM cells WHERE h3_in_area(cell, 'two') ORDER BY 1, 2, bucket",
    "SELECT cell FROM cells WHERE 1 / (CAST(count AS BIGINT) - 1) > 0",
    "SELECT cell FROM cells WHERE arrow_cast(layer, 'Int64') > 0",
    "SELECT cell FROM cells WHERE layer = 'noise' LIMIT 3",
    "SELECT id, source, type, layer, time, lon, lat, cell, value, severity, report, op, sensor, areas, received FROM events ORDER BY id",
    "SELECT count(*) FROM events",
    "SELECT count(*), min(time), max(value) FROM events WHERE time > TIMESTAMP '2026-11-22T08:30:00Z'",
    "SELECT cell, count(*) FROM events GROUP BY cell ORDER BY cell",
    "SELECT id FROM events WHERE 1 / (CAST(value AS BIGINT) - 3) > 0 ORDER BY id",
    "SELECT id FROM events WHERE CAST(lon * 1e9 AS INT) > 0 ORDER BY id",
    "SELECT DISTINCT type FROM events ORDER BY 1",
    "SELECT * FROM layers ORDER BY layer",
    "SELECT * FROM sensors ORDER BY sensor",
    "SELECT sensor FROM sensors WHERE lon BETWEEN 113.9 AND 114.0 AND 1 / (CAST(value AS BIGINT) - 3) > 0 ORDER BY 1",
    "SELECT * FROM reports ORDER BY report",
    "SELECT a.area, count(*) FROM areas a JOIN events e ON st_within(st_point(e.lon, e.lat), a.geometry) GROUP BY 1 ORDER BY 1",
    "WITH busy AS (SELECT cell, sum(count) AS n FROM cells GROUP BY cell) SELECT count(*), sum(n) FROM busy WHERE n > (SELECT avg(n) FROM busy)",
    "SELECT e.id FROM events e JOIN sensors s ON e.sensor = s.sensor ORDER BY 1",
    "SELECT * FROM hotspots(layer => 'noise', window => INTERVAL '3 hours', at => '2026-11-22T10:00:00Z') ORDER BY cell",
    "SELECT * FROM local_moran(layer => 'water', metric => 'mean', window => INTERVAL '3 hours', at => '2026-11-22T10:00:00Z') ORDER BY cell",
    "SELECT * FROM trends(layer => 'noise', step => INTERVAL '10 minutes', window => INTERVAL '150 minutes', season => 3, at => '2026-11-22T10:00:00Z') ORDER BY cell",
    "SELECT * FROM trends(layer => 'water', metric => 'max', step => INTERVAL '1 minute', window => INTERVAL '2 hours', method => 'plain') ORDER BY cell",
    "SELECT * FROM bursts(layer => 'noise', gap => INTERVAL '30 minutes', baseline => INTERVAL '5 hours', at => '2026-11-22T10:00:00Z') ORDER BY cell",
    "SELECT * FROM bursts(layer => 'flooding', model => 'ears_c1', at => '2026-11-22T10:00:00Z') ORDER BY cell",
    "SELECT * FROM hotspots(layer => 'flodding')",
    "SELECT * FROM hotspots(layer => 'flooding', domain => 'three', at => '2026-11-22T10:00:00Z') ORDER BY cell",
    "EXPLAIN SELECT count(*) FROM cells WHERE bucket > TIMESTAMP '2026-11-22T08:10:00Z'",
    "EXPLAIN SELECT cell, sum(count) FROM cells GROUP BY cell",
    "EXPLAIN SELECT cell, bucket FROM cells WHERE layer = 'noise'",
    "EXPLAIN SELECT id FROM events WHERE lon > 113.95",
    "EXPLAIN SELECT * FROM hotspots(layer => 'noise')",
];

/// A condition on rows of `cells`, or of `events`; some fail for some rows.
fn condition(table: &'static str) -> impl Strategy<Value = String> {
    let layer = prop::sample::select(vec!["water", "noise", "flooding", "nothing"]);
    let minute = 0..180_u32;
    let of_cells = prop_oneof![
        Just("h3_in_area(cell, 'two')".to_owned()),
        Just("h3_parent(cell, 8) IS NOT NULL".to_owned()),
        (1..4_u32).prop_map(|number| format!("1 / (CAST(count AS BIGINT) - {number}) >= 0")),
        (0..4_u32).prop_map(|number| format!("count > {number}")),
        Just("CAST(max AS BIGINT) % 2 = 0".to_owned()),
        Just("bucket_seconds = 60".to_owned()),
    ];
    let of_events = prop_oneof![
        (0..60_u32).prop_map(|east| format!("lon > {}", WEST + f64::from(east) / 1_000.0)),
        (-8..8_i32).prop_map(|number| format!("1 / (CAST(value AS BIGINT) - {number}) >= 0")),
        Just("value IS NULL".to_owned()),
        Just("severity > 1 OR layer IS NULL".to_owned()),
        Just("array_length(areas) > 1".to_owned()),
    ];
    let (time, own) = if table == "cells" {
        ("bucket", of_cells.boxed())
    } else {
        ("time", of_events.boxed())
    };
    let one = prop_oneof![
        layer.clone().prop_map(|layer| format!("layer = '{layer}'")),
        layer.prop_map(|layer| format!("layer NOT IN ('{layer}')")),
        Just("layer LIKE '%o%'".to_owned()),
        minute.prop_map(move |minute| format!(
            "{time} >= TIMESTAMP '2026-11-22T{:02}:{:02}:00Z'",
            8 + minute / 60,
            minute % 60
        )),
        own,
    ];
    (one.clone(), one, 0..4_u8).prop_map(|(one, other, how)| match how {
        0 => one,
        1 => format!("{one} AND {other}"),
        2 => format!("{one} OR {other}"),
        _ => format!("NOT ({one}) AND {other}"),
    })
}

/// A statement over one of these: rows, sums, windows, counts by themselves, plans, queries in queries.
fn statement() -> impl Strategy<Value = String> {
    let of_cells = (condition("cells"), 0..8_u8).prop_map(|(condition, shape)| match shape {
        0 => format!("SELECT layer, cell, bucket, count FROM cells WHERE {condition} ORDER BY 1, 2, 3"),
        1 => format!("SELECT count(*) FROM cells WHERE {condition}"),
        2 => format!("SELECT layer, sum(count), min(bucket), max(last) FROM cells WHERE {condition} GROUP BY layer ORDER BY 1"),
        3 => format!("SELECT cell, rank() OVER (PARTITION BY layer ORDER BY bucket, cell) FROM cells WHERE {condition} ORDER BY 1, 2"),
        4 => format!(
            "WITH kept AS (SELECT * FROM cells WHERE {condition}) SELECT count(*), sum(count), (SELECT count(*) FROM cells) FROM kept"
        ),
        5 => format!("EXPLAIN SELECT cell, count FROM cells WHERE {condition}"),
        6 => format!("SELECT h3_parent(cell, 7), sum(count) FROM cells WHERE {condition} GROUP BY 1 ORDER BY 1"),
        _ => format!(
            "SELECT count(*) FROM cells WHERE cell IN (SELECT cell FROM events WHERE lon > 113.94) AND ({condition})"
        ),
    });
    let of_events = (condition("events"), 0..6_u8).prop_map(|(condition, shape)| match shape {
        0 => format!("SELECT id, layer, value FROM events WHERE {condition} ORDER BY id"),
        1 => format!("SELECT count(*), min(time), max(value) FROM events WHERE {condition}"),
        2 => format!(
            "SELECT layer, count(DISTINCT cell) FROM events WHERE {condition} GROUP BY layer ORDER BY 1"
        ),
        3 => format!(
            "SELECT id, lag(value) OVER (ORDER BY time, id) FROM events WHERE {condition} ORDER BY id"
        ),
        4 => format!("EXPLAIN SELECT id FROM events WHERE {condition}"),
        _ => format!(
            "SELECT a.area, count(*) FROM areas a JOIN (SELECT * FROM events WHERE {condition}) e
             ON st_within(st_point(e.lon, e.lat), a.geometry) GROUP BY 1 ORDER BY 1"
        ),
    });
    prop_oneof![of_cells, of_events]
}

/// Of no layer, so only for who sees all; and the table that it makes.
const UNITS: &str = "SELECT * FROM units ORDER BY unit";

/// Events of which none is near the border of what is seen, so that its place and the centre of its cell agree.
fn events() -> impl Strategy<Value = Vec<Made>> {
    let one = (
        0usize..5,
        0..2 * HOUR,
        0.0..0.06_f64,
        0.0..0.04_f64,
        0..2i32,
        -20..20i32,
    );
    let layers = ["water", "noise", "flooding", POSITION, ""];
    let one = one.prop_map(move |(layer, micros, east, north, partition, value)| Made {
        layer: layers[layer],
        micros,
        lon: WEST + east,
        lat: SOUTH + north,
        value: f64::from(value) / 4.0,
        partition,
    });
    prop::collection::vec(one, 1..70)
}

/// The last events of both partitions, so that hidden ones move no clock: seen by all whose scopes these are.
fn ends(layer: &'static str, [lon, lat]: [f64; 2]) -> Vec<Made> {
    let end = |partition| Made {
        layer,
        micros: 2 * HOUR + MINUTE,
        lon,
        lat,
        value: 2.0,
        partition,
    };
    vec![end(0), end(1)]
}

/// Whether an event is seen; `None` where its place and the centre of its cell do not agree.
fn is_seen(made: &Made, permission: &Permission) -> Option<bool> {
    let layer = Some(made.layer).filter(|layer| !layer.is_empty() && *layer != POSITION);
    let is_of_layer = permission.admits_layer(layer);
    if made.layer.is_empty() {
        return Some(is_of_layer && permission.admits_place(None));
    }
    if made.layer == POSITION && !permission.sees_units() {
        return Some(false);
    }
    let by_place = permission.admits_place(Some([made.lon, made.lat]));
    let cell = LatLng::new(made.lat, made.lon).unwrap().to_cell(Resolution::Nine);
    (by_place == permission.admits_cell(cell.into())).then_some(is_of_layer && by_place)
}

/// A place well inside what is seen, if there is one.
fn inside(permission: &Permission) -> Option<[f64; 2]> {
    let middles = [0.01, 0.03, 0.05].map(|east| [WEST + east, SOUTH + 0.02]);
    let part = [WEST + 0.03, SOUTH + 0.005];
    middles
        .into_iter()
        .chain([part])
        .find(|place| permission.admits_place(Some(*place)))
}

fn grid(places: &Arc<Places>, events: &[(usize, Made)]) -> Arc<GridSnapshot> {
    grid_of_numbered(Tz::UTC, places, events, |_| true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn a_scope_shows_what_a_grid_of_what_is_seen_shows(
        made in events(),
        others in events(),
        (role, scope) in (prop_oneof![Just(Role::Analyst), Just(Role::Operator)], 0..SCOPES.len()),
        statements in prop::collection::vec(statement(), 12),
    ) {
        let places = places();
        let (layers, areas) = SCOPES[scope];
        let seen_by = permission(&places, role, layers, areas);
        let Some(middle) = inside(&seen_by) else {
            return Ok(());
        };
        let layer = ["noise", "flooding"].into_iter().find(|layer| seen_by.admits_layer(Some(layer))).unwrap();
        // Numbers name events: those that are seen have the same in all three worlds.
        let all: Vec<(usize, Made)> = made.into_iter().enumerate().filter(|(_, made)| is_seen(made, &seen_by).is_some()).collect();
        let (shown, hidden): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|(_, made)| is_seen(made, &seen_by) == Some(true));
        let end: Vec<(usize, Made)> = (1000..).zip(ends(layer, middle)).collect();
        let other_hidden = (500..).zip(others).filter(|(_, made)| is_seen(made, &seen_by) == Some(false));
        let with = |more: Vec<(usize, Made)>, has_layer: &dyn Fn(&str) -> bool| {
            // What is seen keeps its order.
            let mut world: Vec<(usize, Made)> = more.into_iter().chain(shown.iter().cloned()).collect();
            world.sort_by_key(|(number, made)| (made.micros, *number));
            world.extend(end.iter().cloned());
            grid_of_numbered(Tz::UTC, &places, &world, has_layer)
        };
        let (one, other) = (with(hidden, &|_| true), with(other_hidden.collect(), &|_| true));
        let alone = with(Vec::new(), &|layer| seen_by.admits_layer(Some(layer)));
        let admin = Arc::new(Permission::admin());
        let units = seen_by.sees_units().then_some(UNITS);
        let statements = statements.iter().map(String::as_str);
        for question in QUESTIONS.into_iter().chain(units).chain(statements) {
            let (in_one, in_other) = (seen(&one, &seen_by, question), seen(&other, &seen_by, question));
            prop_assert_eq!(&in_one, &in_other, "{}", question);
            prop_assert_eq!(&in_one, &seen(&alone, &admin, question), "{}", question);
        }
    }
}

#[test]
fn tables_that_are_not_ones_own_do_not_exist() {
    let places = places();
    let snapshot = grid(&places, &[]);
    for (role, scope) in Role::ALL
        .into_iter()
        .flat_map(|role| SCOPES.map(|scope| (role, scope)))
    {
        let seen_by = permission(&places, role, scope.0, scope.1);
        let listed = seen(
            &snapshot,
            &seen_by,
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
        );
        let columns = seen(
            &snapshot,
            &seen_by,
            "SELECT table_name, column_name FROM information_schema.columns",
        );
        for table in Table::ALL {
            let name = table.as_str();
            let answer = seen(&snapshot, &seen_by, &format!("SELECT * FROM {name}"));
            if seen_by.has_table(table) {
                continue;
            }
            let unknown = seen(&snapshot, &seen_by, "SELECT * FROM nothing");
            let said = answer.unwrap_err();
            assert_eq!(
                said,
                unknown.unwrap_err().replace("nothing", name),
                "{role} {name}"
            );
            for list in [&listed, &columns] {
                let list = list.as_ref().unwrap();
                assert!(
                    !list.lines().any(|line| line.split(',').next() == Some(name)),
                    "{role}: {list}"
                );
            }
        }
        let sees_units = seen(&snapshot, &seen_by, "SELECT unit FROM events").is_ok();
        assert_eq!(sees_units, matches!(role, Role::Operator | Role::Admin), "{role}");
    }
}

#[test]
fn the_public_reads_no_statistic_and_nothing_of_the_grid_by_them() {
    let places = places();
    let snapshot = grid(
        &places,
        &(0..)
            .zip(ends("noise", [WEST + 0.01, SOUTH + 0.02]))
            .collect::<Vec<_>>(),
    );
    let public = Arc::new(Permission::public());
    for function in ["hotspots", "local_moran", "trends", "bursts"] {
        let said = seen(
            &snapshot,
            &public,
            &format!("SELECT * FROM {function}(layer => 'noise')"),
        )
        .unwrap_err();
        let unknown = seen(&snapshot, &public, "SELECT * FROM nothing(layer => 'noise')").unwrap_err();
        assert_eq!(said, unknown.replace("nothing", function));
    }
}

#[test]
fn facilities_and_people_are_seen_where_they_stand() {
    let places = places();
    let snapshot = grid(&places, &[]);
    let sees = |areas: &[&str], question: &str| {
        let seen_by = permission(&places, Role::Analyst, &["*"], areas);
        seen(&snapshot, &seen_by, question).unwrap()
    };
    assert_eq!(
        sees(&["one"], "SELECT facility FROM facilities"),
        "facility\nc1\n"
    );
    assert_eq!(sees(&["city"], "SELECT count(*) AS n FROM facilities"), "n\n2\n");
    assert_eq!(sees(&["two"], "SELECT people FROM population"), "people\n7.0\n");
    assert_eq!(sees(&["three"], "SELECT count(*) AS n FROM population"), "n\n0\n");
    // Areas are no secret.
    assert_eq!(sees(&["one"], "SELECT count(*) AS n FROM areas"), "n\n5\n");
}
