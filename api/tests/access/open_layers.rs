//! Layers that are open to the public, alerts that are for it, addresses that are for ever, and what purges and late events
//! do to what was published.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Value, json};

use super::Guarded;
use crate::server::{Server, eventually, reading};

const CONFIGURATION: &str = r#"
[access]
anonymous = "public"
[access.public]
sql = true
delay = "0s"
[grid]
allowed_lateness = "0s"
[[layers]]
id = "water_level"
kind = "observation"
unit = "m"
public = "open"
[[layers]]
id = "noise"
kind = "report"
public = "suppressed"
public_step = "1h"
[[layers]]
id = "flooding"
kind = "report"
"#;

fn report(number: usize, layer: &str, minutes: usize) -> Value {
    let (hour, minute) = (8 + minutes / 60, minutes % 60);
    json!({"specversion": "1.0", "id": format!("r{number}"), "source": "//test", "type": "riskgrid.report.v1",
        "time": format!("2026-11-22T{hour:02}:{minute:02}:00Z"),
        "data": {"category": layer, "reporter": format!("somebody {number}"), "lon": 113.9, "lat": 22.55}})
}

fn measured(number: usize, minutes: usize) -> Value {
    let (hour, minute) = (8 + minutes / 60, minutes % 60);
    json!({"specversion": "1.0", "id": format!("m{number}"), "source": "//gauges", "type": "riskgrid.observation.v1",
        "time": format!("2026-11-22T{hour:02}:{minute:02}:00Z"),
        "data": {"sensor": format!("gauge-{number}"), "property": "water_level", "value": number as f64 / 10.0, "unit": "m",
            "lon": 113.9 + 0.01 * number as f64, "lat": 22.55}})
}

async fn counts(guarded: &Guarded, events: usize) {
    eventually("all events", async || {
        (guarded.rows("SELECT count(*) FROM events").await == json!([[events]])).then_some(())
    })
    .await;
}

/// What nobody in particular is answered to a statement.
async fn public_rows(guarded: &Guarded, sql: &str) -> Answered {
    let answer = guarded
        .ask(Method::POST, "/v1/sql", None, Some(json!({ "sql": sql })))
        .await;
    (answer.status, answer.body["rows"].clone())
}

type Answered = (u16, Value);

#[tokio::test]
async fn an_open_layer_is_seen_with_its_numbers_and_without_its_sources() {
    let guarded = Guarded::start_with(CONFIGURATION);
    let events: Vec<Value> = (1..=4).map(|number| measured(number, number)).collect();
    guarded.feed(&events).await;
    guarded
        .feed(&[report(1, "flooding", 3), report(2, "noise", 3)])
        .await;
    counts(&guarded, 6).await;
    let layers = guarded.get("/v1/layers", None).await;
    let ids: Vec<&Value> = layers.body["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| &layer["layer"])
        .collect();
    assert_eq!(ids, ["noise", "water_level"]);
    let metrics = layers.body["layers"][1]["metrics"].as_array().unwrap();
    assert!(
        metrics.contains(&json!("mean")) && !metrics.contains(&json!("sources")),
        "{metrics:?}"
    );
    let sum = "SELECT layer, sum(count) FROM cells GROUP BY layer";
    assert_eq!(
        public_rows(&guarded, sum).await,
        (200, json!([["water_level", 4]]))
    );
    let narrowed =
        "SELECT count(*) FROM cells WHERE layer = 'water_level' AND bucket >= '2026-11-22T08:03:00Z'";
    assert_eq!(public_rows(&guarded, narrowed).await, (200, json!([[2]])));
    let tables = "SELECT layer FROM layers ORDER BY layer";
    assert_eq!(
        public_rows(&guarded, tables).await,
        (200, json!([["noise"], ["water_level"]]))
    );
    // Numbers of the grid's own table that are not for everybody are not there at all.
    for column in ["sources", "channels", "mean", "last", "revision"] {
        assert_eq!(
            public_rows(&guarded, &format!("SELECT {column} FROM cells"))
                .await
                .0,
            400,
            "{column}"
        );
    }
    for (path, status) in [
        ("/v1/tiles/water_level/0/0/0.mvt?metric=mean", 200),
        ("/v1/tiles/water_level/0/0/0.mvt?metric=sources", 400),
        ("/v1/tiles/water_level/0/0/0.mvt?metric=risk", 400),
        ("/v1/tiles/water_level.json?metric=max", 200),
        ("/v1/tiles/flooding/0/0/0.mvt", 404),
        ("/v1/layers/flooding", 404),
        ("/v1/layers/water_level", 200),
    ] {
        let answer = guarded.send(Method::GET, path, None, None).await;
        assert_eq!(answer.status(), status, "{path}");
        assert!(answer.headers().get("riskgrid-partitions").is_none(), "{path}");
    }
    // What is hidden moves neither its tiles nor the version.
    let before = seen(&guarded).await;
    guarded
        .feed(&[report(3, "flooding", 50), report(4, "noise", 50)])
        .await;
    counts(&guarded, 8).await;
    assert_eq!(seen(&guarded).await, before);
    guarded.feed(&[measured(9, 51)]).await;
    counts(&guarded, 9).await;
    assert_ne!(seen(&guarded).await, before);
}

/// The tile of the open layer that is asked for without a time, and the version of all that is seen.
async fn seen(guarded: &Guarded) -> (String, String, Vec<u8>) {
    let answer = guarded
        .send(Method::GET, "/v1/tiles/water_level/0/0/0.mvt", None, None)
        .await;
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let (version, window) = (header("riskgrid-version"), header("riskgrid-window"));
    (version, window, answer.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn a_layer_of_reports_cannot_be_open() {
    let mut server = Server::not_started();
    server.configure("[[layers]]\nid = \"noise\"\nkind = \"report\"\npublic = \"open\"");
    let said = server.is_refused(crate::server::WRONG_CONFIGURATION);
    assert!(
        said.contains("layer `noise`") && said.contains("`suppressed`"),
        "{said}"
    );
}

#[tokio::test]
async fn an_address_with_its_revision_is_for_ever_and_for_whom_it_was() {
    let guarded = Guarded::start_with(CONFIGURATION);
    let analyst = guarded
        .key(json!({"role": "analyst", "layers": ["water_level"]}))
        .await;
    let events: Vec<Value> = (1..=4).map(|number| measured(number, number)).collect();
    guarded.feed(&events).await;
    counts(&guarded, 4).await;
    for (key, kept) in [(None, "public"), (Some(analyst.as_str()), "private")] {
        let at = "at=2026-11-22T09:00:00Z";
        let document = guarded
            .send(
                Method::GET,
                &format!("/v1/tiles/water_level.json?{at}"),
                key,
                None,
            )
            .await;
        let revision = document.headers()["riskgrid-rev"].to_str().unwrap().to_owned();
        let kept_of = async |path: String| {
            let answer = guarded.send(Method::GET, &path, key, None).await;
            assert_eq!(answer.status(), 200, "{path}");
            answer.headers()["cache-control"].to_str().unwrap().to_owned()
        };
        let tile = format!("/v1/tiles/water_level/0/0/0.mvt?{at}");
        let immutable = format!("{kept}, max-age=31536000, immutable");
        assert_eq!(kept_of(format!("{tile}&rev={revision}")).await, immutable);
        // Another window, metric or revision is not what it names.
        for other in [
            tile.clone(),
            format!("{tile}&rev={}", "0".repeat(32)),
            format!("{tile}&rev={revision}&metric=max"),
            format!("{tile}&rev={revision}&window=2h"),
        ] {
            assert!(!kept_of(other.clone()).await.contains("immutable"), "{other}");
        }
        let wrong = guarded.get(&format!("{tile}&rev=abc"), key).await;
        assert_eq!(wrong.status, 400);
    }
    // Whoever may not see the layer is told nothing by the right address.
    let other = guarded.key(json!({"role": "analyst", "layers": ["noise"]})).await;
    let path = "/v1/tiles/water_level/0/0/0.mvt?at=2026-11-22T09:00:00Z";
    let document = guarded
        .send(
            Method::GET,
            "/v1/tiles/water_level.json?at=2026-11-22T09:00:00Z",
            None,
            None,
        )
        .await;
    let revision = document.headers()["riskgrid-rev"].to_str().unwrap();
    let answer = guarded.get(&format!("{path}&rev={revision}"), Some(&other)).await;
    assert_eq!(answer.status, 404);
    let before = revision.to_owned();
    guarded.feed(&[measured(5, 10)]).await;
    counts(&guarded, 5).await;
    let later = guarded
        .send(Method::GET, &format!("{path}&rev={before}"), None, None)
        .await;
    assert_eq!(later.headers()["cache-control"], "public, max-age=60");
}

#[tokio::test]
async fn the_public_is_told_of_the_alerts_that_are_for_it_and_of_seven_members() {
    let guarded = Guarded::start_with(CONFIGURATION);
    for (name, audience) in [("river high", json!("public")), ("river very high", Value::Null)] {
        let mut rule = json!({"name": name, "kind": "threshold", "layer": "water_level", "per": "sensor",
            "above": 3.5, "severity": "major"});
        if !audience.is_null() {
            rule["audience"] = audience;
        }
        let made = guarded
            .ask(Method::POST, "/v1/rules", Some(&guarded.admin), Some(rule))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let mut stream = guarded.send(Method::GET, "/v1/stream", None, None).await;
    guarded.feed(&[reading("1", "river-7", 4.0, 0)]).await;
    eventually("both alerts", async || {
        (guarded.rows("SELECT count(*) FROM alerts").await == json!([[2]])).then_some(())
    })
    .await;
    let listed = guarded.get("/v1/alerts", None).await;
    let alerts = listed.body["alerts"].as_array().unwrap();
    assert_eq!(alerts.len(), 1, "{}", listed.body);
    let mut members: Vec<&String> = alerts[0].as_object().unwrap().keys().collect();
    members.sort_unstable();
    assert_eq!(
        members,
        ["at", "cell", "id", "layer", "rule", "severity", "state"]
    );
    assert_eq!(alerts[0]["rule"], "river high");
    let rows = public_rows(&guarded, "SELECT rule, state, severity, layer FROM alerts").await;
    assert_eq!(
        rows,
        (200, json!([["river high", "firing", "major", "water_level"]]))
    );
    assert_eq!(public_rows(&guarded, "SELECT value FROM alerts").await.0, 400);
    let ids = guarded.rows("SELECT rule, id FROM alerts ORDER BY rule").await;
    let id = |row: usize| ids[row][1].as_str().unwrap().to_owned();
    assert_eq!(
        guarded.get(&format!("/v1/alerts/{}", id(0)), None).await.body,
        alerts[0]
    );
    assert_eq!(
        guarded.get(&format!("/v1/alerts/{}", id(1)), None).await.status,
        404
    );
    let mut told = String::new();
    while !told.contains("event: alert") {
        let piece = tokio::time::timeout(crate::server::DEADLINE, stream.chunk()).await;
        told += &String::from_utf8_lossy(&piece.unwrap().unwrap().unwrap());
    }
    assert!(
        told.contains("river high") && !told.contains("very high") && !told.contains("value"),
        "{told}"
    );
}

/// The number that a name has on the page of metrics.
async fn metric(guarded: &Guarded, name: &str) -> f64 {
    let page = guarded
        .send(Method::GET, "/metrics", Some(&guarded.admin), None)
        .await
        .text()
        .await
        .unwrap();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {page}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn what_comes_after_its_step_was_published_is_counted_and_not_shown() {
    let guarded = Guarded::start_with(CONFIGURATION);
    assert!((metric(&guarded, "riskgrid_public_late_total").await).abs() < 0.5);
    let events: Vec<Value> = (0..20).map(|number| report(number, "noise", number)).collect();
    guarded.feed(&events).await;
    guarded.feed(&[report(100, "flooding", 130)]).await;
    eventually("the step is published", async || {
        let layer = guarded.get("/v1/layers/noise", None).await;
        (layer.body["last_time"] == "2026-11-22T10:00:00Z").then_some(())
    })
    .await;
    let shown = public_rows(&guarded, "SELECT * FROM cells ORDER BY bucket, cell").await;
    assert_eq!(shown.1.as_array().unwrap().len(), 1, "{shown:?}");
    guarded
        .feed(&[
            report(30, "noise", 3),
            report(31, "noise", 70),
            report(32, "noise", 125),
        ])
        .await;
    eventually("two came late", async || {
        let late = metric(&guarded, "riskgrid_public_late_total").await;
        assert!(late < 2.5, "{late}");
        (late > 1.5).then_some(())
    })
    .await;
    assert_eq!(
        public_rows(&guarded, "SELECT * FROM cells ORDER BY bucket, cell").await,
        shown
    );
}

#[tokio::test]
async fn a_purge_of_a_feed_takes_out_whole_steps_for_ever() {
    let mut server = Server::not_started();
    let mut rows = "id,time,lon,lat,who\n".to_owned();
    for row in 0..40 {
        writeln!(rows, "{row},2026-11-22T08:{row:02}:00,113.9,22.55,somebody {row}").unwrap();
    }
    // What moves the clock past the step.
    writeln!(rows, "99,2026-11-22T11:30:00,113.9,22.55,somebody").unwrap();
    std::fs::write(server.path("calls.csv"), rows).unwrap();
    server.configure(&format!(
        "{CONFIGURATION}\n[[feeds]]\nname = \"calls\"\nfrom = {{ file = \"calls.csv\" }}\nformat = \"csv\"\nevent = \"report\"\n\
         source = {{ const = \"//calls\" }}\nid = [\"id\"]\n\
         time = {{ field = \"time\", format = \"%Y-%m-%dT%H:%M:%S\", zone = \"UTC\" }}\nlon = \"lon\"\nlat = \"lat\"\n\
         category = {{ const = \"noise\" }}\nreporter = \"who\"\n"
    ));
    let admin = super::made_in(&server, &["--name", "first", "--role", "admin"]);
    server.restart();
    let mut guarded = Guarded { server, admin };
    let shown = "SELECT bucket, count FROM cells UNION ALL SELECT bucket, count FROM cells_rest";
    eventually("the step is published", async || {
        let layer = guarded.get("/v1/layers/noise", None).await;
        (!layer.body["last_time"].is_null()).then_some(())
    })
    .await;
    let (status, rows) = public_rows(&guarded, shown).await;
    assert_eq!((status, rows.as_array().unwrap().is_empty()), (200, false));
    guarded.server.stop().await;
    let purged = guarded.server.run(&["feeds", "purge", "calls", "--yes"]);
    assert!(
        purged.status.success(),
        "{}",
        String::from_utf8_lossy(&purged.stderr)
    );
    let said = String::from_utf8_lossy(&purged.stdout).into_owned();
    assert!(
        said.contains("no longer published, and not again: noise"),
        "{said}"
    );
    guarded.server.restart();
    // The feed is read again; its time is not published again.
    eventually("the feed is read again", async || {
        (guarded.rows("SELECT count(*) FROM events").await == json!([[41]])).then_some(())
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(public_rows(&guarded, shown).await, (200, json!([])));
    guarded.feed(&[report(200, "flooding", 400)]).await;
    eventually("time goes on to be published", async || {
        let layer = guarded.get("/v1/layers/noise", None).await;
        (!layer.body["last_time"].is_null()).then_some(())
    })
    .await;
    assert_eq!(public_rows(&guarded, shown).await, (200, json!([])));
}
