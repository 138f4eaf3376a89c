//! Feeds whose mapping was wrong: their dead letters are replayed by the mended one, or all that they brought in is taken
//! out and read again.

use std::fmt::Write as _;
use std::fs;
use std::process::Output;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::server::{CANNOT, Server, eventually, reading_at};

const ROWS: usize = 500;
const RIGHT_TIME: &str = "%Y-%m-%dT%H:%M:%S";
const COUNTED: &str = "SELECT layer, sum(count) FROM cells GROUP BY layer ORDER BY layer";
/// All that two servers must have alike, whenever they read it. Sources are hashed by a key of each one's own.
const EVERYTHING: [&str; 6] = [
    "SELECT layer, cell, bucket, count, weight, sum, sum_squares, min, max, last, last_time, channels FROM cells \
     ORDER BY layer, cell, bucket",
    "SELECT layer, kind, label, unit, resolution, domain, first_time, last_time, count FROM layers WHERE count > 0 ORDER BY layer",
    "SELECT sensor, layer, lon, lat, value, last_time FROM sensors ORDER BY layer, sensor",
    "SELECT report, source, layer, status FROM reports ORDER BY report",
    "SELECT source, id, type, layer, time, value FROM events ORDER BY source, id",
    "SELECT topic, \"offset\", index, reason, size, hash, replayed FROM dead_letters ORDER BY topic, \"offset\", index",
];

/// Two feeds of files; of the first, how times are written and what the unit is taken to be.
fn feeds(time: &str, unit: &str) -> String {
    let feed = |name: &str, time: &str, unit: &str| {
        format!(
            "[[feeds]]\nname = \"{name}\"\nfrom = {{ file = \"{name}.csv\" }}\nformat = \"csv\"\nevent = \"observation\"\n\
             source = {{ const = \"//{name}\" }}\nid = [\"id\"]\ntime = {{ field = \"time\", format = \"{time}\", zone = \"UTC\" }}\n\
             lon = \"lon\"\nlat = \"lat\"\nsensor = \"gauge\"\n\
             values = [ {{ field = \"value\", property = \"{name}_value\", unit = \"{unit}\" }} ]\n"
        )
    };
    feed("level", time, unit) + &feed("rain", RIGHT_TIME, "mm")
}

/// The files, every hundredth row without a place.
fn write_files(server: &Server, start: DateTime<Utc>) {
    for name in ["level", "rain"] {
        let mut rows = "id,time,gauge,lon,lat,value\n".to_owned();
        for row in 0..ROWS {
            let time = (start + TimeDelta::seconds(row as i64)).format(RIGHT_TIME);
            let (lon, lat) = if row % 100 == 7 {
                (0.0, 0.0)
            } else {
                (113.9 + row as f64 * 1e-4, 22.5)
            };
            writeln!(rows, "{row},{time},g{},{lon},{lat},{}", row % 9, row % 50).unwrap();
        }
        fs::write(server.path(&format!("{name}.csv")), rows).unwrap();
    }
}

/// A server that has read the files with a mapping, and an event of its own.
async fn server(start: DateTime<Utc>, mapping: &str, level: usize) -> Server {
    let mut server = Server::not_started();
    write_files(&server, start);
    server.configure(mapping);
    server.restart();
    let own = reading_at("own", "river", 2.0, start);
    assert_eq!(server.post("application/json", own.to_string()).await.status, 202);
    let mut expected = vec![json!(["rain_value", ROWS - 5]), json!(["water_level", 1])];
    if level > 0 {
        expected.insert(0, json!(["level_value", level]));
    }
    server.rows_become(COUNTED, &expected.into()).await;
    server
}

async fn are_alike(one: &Server, other: &Server) {
    one.rows_become(COUNTED, &other.rows(COUNTED).await.into()).await;
    for sql in EVERYTHING {
        let (rows, expected) = (one.rows(sql).await, other.rows(sql).await);
        assert_eq!(rows.len(), expected.len(), "{sql}");
        for (row, expected) in rows.iter().zip(&expected) {
            assert_eq!(row, expected, "{sql}");
        }
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    said(output)
}

#[tokio::test]
async fn rows_are_replayed_by_the_mapping_of_today() {
    let start = Utc::now() - TimeDelta::minutes(20);
    let mut server = server(start, &feeds("%d.%m.%Y %H:%M", "cm"), 0).await;
    let letters = "SELECT reason, count(*) FROM dead_letters WHERE topic = 'file:level' GROUP BY reason";
    server
        .rows_become(letters, &json!([["invalid_time", ROWS]]))
        .await;
    server.stop().await;
    server.configure(&feeds(RIGHT_TIME, "cm"));
    server.restart();
    let replay = ["dead-letters", "replay", "--topic", "file:level", "--json"];
    let answer: Value = serde_json::from_str(&succeeds(&server.ask(&replay))).unwrap();
    let counts = (&answer["replayed"], &answer["accepted"], &answer["refused"]);
    assert_eq!(
        counts,
        (&json!(ROWS), &json!(ROWS - 5), &json!({"invalid_position": 5}))
    );
    let expected = json!([
        ["level_value", ROWS - 5],
        ["rain_value", ROWS - 5],
        ["water_level", 1]
    ]);
    server.rows_become(COUNTED, &expected).await;
    let open = "SELECT reason, count(*) FROM dead_letters WHERE topic = 'file:level' AND replayed IS NULL GROUP BY reason";
    server.rows_become(open, &json!([["invalid_position", 5]])).await;
    server.kill();
    server.restart();
    server.rows_become(COUNTED, &expected).await;
    let answer: Value = serde_json::from_str(&succeeds(&server.ask(&replay))).unwrap();
    assert_eq!((&answer["replayed"], &answer["accepted"]), (&json!(5), &json!(0)));
    server.rows_become(COUNTED, &expected).await;
}

#[tokio::test]
async fn a_purged_feed_read_again_is_as_on_a_server_that_never_had_it_wrong() {
    let start = Utc::now() - TimeDelta::minutes(20);
    let right = server(start, &feeds(RIGHT_TIME, "cm"), ROWS - 5).await;
    let mut mended = server(start, &feeds(RIGHT_TIME, "m"), ROWS - 5).await;
    let purge = ["feeds", "purge", "level", "--yes"];

    let refused = mended.run(&purge);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(
        said(&refused).contains("is in use by another riskgrid process"),
        "{}",
        said(&refused)
    );
    assert!(
        said(&refused).contains("nothing was touched"),
        "{}",
        said(&refused)
    );
    mended.stop().await;
    assert!(
        succeeds(&mended.run(&["feeds", "list"]))
            .contains(&format!("level\tfile level.csv\tlive\t0\t{ROWS}"))
    );
    let unknown = said(&mended.run(&["feeds", "purge", "levels", "--yes"]));
    assert!(
        unknown.contains("there is no feed `levels`") && unknown.contains("level, rain"),
        "{unknown}"
    );
    let nobody = said(&mended.run(&["feeds", "purge", "level"]));
    assert!(nobody.contains("--yes"), "{nobody}");

    let text = succeeds(&mended.run(&purge));
    assert!(
        text.contains("layers that only this feed had taught: level_value\n"),
        "{text}"
    );
    assert!(text.contains("purged: 1 partitions and 5 dead letters"), "{text}");
    assert!(succeeds(&mended.run(&["feeds", "list"])).contains("level\tfile level.csv\tlive\t\t\n"));
    mended.configure(&feeds(RIGHT_TIME, "cm"));
    mended.restart();
    are_alike(&mended, &right).await;
    let audit = mended.get("/v1/audit").await.body;
    let rows = audit["audit"].as_array().unwrap().iter();
    let purges: Vec<_> = rows.filter(|row| row["action"] == "feeds.purge").collect();
    assert_eq!(purges.len(), 1, "{audit}");
    assert_eq!(
        (
            &purges[0]["who"],
            &purges[0]["object"],
            &purges[0]["detail"]["feed"]
        ),
        (&"cli".into(), &"level".into(), &"level".into())
    );
}

#[tokio::test]
async fn a_purge_that_was_killed_is_run_again_and_nothing_starts_before() {
    let start = Utc::now() - TimeDelta::minutes(20);
    let right = server(start, &feeds(RIGHT_TIME, "cm"), ROWS - 5).await;
    let mut mended = server(start, &feeds(RIGHT_TIME, "m"), ROWS - 5).await;
    mended.stop().await;
    // As it is after a kill in the middle: begun, and some of a partition's files are gone.
    let begun = json!({"feed": "level", "topic": "file:level", "layers": ["level_value"]});
    fs::create_dir_all(mended.data().join("purge")).unwrap();
    fs::write(mended.data().join("purge/feed.json"), begun.to_string()).unwrap();
    let partition = mended.data().join("checkpoints/file%3alevel@0");
    let manifests = fs::read_dir(&partition)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    for manifest in manifests.filter(|path| path.to_string_lossy().ends_with(".manifest.json")) {
        fs::remove_file(manifest).unwrap();
    }
    mended.configure(&feeds(RIGHT_TIME, "cm"));
    let refusal = mended.is_refused(CANNOT);
    assert!(
        refusal.contains("run `riskgrid feeds purge level` again"),
        "{refusal}"
    );
    let other = said(&mended.run(&["feeds", "purge", "rain", "--yes"]));
    assert!(
        other.contains("run `riskgrid feeds purge level` again"),
        "{other}"
    );
    // Killed for real, wherever it is then; and once more to its end.
    let mut process = std::process::Command::new(crate::crash_rig::binary())
        .args(["feeds", "purge", "level", "--yes", "--config"])
        .arg(mended.path("riskgrid.toml"))
        .arg("--data-dir")
        .arg(mended.data())
        .spawn()
        .unwrap();
    eventually("the purge has begun its work", async || {
        let is_purged = fs::read_dir(&partition).unwrap().count() <= 1;
        (is_purged || process.try_wait().unwrap().is_some()).then_some(())
    })
    .await;
    // Ended already, perhaps.
    let _ = process.kill();
    process.wait().unwrap();
    succeeds(&mended.run(&["feeds", "purge", "level", "--yes"]));
    mended.restart();
    are_alike(&mended, &right).await;
}

#[tokio::test]
async fn a_layer_that_others_name_too_is_not_forgotten() {
    let start = Utc::now() - TimeDelta::minutes(20);
    let mut server = server(start, &feeds(RIGHT_TIME, "m"), ROWS - 5).await;
    let mut own = reading_at("own level", "river", 2.0, start);
    own["data"]["property"] = json!("level_value");
    assert_eq!(server.post("application/json", own.to_string()).await.status, 202);
    let level = "SELECT count(*), sum(sum) FROM cells WHERE layer = 'level_value'";
    let before = server.rows(level).await;
    server
        .rows_become(
            "SELECT count FROM layers WHERE layer = 'level_value'",
            &json!([[ROWS - 4]]),
        )
        .await;
    server.stop().await;
    let text = succeeds(&server.run(&["feeds", "purge", "level", "--yes"]));
    assert!(!text.contains("layers that only"), "{text}");
    server.configure(&feeds(RIGHT_TIME, "cm"));
    server.restart();
    server
        .rows_become(
            "SELECT count, unit FROM layers WHERE layer = 'level_value'",
            &json!([[ROWS - 4, "m"]]),
        )
        .await;
    // The rows of the feed are a hundredth now, and the reading of the river is what it was.
    let sum = |rows: &[Value]| rows[0][1].as_f64().unwrap();
    let hundredth = (sum(&before) / 100.0 + 2.0) * 1e6;
    let after = sum(&server.rows(level).await) * 1e6;
    assert!((after - hundredth).abs() < 1.0, "{after}, {hundredth}");
}
