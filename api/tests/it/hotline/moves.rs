//! Moving cases: one order of refusals, one winner, one chain.

use serde_json::{Value, json};

use super::{Hotline, problem};

#[tokio::test]
async fn a_request_is_told_the_first_thing_that_is_wrong_with_it() {
    let hotline = Hotline::start();
    let id = hotline.case(&json!({})).await;
    let path = format!("/v1/cases/{id}/moves");
    let good = json!({"move": "accept"});
    let asked = async |headers: &[(&str, &str)], body: &Value| {
        let answer = hotline.post(&path, headers, body).await;
        (answer.status, problem(&answer).to_owned(), answer.body)
    };
    let (status, kind, _) = asked(&[], &json!({"move": "accept", "why": "x"})).await;
    assert_eq!((status, kind.as_str()), (400, "bad-request"));
    let (status, kind, _) = asked(&[("riskgrid-duty", "handler")], &good).await;
    assert_eq!((status, kind.as_str()), (403, "forbidden"));
    let (status, kind, _) = asked(&[("riskgrid-office", "roads")], &good).await;
    assert_eq!((status, kind.as_str()), (404, "not-found"));
    let (status, kind, _) = asked(&[("idempotency-key", "a b")], &good).await;
    assert_eq!((status, kind.as_str()), (400, "bad-request"));
    let (status, kind, _) = asked(&[], &good).await;
    assert_eq!((status, kind.as_str()), (428, "precondition-required"));
    let (status, kind, body) = asked(&[("if-match", "\"7\"")], &good).await;
    assert_eq!((status, kind.as_str()), (412, "precondition-failed"));
    assert_eq!((&body["state"], &body["version"]), (&json!("new"), &json!(1)));
    let (status, kind, body) = asked(&[("if-match", "\"1\"")], &json!({"move": "start"})).await;
    assert_eq!((status, kind.as_str()), (409, "illegal-move"));
    assert_eq!(
        (&body["state"], &body["move"], &body["legal"]),
        (
            &json!("new"),
            &json!("start"),
            &json!(["accept", "decline", "merge", "withdraw", "locate", "note"])
        )
    );
    let (status, kind, _) = asked(&[("if-match", "\"1\"")], &json!({"move": "decline"})).await;
    assert_eq!((status, kind.as_str()), (422, "invalid"));
    let (status, kind, _) = asked(
        &[("if-match", "\"1\"")],
        &json!({"move": "merge", "parent": "none"}),
    )
    .await;
    assert_eq!((status, kind.as_str()), (409, "bad-parent"));
    let (status, ..) = asked(&[("if-match", "\"1\"")], &json!({"move": "lapse"})).await;
    assert_eq!(status, 403);
    // Nothing of all this is a move.
    assert_eq!(hotline.rows_of(&id).await.len(), 1);
    let (status, _, body) = asked(&[("if-match", "\"1\""), ("idempotency-key", "k")], &good).await;
    assert_eq!((status, &body["state"]), (200, &json!("accepted")));
    let (status, _, again) = asked(&[("if-match", "\"1\""), ("idempotency-key", "k")], &good).await;
    assert_eq!((status, &again), (200, &body));
    let (status, kind, _) = asked(
        &[("if-match", "\"2\""), ("idempotency-key", "k")],
        &json!({"move": "note", "text": "x"}),
    )
    .await;
    assert_eq!((status, kind.as_str()), (422, "idempotency-key-reused"));
    assert_eq!(hotline.rows_of(&id).await.len(), 2);
}

#[tokio::test]
async fn of_a_hundred_at_once_one_wins_and_the_others_are_told_what_is_there() {
    let hotline = Hotline::start();
    let id = hotline.case(&json!({})).await;
    let path = format!("/v1/cases/{id}/moves");
    let body = json!({"move": "accept"});
    let asked = (0..100).map(|_| hotline.post(&path, &[("if-match", "\"1\"")], &body));
    let answers = futures::future::join_all(asked).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.status, 412, "{}", answer.body);
        assert_eq!(
            (&answer.body["state"], &answer.body["version"]),
            (&json!("accepted"), &json!(2))
        );
    }
    assert_eq!(hotline.rows_of(&id).await.len(), 2);
}

#[tokio::test]
async fn the_hotline_answers_closes_calls_back_and_opens_again() {
    let hotline = Hotline::start();
    let id = hotline.case(&json!({})).await;
    hotline.moves(&id, &json!({"move": "accept"})).await;
    let refused = hotline.try_move(&id, &json!({"move": "dispatch"})).await;
    assert_eq!((refused.status, problem(&refused)), (409, "no-office"));
    hotline
        .moves(&id, &json!({"move": "answer", "text": "it is on again"}))
        .await;
    assert_eq!(hotline.show(&id).await["office"], "hotline");
    hotline.moves(&id, &json!({"move": "close"})).await;
    for _ in 0..2 {
        let called = hotline
            .moves(&id, &json!({"move": "call_back", "reached": false}))
            .await;
        assert_eq!(called["state"], "closed");
    }
    let called = hotline
        .moves(&id, &json!({"move": "call_back", "reached": false}))
        .await;
    assert_eq!(called["state"], "finished", "the third time");
    hotline
        .moves(&id, &json!({"move": "rate", "resolved": "partly", "rating": 3}))
        .await;
    let twice = hotline
        .try_move(&id, &json!({"move": "rate", "resolved": "yes", "rating": 5}))
        .await;
    assert_eq!((twice.status, problem(&twice)), (409, "already-rated"));
    hotline.moves(&id, &json!({"move": "reopen"})).await;
    let shown = hotline.show(&id).await;
    assert_eq!(
        (&shown["state"], &shown["office"], &shown["closed_at"]),
        (&json!("accepted"), &Value::Null, &Value::Null)
    );
    let states: Vec<String> = hotline
        .rows_of(&id)
        .await
        .into_iter()
        .map(|(_, state)| state)
        .collect();
    assert_eq!(
        states,
        [
            "new", "accepted", "replied", "closed", "closed", "closed", "finished", "finished", "accepted"
        ]
    );
}

#[tokio::test]
async fn children_go_where_their_parent_goes_and_leave_it_by_themselves() {
    let hotline = Hotline::start();
    let (parent, child, grandchild) = (
        hotline.case(&json!({})).await,
        hotline.case(&json!({})).await,
        hotline.case(&json!({})).await,
    );
    let merge = |into: &str| json!({"move": "merge", "parent": into});
    hotline.moves(&grandchild, &merge(&child)).await;
    let refused = hotline.try_move(&child, &merge(&grandchild)).await;
    assert_eq!((refused.status, problem(&refused)), (409, "bad-parent"));
    let refused = hotline
        .try_move(&child, &json!({"move": "withdraw", "reason": "no"}))
        .await;
    assert_eq!((refused.status, problem(&refused)), (409, "has-children"));
    hotline.moves(&child, &merge(&parent)).await;
    // Nothing is deeper than one, and the parent's version tells.
    assert_eq!(hotline.show(&grandchild).await["parent"], json!(parent));
    assert_eq!(hotline.show(&parent).await["version"], 2);
    let mut children = vec![child.clone(), grandchild.clone()];
    children.sort();
    assert_eq!(hotline.show(&parent).await["children"], json!(children));
    hotline.moves(&parent, &json!({"move": "accept"})).await;
    hotline
        .moves(&parent, &json!({"move": "answer", "text": "done"}))
        .await;
    hotline.moves(&parent, &json!({"move": "close"})).await;
    for id in [&child, &grandchild] {
        assert_eq!(hotline.show(id).await["state"], "closed");
    }
    hotline.moves(&parent, &json!({"move": "reopen"})).await;
    for id in [&child, &grandchild] {
        assert_eq!(hotline.show(id).await["state"], "merged");
    }
    hotline.moves(&child, &json!({"move": "unmerge"})).await;
    let shown = hotline.show(&child).await;
    assert_eq!(
        (&shown["state"], &shown["parent"]),
        (&json!("accepted"), &Value::Null)
    );
}

#[tokio::test]
async fn a_split_makes_cases_of_their_own_and_the_chain_holds() {
    let hotline = Hotline::start();
    let id = hotline.case(&json!({"text": "two things"})).await;
    hotline.moves(&id, &json!({"move": "accept"})).await;
    let split = json!({"move": "split", "reason": "two things", "cases": [
        {"kind": "help", "layer": "light"}, {"layer": "light", "lon": 114.0, "lat": 22.6}]});
    hotline.moves(&id, &split).await;
    let listed = hotline.server.get("/v1/cases?state=accepted").await;
    let cases = listed.body["cases"].as_array().unwrap();
    let splits: Vec<&Value> = cases
        .iter()
        .filter(|case| case["split_of"] == json!(id))
        .collect();
    assert_eq!(splits.len(), 2);
    let first = hotline.show(&id).await;
    let mut reports: Vec<&str> = splits
        .iter()
        .map(|case| case["report"].as_str().unwrap().split_once('#').unwrap().1)
        .collect();
    reports.sort_unstable();
    assert_eq!(reports, ["2", "3"]);
    for case in splits {
        assert_eq!(case["opened_at"], first["opened_at"]);
        assert!(
            case["report"]
                .as_str()
                .unwrap()
                .starts_with(first["report"].as_str().unwrap())
        );
    }
    // Each row hangs on the one before by its hash, as anybody can compute it.
    let rows = hotline.server.get(&format!("/v1/cases/{id}/moves")).await;
    let rows = rows.body["moves"].as_array().unwrap().clone();
    let sequence: Vec<&Value> = rows.iter().map(|row| &row["seq"]).collect();
    assert_eq!(sequence, [&json!(1), &json!(2), &json!(3)]);
    let mut before = [0_u8; 32].to_vec();
    for row in &rows {
        let at = chrono::DateTime::parse_from_rfc3339(row["at"].as_str().unwrap()).unwrap();
        let columns = json!({"case_id": id, "seq": row["seq"], "move": row["move"], "from_state": row["from_state"],
            "to_state": row["to_state"], "at": at.timestamp_micros(), "actor": row["actor"], "duty": row["duty"],
            "office": row["office"], "text_id": row["text_id"], "data": row["data"]});
        let mut bytes = before.clone();
        bytes.extend_from_slice(riskgrid_api::digest::canonical(&columns).as_bytes());
        before = riskgrid_api::digest::sha256(&bytes).to_vec();
        assert_eq!(row["hash"], json!(riskgrid_api::digest::hex(&before)));
    }
}
