//! Credentials that are wrong, in the wrong place, or too many.

use reqwest::Method;
use serde_json::json;

use super::{Guarded, id_of};
use crate::server::eventually;

#[tokio::test]
async fn a_wrong_credential_is_refused_and_never_as_if_it_were_none() {
    let guarded = Guarded::start_with("[access]\nanonymous = \"public\"");
    assert_eq!(guarded.get("/v1/whoami", None).await.body["role"], "public");
    let mut unknown = String::from("rgk_AAAAAAAAAAAA");
    unknown += &guarded.admin[16..];
    for value in [
        "Bearer x".to_owned(),
        "Basic eDp5".to_owned(),
        "Negotiate abc".to_owned(),
        String::new(),
        guarded.admin.clone(),
        format!("Bearer {unknown}"),
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.".to_owned(),
    ] {
        let request = guarded
            .server
            .client
            .get(format!("{}/v1/whoami", guarded.server.url));
        let answer = request.header("authorization", &value).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{value}");
    }
}

#[tokio::test]
async fn ten_wrong_keys_bar_more_wrong_ones_and_never_a_good_one() {
    let guarded = Guarded::start();
    let wrong = format!("{}0", &guarded.admin[..65]);
    let wrong = if wrong == guarded.admin {
        format!("{}1", &wrong[..65])
    } else {
        wrong
    };
    let mut statuses = Vec::new();
    for _ in 0..15 {
        statuses.push(guarded.get("/v1/layers", Some(&wrong)).await.status);
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10..], [429; 5]);
    let barred = guarded.get("/v1/layers", Some(&wrong)).await;
    assert_eq!(barred.body["type"], "urn:riskgrid:problem:too-many-failures");
    assert!(
        barred
            .retry_after
            .is_some_and(|seconds| (1..=61).contains(&seconds))
    );
    assert_eq!(guarded.get("/v1/layers", Some(&guarded.admin)).await.status, 200);
    assert_eq!(guarded.get("/v1/layers", None).await.status, 401);
    let rows = eventually("it is in the audit", async || {
        let rows = guarded.audited("access.refused").await;
        (!rows.is_empty()).then_some(rows)
    })
    .await;
    // One row a minute and address, however many there were.
    assert!(rows.len() <= 2, "{rows:?}");
    assert_eq!(
        (&rows[0]["address"], &rows[0]["who"]),
        (&json!("127.0.0.1"), &json!("anonymous"))
    );
    assert!(!rows[0].to_string().contains(&wrong[17..]), "{rows:?}");
}

#[tokio::test]
async fn a_credential_in_a_url_is_refused_everywhere() {
    let guarded = Guarded::start();
    let key = &guarded.admin;
    for path in [
        format!("/v1/layers?key={key}"),
        format!("/v1/sql?sql=SELECT+1&access_token={key}"),
        format!("/?key={key}"),
        format!("/nothing?x=Bearer%20{key}"),
        "/v1/layers?jwt=eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.".to_owned(),
    ] {
        let refused = guarded.get(&path, Some(key)).await;
        assert_eq!(
            (refused.status, &refused.body["type"]),
            (400, &json!("urn:riskgrid:problem:credentials-in-url")),
            "{path}"
        );
        assert!(!refused.body.to_string().contains(&key[17..]));
    }
}

#[tokio::test]
async fn an_identity_that_asks_too_often_is_told_when_to_ask_again_and_others_are_not_held_up() {
    let guarded = Guarded::start();
    let busy = guarded.key(json!({"role": "analyst"})).await;
    let other = guarded.key(json!({"role": "analyst"})).await;
    let ask = async |key: &str| {
        let question = json!({"sql": "SELECT 1"});
        guarded
            .ask(Method::POST, "/v1/sql", Some(key), Some(question))
            .await
    };
    let mut refused = None;
    for _ in 0..2_000 {
        let answer = ask(&busy).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    // A slow machine may ask no faster than it may.
    if let Some(refused) = refused {
        assert_eq!(refused.body["type"], "urn:riskgrid:problem:too-many-requests");
        assert!(refused.retry_after.is_some());
    }
    assert_eq!(ask(&other).await.status, 200);
    assert_eq!(guarded.get("/v1/whoami", Some(&busy)).await.status, 200);
    assert_eq!(
        guarded.get("/v1/whoami", Some(&busy)).await.body["who"],
        format!("key:{}", id_of(&busy))
    );
}
