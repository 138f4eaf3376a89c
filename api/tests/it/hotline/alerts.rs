//! Alerts as cases, and whether what raised one was solved.

use std::fmt::Write as _;

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use h3o::{CellIndex, LatLng, Resolution};
use serde_json::{Value, json};

use super::{Hotline, problem};
use crate::server::{Server, eventually};

/// Weekly counts of the contract: the hotspot, the rings around it, the rest of the district, before and after.
const HERE: [[u64; 8]; 2] = [[14, 11, 17, 12, 9, 15, 13, 10], [5, 7, 4, 6, 8, 3, 6, 5]];
const AROUND: [[u64; 8]; 2] = [[22, 25, 19, 24, 20, 27, 23, 21], [24, 21, 26, 23, 29, 22, 25, 20]];
const ELSEWHERE: [[u64; 8]; 2] = [
    [210, 198, 225, 207, 190, 216, 231, 203],
    [215, 190, 221, 214, 199, 208, 226, 197],
];
const RULE: &str = "[[rules]]\nname = \"many calls\"\nkind = \"threshold\"\nlayer = \"calls\"\nper = \"cell\"\nmetric = \"count\"\n\
                    window = \"1d\"\nresolution = 8\nat_least = 40\nseverity = \"major\"\ncase = true\n";

struct City {
    rows: Vec<(DateTime<Utc>, CellIndex)>,
}

impl City {
    fn add(&mut self, time: DateTime<Utc>, cell: CellIndex, count: u64) {
        self.rows.extend((0..count).map(|_| (time, cell)));
    }

    /// All of it in the order of time, as a file.
    fn file(mut self) -> String {
        self.rows.sort_by_key(|(time, _)| *time);
        let mut text = "id,time,lon,lat\n".to_owned();
        for (number, (time, cell)) in self.rows.iter().enumerate() {
            let (at, centre) = (
                time.to_rfc3339_opts(SecondsFormat::Secs, true),
                LatLng::from(*cell),
            );
            writeln!(text, "{number},{at},{},{}", centre.lng(), centre.lat()).unwrap();
        }
        text
    }
}

fn near(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap();
    assert!(
        (found - expected).abs() < 1e-9 * expected.abs().max(1.0),
        "{found} is not {expected}"
    );
}

#[tokio::test]
async fn a_hotspot_is_a_case_and_was_solved_where_it_stays_quiet() {
    let here = LatLng::new(22.55, 113.95).unwrap().to_cell(Resolution::Eight);
    let rings: Vec<CellIndex> = here
        .grid_disk::<Vec<_>>(3)
        .into_iter()
        .filter(|cell| *cell != here)
        .collect();
    // Beyond the rings, as far as the district goes; the last of them was a hotspot of its own.
    let mut beyond: Vec<CellIndex> = here.grid_ring_fast(5).map(Option::unwrap).collect();
    let other_hotspot = beyond.pop().unwrap();
    let outside = LatLng::new(23.4, 113.95).unwrap().to_cell(Resolution::Eight);
    // Alerts are raised now, and are said below to have been then.
    let burst = Utc::now() - Duration::days(150);
    let (begun, closed) = (burst - Duration::days(1), burst + Duration::days(10));
    let mut city = City { rows: Vec::new() };
    let starts = [begun - Duration::weeks(8), closed + Duration::days(1)];
    for (span, start) in starts.into_iter().enumerate() {
        for week in 0..8 {
            let middle = start + Duration::days(7 * week as i64 + 3) + Duration::hours(12);
            city.add(middle, here, HERE[span][week]);
            for number in 0..AROUND[span][week] {
                city.add(middle, rings[number as usize % rings.len()], 1);
            }
            for number in 0..ELSEWHERE[span][week] {
                city.add(middle, beyond[number as usize % beyond.len()], 1);
            }
            city.add(middle, outside, 30);
            city.add(middle, other_hotspot, 9);
        }
    }
    let square = json!({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"id": "district-1"},
        "geometry": {"type": "Polygon", "coordinates":
            [[[113.5, 22.2], [114.4, 22.2], [114.4, 22.9], [113.5, 22.9], [113.5, 22.2]]]}}]});
    let mut server = Server::not_started();
    std::fs::write(server.path("calls.csv"), city.file()).unwrap();
    std::fs::write(server.path("rules.toml"), RULE).unwrap();
    std::fs::write(server.path("areas.geojson"), square.to_string()).unwrap();
    server.configure(
        "[alerts]\nrules = [\"rules.toml\"]\n[[areas]]\nlevel = \"district\"\nfile = \"areas.geojson\"\nid = [\"id\"]\nname = \"id\"\n\
         [[layers]]\nid = \"calls\"\nkind = \"report\"\n\n\
         [[feeds]]\nname = \"past\"\nfrom = { file = \"calls.csv\" }\nformat = \"csv\"\nevent = \"report\"\n\
         source = { const = \"//city\" }\nid = [\"id\"]\ntime = \"time\"\nlon = \"lon\"\nlat = \"lat\"\n\
         category = { const = \"calls\" }\n"
    );
    server.restart();
    let mut hotline = Hotline { server };
    let calls = [here, other_hotspot]
        .into_iter()
        .flat_map(|cell| (0..60).map(move |number| (cell, number)));
    let events: Vec<Value> = calls
        .map(|(cell, number)| {
            let (id, centre) = (format!("{cell}-{number}"), LatLng::from(cell));
            json!({"specversion": "1.0", "id": id, "source": "//calls", "type": "riskgrid.report.v1", "time": Utc::now().to_rfc3339(),
                "data": {"report": id, "category": "calls", "lon": centre.lng(), "lat": centre.lat()}})
        })
        .collect();
    let posted = hotline
        .server
        .post(
            "application/cloudevents-batch+json",
            Value::from(events).to_string(),
        )
        .await;
    assert_eq!(posted.status, 202, "{}", posted.body);
    // Each alert is one case, of no event.
    let cases = eventually("cases of both alerts", async || {
        let answer = hotline.server.get("/v1/cases").await;
        let cases = answer.body["cases"].as_array()?.clone();
        (cases.len() == 2).then_some(cases)
    })
    .await;
    let alerts = hotline.server.get("/v1/alerts").await.body;
    let alert = alerts["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|alert| alert["cell"] == json!(here.to_string()))
        .unwrap_or_else(|| panic!("{alerts}"));
    let alert = alert["id"].as_str().unwrap();
    let case = cases.iter().find(|case| case["report"] == json!(alert)).unwrap();
    assert_eq!(
        [
            &case["source"],
            &case["observed"],
            &case["place_quality"],
            &case["severity"]
        ],
        [
            &json!("//riskgrid/alerts"),
            &json!("no"),
            &json!("area"),
            &json!(3)
        ]
    );
    let path = format!("/v1/hotspots/{alert}/outcome");
    let early = hotline.server.get(&path).await;
    assert_eq!(
        (early.status, problem(&early)),
        (409, "conflict"),
        "{}",
        early.body
    );
    let id = case["id"].as_str().unwrap().to_owned();
    for body in [
        json!({"move": "accept"}),
        json!({"move": "answer", "text": "fenced"}),
        json!({"move": "close"}),
    ] {
        hotline.moves(&id, &body).await;
    }
    // Weeks after closing are still to come.
    let early = hotline.server.get(&path).await;
    assert_eq!(
        (early.status, problem(&early)),
        (409, "conflict"),
        "{}",
        early.body
    );
    hotline
        .rewrite(&[
            format!(
                "UPDATE cases SET closed_at = {} WHERE id = '{id}'",
                closed.timestamp_micros()
            ),
            format!(
                "UPDATE alerts SET fired_at = {}, evidence = json_set(evidence, '$.window.start', '{}')",
                burst.timestamp_micros(),
                begun.to_rfc3339_opts(SecondsFormat::Micros, true)
            ),
        ])
        .await;
    let told = eventually("the calls are read again", async || {
        let told = hotline.server.get(&path).await;
        (told.status == 200 && told.body["weeks"]["here"]["after"] == json!(HERE[1])).then_some(told.body)
    })
    .await;
    for (span, name) in ["before", "after"].into_iter().enumerate() {
        assert_eq!(told["weeks"]["here"][name], json!(HERE[span]), "{told}");
        assert_eq!(told["weeks"]["around"][name], json!(AROUND[span]), "{told}");
        assert_eq!(told["weeks"]["elsewhere"][name], json!(ELSEWHERE[span]), "{told}");
    }
    assert_eq!(
        (&told["verdict"], &told["district"]),
        (&json!("solved"), &json!("district-1"))
    );
    near(&told["ratio"]["theta"], 0.438_252_208_454);
    near(&told["ratio"]["p"], 4.339_364_222_4e-4);
    near(&told["around"]["theta"], 1.056_009_527_91);
    near(&told["wdq"], -0.178_680_738_786);
    near(&told["tne"], 46.321_428_571_429);
    // After a restart the alerts have the cases that they had.
    assert_eq!(
        hotline.server.get("/v1/cases").await.body["cases"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(hotline.server.get("/v1/hotspots/none/outcome").await.status, 404);
}
