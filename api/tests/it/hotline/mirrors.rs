//! Cases that another system decides: by when and whose, as its feed says.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::Hotline;
use crate::server::{Server, eventually};

const FEED: &str = r#"
[[feeds]]
name = "opened"
from = { file = "requests.csv" }
format = "csv"
event = "report"
source = { const = "//city" }
id = ["id"]
report = "id"
time = { field = "opened", format = "%Y-%m-%d %H:%M:%S", zone = "America/New_York" }
due = { field = "target", format = "%Y-%m-%d %H:%M:%S", zone = "America/New_York" }
office = { field = "queue", map = { "PWDx" = "roads", "ISD" = "inspection" } }
lon = "lon"
lat = "lat"
category = { const = "pothole" }

[[feeds]]
name = "closed"
from = { file = "closed.csv" }
format = "csv"
event = "report"
source = { const = "//city" }
id = ["id", "closed"]
report = "id"
op = { const = "close" }
time = { field = "closed", format = "%Y-%m-%d %H:%M:%S", zone = "America/New_York" }
"#;

/// A time as the files have it.
fn written(time: DateTime<Utc>) -> String {
    let local = time.with_timezone(&chrono_tz::America::New_York);
    local.format("%Y-%m-%d %H:%M:%S").to_string()
}

#[tokio::test]
async fn a_feed_says_by_when_and_whose_and_late_is_what_closes_at_due_or_after() {
    let now = Utc::now();
    let ago = |minutes: i64| written(now - TimeDelta::minutes(minutes));
    let mut opened = "id,opened,target,queue,lon,lat\n".to_owned();
    let mut closed = "id,closed\n".to_owned();
    for (id, target, queue, end) in [
        ("in-time", ago(30), "PWDx", Some(31)),
        ("late", ago(30), "PWDx", Some(30)),
        ("open", written(now + TimeDelta::hours(9)), "ISD", None),
        ("overdue", ago(5), "ISD", None),
        ("unpromised", String::new(), "?", None),
        ("mangled", "soon".to_owned(), "ISD", None),
    ] {
        writeln!(opened, "{id},{},{target},{queue},-71.06,42.36", ago(60)).unwrap();
        if let Some(end) = end {
            writeln!(closed, "{id},{}", ago(end)).unwrap();
        }
    }
    let mut server = Server::not_started();
    std::fs::write(server.path("requests.csv"), opened).unwrap();
    std::fs::write(server.path("closed.csv"), closed).unwrap();
    server.configure(&format!("{}{FEED}", super::LAYERS));
    server.restart();
    let hotline = Hotline { server };
    let shown = eventually("all of them are there, and as they should be", async || {
        let answer = hotline.server.get("/v1/cases").await;
        let cases = answer.body["cases"].as_array()?.clone();
        let of = |report: &str| cases.iter().find(|case| case["report"] == json!(report)).cloned();
        let all: Option<Vec<Value>> = ["in-time", "late", "open", "overdue", "unpromised"]
            .map(of)
            .into_iter()
            .collect();
        let all = all?;
        let is_done =
            all[0]["state"] == "finished" && all[1]["state"] == "finished" && all[3]["card"] == "red";
        is_done.then_some(all)
    })
    .await;
    let told: Vec<[&Value; 3]> = shown
        .iter()
        .map(|case| [&case["office"], &case["card"], &case["state"]])
        .collect();
    assert_eq!(
        json!(told),
        json!([
            ["roads", "none", "finished"],
            ["roads", "red", "finished"],
            ["inspection", "none", "handling"],
            ["inspection", "red", "handling"],
            [null, "none", "handling"],
        ])
    );
    assert_eq!(shown[4]["due"], Value::Null, "no due, no clock");
    let id = shown[0]["id"].as_str().unwrap();
    let clocks = hotline.server.get(&format!("/v1/cases/{id}/clocks")).await.body;
    let clock = &clocks["clocks"][0];
    assert_eq!(
        [&clock["name"], &clock["generation"]],
        [&json!("handle"), &json!(1)]
    );
    let time = |text: &Value| {
        DateTime::parse_from_rfc3339(text.as_str().unwrap())
            .unwrap()
            .to_utc()
    };
    assert_eq!(written(time(&clock["due"])), ago(30));
    assert_eq!(written(time(&clock["start"])), ago(60));
    // What is no time is told, and the report is not taken without it.
    let letters = hotline
        .server
        .rows("SELECT reason, detail FROM dead_letters")
        .await;
    assert_eq!(letters[0][0], "invalid_time", "{letters:?}");
    assert!(letters[0][1].as_str().unwrap().contains("`due`"), "{letters:?}");
}
