//! Making, listing and showing cases.

use serde_json::{Value, json};

use super::{Hotline, problem};

#[tokio::test]
async fn a_posted_case_is_there_once_and_its_event_is_on_the_grid() {
    let hotline = Hotline::start();
    let case = json!({"kind": "complaint", "layer": "light", "channel": "phone", "lon": 113.95, "lat": 22.54,
        "text": "it is dark here", "severity": 2});
    let key = [("idempotency-key", "call-1")];
    let made = hotline.post("/v1/cases", &key, &case).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(
        (
            &made.body["state"],
            &made.body["version"],
            &made.body["place"]["quality"]
        ),
        (&json!("new"), &json!(1), &json!("exact"))
    );
    let id = made.body["id"].as_str().unwrap();
    assert_eq!(id.len(), 26);
    assert!(made.body["number"].as_str().unwrap().ends_with("-000001"));
    // Again: the same answer, and nothing more.
    let again = hotline
        .ask(reqwest::Method::POST, "/v1/cases", &key, Some(&case))
        .await;
    assert_eq!(again.headers()["idempotent-replay"], "true");
    assert_eq!(again.headers()["etag"], "\"1\"");
    assert_eq!(again.json::<Value>().await.unwrap(), made.body);
    let mut other = case.clone();
    other["severity"] = json!(3);
    let reused = hotline.post("/v1/cases", &key, &other).await;
    assert_eq!((reused.status, problem(&reused)), (422, "idempotency-key-reused"));
    hotline
        .server
        .rows_become("SELECT count(*) FROM events WHERE layer = 'light'", &json!([[1]]))
        .await;
    let shown = hotline.show(id).await;
    assert_eq!(
        (
            &shown["observed"],
            &shown["source"],
            &shown["report"].as_str().unwrap().len()
        ),
        (&json!("yes"), &json!("//riskgrid/cases"), &32)
    );
    assert_eq!(shown["legal"][0], "accept");
    let texts = hotline.server.get(&format!("/v1/cases/{id}/texts")).await;
    assert_eq!(texts.body["texts"][0]["text"], "it is dark here");
    let audit = hotline.server.get("/v1/audit").await;
    assert_eq!(
        (
            &audit.body["audit"][0]["action"],
            &audit.body["audit"][0]["object"]
        ),
        (&json!("cases.texts"), &json!(id)),
        "{}",
        audit.body
    );
}

#[tokio::test]
async fn what_cannot_be_a_case_is_told_and_changes_nothing() {
    let hotline = Hotline::start();
    for (case, status) in [
        (json!([]), 400),
        (
            json!({"kind": "complaint", "layer": "light", "colour": "red"}),
            400,
        ),
        (
            json!({"kind": "complaint", "layer": "light", "severity": "2"}),
            400,
        ),
        (json!({"kind": "rage", "layer": "light"}), 422),
        (json!({"kind": "complaint", "layer": "plain"}), 422),
        (json!({"kind": "complaint", "layer": "pothole"}), 422),
        (json!({"kind": "complaint", "layer": "light", "lon": 113.9}), 422),
        (
            json!({"kind": "complaint", "layer": "light", "lon": 200, "lat": 0}),
            422,
        ),
        (
            json!({"kind": "complaint", "layer": "light", "lon": 113.9, "lat": 22.5, "place": "p1"}),
            422,
        ),
        (json!({"kind": "complaint", "layer": "light", "severity": 5}), 422),
        (
            json!({"kind": "complaint", "layer": "light", "text": "x".repeat(4_001)}),
            422,
        ),
        (json!({"kind": "complaint", "layer": "noise"}), 422),
        (
            json!({"kind": "complaint", "layer": "noise", "attributes": {"when": "noon"}}),
            422,
        ),
        (
            json!({"kind": "complaint", "layer": "light", "contact": {"fax": "1"}}),
            400,
        ),
    ] {
        let answer = hotline.post("/v1/cases", &[], &case).await;
        assert_eq!(answer.status, status, "{case}: {}", answer.body);
    }
    let as_reviewer = [("riskgrid-duty", "reviewer")];
    let good = json!({"kind": "complaint", "layer": "light"});
    assert_eq!(hotline.post("/v1/cases", &as_reviewer, &good).await.status, 403);
    let listed = hotline.server.get("/v1/cases").await;
    assert_eq!(listed.body, json!({"cases": [], "next": null}));
}

#[tokio::test]
async fn cases_are_listed_newest_first_page_by_page_and_by_what_is_asked() {
    let hotline = Hotline::start();
    let mut ids = Vec::new();
    for number in 0..5 {
        let layer = if number % 2 == 0 { "light" } else { "noise" };
        let attributes = if layer == "noise" {
            json!({"when": "day"})
        } else {
            json!({})
        };
        ids.push(
            hotline
                .case(&json!({"layer": layer, "attributes": attributes}))
                .await,
        );
    }
    hotline.moves(&ids[0], &json!({"move": "accept"})).await;
    let listed = async |query: &str| {
        let answer = hotline.server.get(&format!("/v1/cases{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        let cases = answer.body["cases"].as_array().unwrap().clone();
        let found = cases.iter().map(|case| case["id"].as_str().unwrap().to_owned());
        (found.collect::<Vec<_>>(), answer.body["next"].clone())
    };
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(listed("").await.0, newest_first);
    assert_eq!(listed("?state=accepted").await.0, [ids[0].clone()]);
    assert_eq!(listed("?layer=noise").await.0, [ids[3].clone(), ids[1].clone()]);
    assert!(listed("?office=roads").await.0.is_empty());
    assert!(listed("?area=nowhere").await.0.is_empty());
    let (first, next) = listed("?limit=2").await;
    assert_eq!(first, newest_first[..2]);
    let (second, next) = listed(&format!("?limit=2&after={}", next.as_str().unwrap())).await;
    assert_eq!(second, newest_first[2..4]);
    let (third, next) = listed(&format!("?limit=2&after={}", next.as_str().unwrap())).await;
    assert_eq!((third.as_slice(), next), (&newest_first[4..], Value::Null));
    for query in [
        "?state=gone",
        "?card=blue",
        "?due_before=soon",
        "?limit=0",
        "?after=x",
        "?colour=red",
    ] {
        assert_eq!(
            hotline.server.get(&format!("/v1/cases{query}")).await.status,
            400,
            "{query}"
        );
    }
    assert_eq!(hotline.server.get("/v1/cases/none").await.status, 404);
}

#[tokio::test]
async fn what_is_near_in_place_and_time_may_be_the_same() {
    let hotline = Hotline::start();
    let first = hotline.case(&json!({"lon": 113.95, "lat": 22.54})).await;
    let near = json!({"kind": "help", "layer": "light", "lon": 113.9505, "lat": 22.5404});
    let made = hotline.post("/v1/cases", &[], &near).await;
    let found = made.body["duplicates"].as_array().unwrap().clone();
    assert_eq!((found.len(), &found[0]["case"]), (1, &json!(first)));
    // 68 m apart, at the same time: a little below exp(-(68/100)²)^0.7.
    let score = found[0]["score"].as_f64().unwrap();
    assert!((0.7..0.73).contains(&score), "{score}");
    let id = made.body["id"].as_str().unwrap().to_owned();
    let listed = hotline.server.get(&format!("/v1/cases/{first}/duplicates")).await;
    assert_eq!(listed.body["duplicates"][0]["case"], json!(id));
    let far = json!({"kind": "help", "layer": "light", "lon": 113.96, "lat": 22.54});
    let made = hotline.post("/v1/cases", &[], &far).await;
    assert_eq!(made.body["duplicates"], json!([]));
    // What is merged already is not offered.
    hotline
        .moves(&id, &json!({"move": "merge", "parent": first}))
        .await;
    let listed = hotline.server.get(&format!("/v1/cases/{first}/duplicates")).await;
    assert_eq!(listed.body["duplicates"], json!([]));
}
