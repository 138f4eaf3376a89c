//! Months: frozen with their denominators, told to everybody with small counts hidden, and restated beside.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike, Duration, Months, NaiveDate, Utc};
use reqwest::Method;
use riskgrid_api::digest::{hex, sha256};
use serde_json::{Value, json};

use super::Hotline;
use crate::server::{Answer, eventually};

/// Two working weeks for whoever has lights, by the clock.
pub(super) fn rules(handle: &str) -> Value {
    json!({"name": "test", "rules": [{"id": "all", "calendar": "cn", "clocks": {"respond": "1h", "handle": handle}}]})
}

fn duty() -> Value {
    json!({"rows": [
        {"id": "l", "layer": "light", "office": "lighting"},
        {"id": "n", "layer": "noise", "office": "police"},
    ]})
}

pub(super) async fn with_rules() -> Hotline {
    let hotline = Hotline::start();
    for (path, body) in [("/v1/hotline/rules", rules("14d")), ("/v1/duty", duty())] {
        let put = hotline.put(path, "\"0\"", &body).await;
        assert_eq!(put.status, 200, "{path}: {}", put.body);
    }
    hotline
}

/// A case that its office has replied to and that is closed; called back, where there is a rating.
pub(super) async fn closed(hotline: &Hotline, members: Value, rating: Option<i64>) -> String {
    let id = hotline.case(&members).await;
    for body in [
        json!({"move": "accept"}),
        json!({"move": "dispatch"}),
        json!({"move": "start"}),
        json!({"move": "reply", "result": "resolved", "text": "a new lamp"}),
        json!({"move": "close"}),
    ] {
        hotline.moves(&id, &body).await;
    }
    if let Some(rating) = rating {
        call_back(hotline, &id, rating).await;
    }
    id
}

async fn call_back(hotline: &Hotline, id: &str, rating: i64) {
    let resolved = if rating > 2 { "yes" } else { "no" };
    hotline
        .moves(
            id,
            &json!({"move": "call_back", "reached": true, "resolved": resolved, "rating": rating}),
        )
        .await;
}

/// The first of the month three months ago, and what every time is moved by so that dues of two weeks from now are in it.
pub(super) fn long_ago() -> (String, i64) {
    let today = Utc::now().date_naive();
    let first = today.with_day(1).unwrap() - Months::new(3);
    let middle = NaiveDate::from_ymd_opt(first.year(), first.month(), 15).unwrap();
    let days = (today + Duration::days(14) - middle).num_days();
    (first.format("%Y-%m").to_string(), days * 24 * 3600 * 1_000_000)
}

pub(super) fn moved_back(by: i64) -> Vec<String> {
    vec![
        format!("UPDATE case_clocks SET start_at = start_at - {by}, due_at = due_at - {by}"),
        format!("UPDATE case_clocks SET stopped_at = stopped_at - {by} WHERE stopped_at IS NOT NULL"),
        format!("UPDATE case_moves SET at = at - {by}"),
        format!("UPDATE cases SET opened_at = opened_at - {by}"),
    ]
}

pub(super) async fn frozen(hotline: &Hotline, month: &str) -> Value {
    eventually("the month is frozen", async || {
        let answer = hotline
            .server
            .get(&format!("/v1/assessment/{month}?restated=true"))
            .await;
        (answer.status == 200).then_some(answer.body)
    })
    .await
}

fn counts(rate: &Value) -> [&Value; 3] {
    [&rate["count"], &rate["of"], &rate["percent"]]
}

#[tokio::test]
async fn a_month_is_frozen_once_and_later_answers_stand_beside_it() {
    let mut hotline = with_rules().await;
    for rating in [5, 5, 5, 5, 5, 4] {
        closed(&hotline, json!({}), Some(rating)).await;
    }
    let silent = closed(&hotline, json!({}), None).await;
    // One goes back before due, and one is never replied to.
    let returned = hotline.case(&json!({})).await;
    let left = hotline.case(&json!({})).await;
    for id in [&returned, &left] {
        hotline.moves(id, &json!({"move": "accept"})).await;
        hotline.moves(id, &json!({"move": "dispatch"})).await;
    }
    hotline
        .moves(
            &returned,
            &json!({"move": "transfer", "office": "parks", "reason": "theirs"}),
        )
        .await;
    let (month, by) = long_ago();
    let now_is = hotline.server.get(&format!("/v1/assessment/{month}")).await;
    assert_eq!(now_is.status, 404, "{}", now_is.body);
    hotline.rewrite(&moved_back(by)).await;
    let told = frozen(&hotline, &month).await;
    let office = &told["offices"][0];
    assert_eq!((&office["office"], &office["n"]), (&json!("lighting"), &json!(8)));
    assert_eq!(
        office["out"],
        json!({"return": 0, "transfer": 1, "merge": 0, "withdraw": 0})
    );
    assert_eq!(counts(&office["response"]), [&json!(7), &json!(8), &json!(87.5)]);
    assert_eq!(counts(&office["timely"]), [&json!(7), &json!(8), &json!(87.5)]);
    assert_eq!(counts(&office["coverage"]), [&json!(6), &json!(7), &json!(85.7)]);
    assert_eq!(
        counts(&office["resolution"]),
        [&json!(6), &json!(6), &json!(100.0)]
    );
    assert_eq!(told["offices"][1]["office"], "parks");
    assert_eq!(told["city"]["n"], 9);
    assert_eq!(told["restated"]["offices"], told["offices"]);
    // The rows, as text, are what the hash is of; and SQL has the same.
    let csv = hotline
        .ask(
            Method::GET,
            &format!("/v1/assessment/{month}"),
            &[("accept", "text/csv")],
            None,
        )
        .await;
    assert!(
        csv.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/csv")
    );
    let csv = csv.text().await.unwrap();
    assert_eq!(json!(hex(&sha256(csv.as_bytes()))), told["sha256"]);
    assert_eq!(csv.lines().count(), 11);
    let stored = "SELECT count(*), count(out), sum(responded), count(rating) FROM case_assessed";
    assert_eq!(hotline.server.rows(stored).await, [json!([10, 1, 7, 6])]);
    // Who answers now is not of the month any more.
    call_back(&hotline, &silent, 1).await;
    let again = frozen(&hotline, &month).await;
    assert_eq!(
        (&again["sha256"], &again["offices"]),
        (&told["sha256"], &told["offices"])
    );
    let restated = &again["restated"]["offices"][0];
    assert_eq!(
        counts(&restated["coverage"]),
        [&json!(7), &json!(7), &json!(100.0)]
    );
    assert_eq!(
        counts(&restated["resolution"]),
        [&json!(6), &json!(7), &json!(85.7)]
    );
    // An office has its own part of it.
    let of_parks = [("riskgrid-duty", "handler"), ("riskgrid-office", "parks")];
    let answer = hotline
        .ask(Method::GET, &format!("/v1/assessment/{month}"), &of_parks, None)
        .await;
    let seen = Answer::of(answer).await.body;
    assert_eq!(
        (&seen["offices"].as_array().unwrap().len(), &seen["city"]["n"]),
        (&1, &json!(1))
    );
    assert_eq!(seen["sha256"], told["sha256"]);
    for (month, status) in [("2026-13", 400), ("2026", 400), ("2099-01", 404)] {
        let answer = hotline.server.get(&format!("/v1/assessment/{month}")).await;
        assert_eq!(answer.status, status, "{month}: {}", answer.body);
    }
    // It stays after a restart, too.
    hotline.server.stop().await;
    hotline.server.restart();
    assert_eq!(frozen(&hotline, &month).await["sha256"], told["sha256"]);
}

#[tokio::test]
async fn everybody_is_told_of_a_month_and_of_nobody_in_it() {
    let mut hotline = with_rules().await;
    for rating in [5, 5, 5, 5, 5, 4, 4, 4, 4, 4] {
        closed(&hotline, json!({}), Some(rating)).await;
    }
    let noise = json!({"layer": "noise", "attributes": {"when": "day"}});
    for rating in [5, 5, 5, 5, 5, 1] {
        closed(&hotline, noise.clone(), Some(rating)).await;
    }
    let (month, by) = long_ago();
    let path = format!("/v1/public/rates/{month}");
    assert_eq!(hotline.server.get(&path).await.status, 404);
    hotline.rewrite(&moved_back(by)).await;
    frozen(&hotline, &month).await;
    let told = hotline.server.get(&path).await.body;
    // One who gave the police a 1 could be found by what is left: no rectangle hides it, so the table is withheld.
    assert_eq!(told["table"], Value::Null, "{told}");
    assert!(
        told["rates"]
            .as_array()
            .unwrap()
            .iter()
            .all(|rates| rates["timely"].is_null())
    );
    let all = "UPDATE case_assessed SET rating = 5 WHERE rating = 1".to_owned();
    hotline.rewrite(&[all]).await;
    let told = hotline.server.get(&path).await.body;
    assert_eq!(
        told["table"],
        json!({"offices": ["lighting", "police"], "classes": [1, 2, 3, 4, 5],
            "cells": [[0, 0, 0, 5, 5], [0, 0, 0, 0, 6]], "row_totals": [10, 6], "column_totals": [0, 0, 0, 5, 11], "total": 16})
    );
    let rates = &told["rates"][0];
    assert_eq!(
        (&rates["office"], counts(&rates["satisfaction"])),
        (&json!("lighting"), [&json!(10), &json!(10), &json!(100.0)])
    );
    assert!(!told.to_string().contains("case"), "{told}");
}

#[tokio::test]
async fn what_another_system_did_long_ago_is_assessed_once_all_of_it_came() {
    let now = Utc::now();
    let first = now.date_naive().with_day(1).unwrap() - Months::new(4);
    let month = first.format("%Y-%m").to_string();
    let at = |day: i64, hour: i64| {
        let time: DateTime<Utc> =
            first.and_hms_opt(0, 0, 0).unwrap().and_utc() + Duration::hours(24 * (day - 1) + hour);
        time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
    let mut opened = "id,opened,target,queue\n".to_owned();
    let mut closed = "id,closed\n".to_owned();
    for (id, target, queue, end) in [
        ("4", at(9, 0), "lights", Some(at(7, 0))),
        ("5", at(40, 0), "lights", Some(at(8, 0))),
        ("6", String::new(), "lights", Some(at(8, 0))),
        ("1", at(9, 0), "roads", Some(at(8, 23))),
        ("2", at(9, 0), "roads", Some(at(9, 0))),
        ("3", at(9, 0), "roads", None),
    ] {
        writeln!(opened, "{id},{},{target},{queue}", at(5, 0)).unwrap();
        if let Some(end) = end {
            writeln!(closed, "{id},{end}").unwrap();
        }
    }
    let until = at(300, 0);
    let feed = |name: &str, time: &str, more: &str| {
        format!(
            "[[feeds]]\nname = \"{name}\"\nfrom = {{ file = \"{name}.csv\" }}\nformat = \"csv\"\nevent = \"report\"\n\
             source = {{ const = \"//city\" }}\nid = [\"id\"]\nreport = \"id\"\ntime = \"{time}\"\nclock = \"event\"\n\
             valid_from = \"{}\"\nvalid_to = \"{until}\"\n{more}\n",
            at(1, 0)
        )
    };
    let open = feed(
        "opened",
        "opened",
        "due = \"target\"\noffice = \"queue\"\nlon = { const = -71.06 }\nlat = { const = 42.36 }\ncategory = { const = \"hole\" }",
    );
    let close = feed("closed", "closed", "op = { const = \"close\" }");
    let mut server = crate::server::Server::not_started();
    std::fs::write(server.path("opened.csv"), opened).unwrap();
    std::fs::write(server.path("closed.csv"), closed).unwrap();
    let layer = "[[layers]]\nid = \"hole\"\nkind = \"report\"\ncases = \"mirror\"\ndomain = \"opened\"\n";
    server.configure(&format!("{layer}{open}{close}"));
    server.restart();
    let hotline = Hotline { server };
    let told = frozen(&hotline, &month).await;
    let timely: Vec<Value> = told["offices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|office| {
            json!([
                office["office"],
                office["n"],
                office["timely"]["count"],
                office["timely"]["of"]
            ])
        })
        .collect();
    assert_eq!(json!(timely), json!([["lights", 1, 1, 1], ["roads", 3, 1, 3]]));
}
