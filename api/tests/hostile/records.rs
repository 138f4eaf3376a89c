//! Records that are too long, that a defect cannot apply, and files that are not what their names say.

use serde_json::{Value, json};

use crate::server::{Server, WRONG_CONFIGURATION, eventually};

const LINES: &str = "application/x-ndjson";

/// One reading of now.
fn reading(id: &str) -> String {
    let time = chrono::Utc::now().to_rfc3339();
    json!({
        "specversion": "1.0", "id": id, "source": "//test", "type": "riskgrid.observation.v1", "time": time,
        "data": {"sensor": "river-7", "property": "water_level", "value": 3, "unit": "m", "lon": 113.93, "lat": 22.53},
    })
    .to_string()
}

fn readings(ids: &[&str]) -> String {
    ids.iter().map(|id| reading(id) + "\n").collect()
}

async fn metric(server: &Server, name: &str) -> f64 {
    let page = server.client.get(format!("{}/metrics", server.url)).send();
    let page = page.await.unwrap().text().await.unwrap();
    let line = page
        .lines()
        .find(|line| line.split(' ').next() == Some(name))
        .unwrap_or_else(|| panic!("{name} is not in /metrics"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

async fn letters(server: &Server) -> Vec<Value> {
    server
        .rows("SELECT topic, \"offset\", \"index\", reason FROM dead_letters ORDER BY 1, 2, 3")
        .await
}

async fn ids(server: &Server) -> Value {
    Value::Array(server.rows("SELECT id FROM events ORDER BY id").await)
}

#[tokio::test]
async fn ids_of_a_megabyte_are_refused_and_those_that_fit_are_counted() {
    let mut server = Server::start();
    let body = reading(&"i".repeat(1_000_000));
    let lines: String = (0..20).map(|_| body.clone() + "\n").collect();
    for _ in 0..3 {
        let answer = server.post(LINES, lines.clone()).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        for refused in answer.body["refused"].as_array().unwrap() {
            assert_eq!(refused["reason"], "too_large");
            assert!(
                refused["detail"]
                    .as_str()
                    .unwrap()
                    .contains("`id` has 1000000 bytes")
            );
        }
    }
    let answer = server.post(LINES, reading(&"i".repeat(1024))).await;
    assert_eq!((answer.status, &answer.body["accepted"]), (202, &json!(1)));
    server
        .rows_become("SELECT count(*) FROM events", &json!([[1]]))
        .await;
    server.stop().await;
    server.restart();
    server
        .rows_become("SELECT count(*) FROM events", &json!([[1]]))
        .await;
}

/// The record fails before it changes anything, and while it does: either way it is kept, and the others are counted.
#[tokio::test]
async fn a_record_that_cannot_be_applied_is_kept_as_poison_and_the_others_are_counted() {
    for place in ["before_applying", "while_applying"] {
        let mut server = Server::not_started();
        server.set("RISKGRID_TEST_DEFECT", &format!("{place}:panic:bad"));
        server.restart();
        server.post(LINES, readings(&["a"])).await;
        server
            .rows_become("SELECT count(*) FROM events", &json!([[1]]))
            .await;
        server.writes_a_checkpoint().await;
        let answer = server.post(LINES, readings(&["b", "bad", "c"])).await;
        assert_eq!((answer.status, &answer.body["accepted"]), (202, &json!(3)));
        server.post(LINES, readings(&["d"])).await;
        let all = json!([["a"], ["b"], ["c"], ["d"]]);
        server
            .rows_become("SELECT id FROM events ORDER BY id", &all)
            .await;
        assert_eq!(letters(&server).await, [json!(["journal", 1, 1, "poison"])]);
        server
            .rows_become("SELECT sum(count) FROM cells", &json!([[4]]))
            .await;
        assert!((metric(&server, "riskgrid_poisoned_total").await - 1.0).abs() < 1e-9);
        let ready = server
            .client
            .get(format!("{}/readyz", server.url))
            .send()
            .await
            .unwrap();
        assert_eq!(ready.status(), 200);
        assert!(ready.text().await.unwrap().contains("poisoned 1"));
        // Read = accepted + duplicate + refused.
        let mut counts = Vec::new();
        for result in ["accepted", "duplicate", "refused"] {
            let name = format!("riskgrid_events_total{{result=\"{result}\"}}");
            counts.push(metric(&server, &name).await);
        }
        assert!(counts == [4.0, 0.0, 1.0], "{counts:?}");
        // The restart reads it again, or not, and comes to the same.
        server.kill();
        server.restart();
        server
            .rows_become("SELECT id FROM events ORDER BY id", &all)
            .await;
        assert_eq!(letters(&server).await.len(), 1);
        // Once the defect is mended it can be replayed.
        server.stop().await;
        server.set("RISKGRID_TEST_DEFECT", "none");
        server.restart();
        let replayed = server.ask(&["dead-letters", "replay", "--reason", "poison"]);
        assert!(replayed.status.success(), "{replayed:?}");
        let all = json!([["a"], ["b"], ["bad"], ["c"], ["d"]]);
        server
            .rows_become("SELECT id FROM events ORDER BY id", &all)
            .await;
        server.stop().await;
    }
}

/// The process itself ends, as it does when memory is used up: the record is found by what outlives the process.
#[tokio::test]
async fn a_record_that_ends_the_process_is_found_and_the_restart_goes_on() {
    let mut server = Server::not_started();
    server.set("RISKGRID_TEST_DEFECT", "while_applying:abort:bad");
    server.restart();
    server.post(LINES, readings(&["a"])).await;
    server
        .rows_become("SELECT count(*) FROM events", &json!([[1]]))
        .await;
    // It may end before it has answered: what it took is in the journal by then.
    let request = server.client.post(format!("{}/v1/events", server.url));
    let request = request
        .header("content-type", LINES)
        .body(readings(&["b", "bad", "c"]));
    if let Ok(answer) = request.send().await {
        assert_eq!(answer.status(), 202);
    }
    server.ends().await;
    // Once in its batch, and twice alone.
    for _ in 0..2 {
        server.spawn();
        server.ends().await;
    }
    server.restart();
    let all = json!([["a"], ["b"], ["c"]]);
    server
        .rows_become("SELECT id FROM events ORDER BY id", &all)
        .await;
    assert_eq!(letters(&server).await, [json!(["journal", 1, 1, "poison"])]);
    server.post(LINES, readings(&["d"])).await;
    server
        .rows_become("SELECT count(*) FROM events", &json!([[4]]))
        .await;
    // Killed before a checkpoint perhaps: its letter says that it is not to be tried.
    server.kill();
    server.restart();
    server
        .rows_become("SELECT count(*) FROM events", &json!([[4]]))
        .await;
    assert_eq!(ids(&server).await, json!([["a"], ["b"], ["c"], ["d"]]));
    server.stop().await;
}

/// Kills at any moment make no poison: only what ends the process alone, and twice, is not tried again.
#[tokio::test]
async fn kills_make_no_poison() {
    let mut server = Server::start();
    let mut number = 0;
    for _ in 0..4 {
        let lines: String = (0..500)
            .map(|event| reading(&format!("{}", number + event)) + "\n")
            .collect();
        number += 500;
        let answer = server.post(LINES, lines).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        server.kill();
        server.restart();
    }
    server
        .rows_become("SELECT count(*) FROM events", &json!([[2000]]))
        .await;
    assert!(letters(&server).await.is_empty());
    assert!(metric(&server, "riskgrid_poisoned_total").await.abs() < 1e-9);
}

fn feed(file: &str, format: &str) -> String {
    let header = if format == "csv" { "" } else { "/" };
    format!(
        "[[feeds]]\nname = \"bad\"\nfrom = {{ file = \"{file}\" }}\nformat = \"{format}\"\nevent = \"report\"\n\
         source = {{ const = \"//bad\" }}\nid = [\"{header}id\"]\ntime = \"{header}time\"\nlon = \"{header}lon\"\n\
         lat = \"{header}lat\"\ncategory = \"{header}category\"\n"
    )
}

const CSV: &str = "id,time,lon,lat,category\n1,2026-11-22T08:00:00Z,113.9,22.5,noise\n";

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[tokio::test]
async fn files_that_are_not_what_their_names_say_are_told_by_name_with_what_to_do() {
    let marked = format!("\u{feff}{CSV}");
    let cases: [(&str, &str, Vec<u8>, &str); 8] = [
        ("data.csv", "csv", utf_16(CSV), "UTF-16"),
        ("data.csv", "csv", utf_16(&marked), "UTF-16"),
        ("data.jsonl", "json", utf_16("{\"id\": 1}\n"), "UTF-16"),
        ("data.csv", "csv", Vec::new(), "empty"),
        ("data.jsonl", "json", Vec::new(), "empty"),
        (
            "data.csv.gz",
            "csv",
            b"\x1f\x8c\x08\0\0\0".to_vec(),
            "neither gzip nor text",
        ),
        (
            "data.csv",
            "csv",
            b"PK\x03\x04\x14\0\x06\0[Content_Types].xml".to_vec(),
            "Excel",
        ),
        (
            "data.csv",
            "csv",
            CSV.replace(',', ";").into(),
            "delimiter = \";\"",
        ),
    ];
    for (name, format, content, says) in cases {
        let mut server = Server::not_started();
        std::fs::write(server.path(name), content).unwrap();
        server.configure(&feed(name, format));
        let said = server.is_refused(WRONG_CONFIGURATION);
        assert!(
            said.contains(name) && said.contains(says),
            "{name} {says}: {said}"
        );
    }
    // A byte order mark of UTF-8 is no part of the first column's name.
    let mut server = Server::not_started();
    std::fs::write(server.path("data.csv"), &marked).unwrap();
    server.configure(&feed("data.csv", "csv"));
    server.restart();
    server
        .rows_become("SELECT count(*) FROM events", &json!([[1]]))
        .await;
    server.stop().await;
}

/// A file feed whose row cannot be applied is read again from its checkpoint, like the journal.
#[tokio::test]
async fn a_row_that_cannot_be_applied_is_kept_as_poison_and_the_file_is_read_to_its_end() {
    let mut server = Server::not_started();
    let rows = (2..=3000).map(|number| format!("{number},2026-11-22T08:00:00Z,113.9,22.5,noise\n"));
    let rows = CSV.to_owned() + &rows.collect::<String>();
    std::fs::write(server.path("data.csv"), rows).unwrap();
    server.configure(&feed("data.csv", "csv"));
    server.set("RISKGRID_TEST_DEFECT", "while_applying:panic:2500");
    server.restart();
    server
        .rows_become(
            "SELECT count(*), count(DISTINCT id) FROM events",
            &json!([[2999, 2999]]),
        )
        .await;
    assert_eq!(letters(&server).await, [json!(["file:bad", 2499, 0, "poison"])]);
    eventually("nothing is read again", async || {
        (metric(&server, "riskgrid_partitions_mending").await < 0.5).then_some(())
    })
    .await;
    server.stop().await;
}
