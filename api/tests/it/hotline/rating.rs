//! Who reported says whether it was solved, once, by a link.

use serde_json::{Value, json};

use super::{Hotline, problem};
use crate::server::Answer;

#[tokio::test]
async fn a_link_is_shown_by_close_and_spent_once() {
    let hotline = Hotline::start();
    let id = hotline.case(&json!({})).await;
    hotline.moves(&id, &json!({"move": "accept"})).await;
    hotline
        .moves(&id, &json!({"move": "answer", "text": "done"}))
        .await;
    let closed = hotline.moves(&id, &json!({"move": "close"})).await;
    let link = closed["rating_link"].as_str().unwrap().to_owned();
    let token = link.rsplit_once('/').unwrap().1.to_owned();
    assert_eq!(token.len(), 68);
    let client = &hotline.server.client;
    let page = client.get(&link).send().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), &page.headers()["cache-control"]),
        (200, &"no-store".parse().unwrap())
    );
    let page = page.text().await.unwrap();
    let number = hotline.show(&id).await["number"].as_str().unwrap().to_owned();
    assert!(
        page.contains(&number) && page.contains("<form method=\"post\">") && !page.contains("<script"),
        "{page}"
    );
    // Looking spends nothing; what is no answer does not either.
    let bad = client
        .post(&link)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("resolved=yes&rating=9");
    assert_eq!(bad.send().await.unwrap().status().as_u16(), 422);
    let good = client
        .post(&link)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("resolved=yes&rating=4");
    assert_eq!(good.send().await.unwrap().status().as_u16(), 200);
    assert_eq!(hotline.show(&id).await["state"], "finished");
    let again = client.post(&link).json(&json!({"resolved": "no", "rating": 1}));
    let again = Answer::of(again.send().await.unwrap()).await;
    assert_eq!((again.status, problem(&again)), (409, "used"));
    let mut other = token.clone().into_bytes();
    other[40] = if other[40] == b'A' { b'B' } else { b'A' };
    let other = String::from_utf8(other).unwrap();
    assert_eq!(hotline.server.get(&format!("/r/{other}")).await.status, 404);
    // Another link, and the round that it is of.
    let path = format!("/v1/cases/{id}/rating-link");
    let another = hotline
        .post(&path, &[("riskgrid-duty", "operator")], &Value::Null)
        .await;
    assert_eq!(another.status, 201, "{}", another.body);
    let another = another.body["rating_link"].as_str().unwrap().to_owned();
    hotline.moves(&id, &json!({"move": "reopen"})).await;
    let over = client.get(another).header("accept", "application/json");
    let over = Answer::of(over.send().await.unwrap()).await;
    assert_eq!((over.status, problem(&over)), (410, "gone"));
    // The token is kept nowhere.
    let database = std::fs::read(hotline.server.data().join("decisions.sqlite")).unwrap();
    assert!(
        !database
            .windows(token.len())
            .any(|bytes| bytes == token.as_bytes())
    );
}
