//! Webhooks: their secrets, where they may lead, and the test.

use super::*;

#[tokio::test]
async fn a_secret_is_shown_once() {
    let server = Server::start(false).await;
    let made = server.ask("POST", "/v1/webhooks", Some(ops())).await;
    let (id, secret) = (
        made.body["id"].as_str().unwrap(),
        made.body["secret"].as_str().unwrap(),
    );
    assert!(secret.starts_with("whsec_"));
    assert_eq!(server.ask("POST", "/v1/webhooks", Some(ops())).await.status, 409);
    for path in [
        "/v1/webhooks".to_owned(),
        format!("/v1/webhooks/{id}"),
        format!("/v1/webhooks/{id}/deliveries"),
    ] {
        let answer = server.ask("GET", &path, None).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.to_string().contains("whsec_"), "{path}");
    }
    assert_eq!(
        server
            .ask("DELETE", &format!("/v1/webhooks/{id}"), None)
            .await
            .status,
        204
    );
    assert_eq!(
        server
            .ask("GET", &format!("/v1/webhooks/{id}"), None)
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_private_address_is_refused_and_the_password_in_a_url_too() {
    let server = Server::start(false).await;
    for url in [
        "https://10.0.0.1/",
        "http://ops.example/",
        "https://me:word@ops.example/",
    ] {
        let refused = server
            .ask("POST", "/v1/webhooks", Some(json!({"name": "x", "url": url})))
            .await;
        assert_eq!(refused.status, 422, "{url}");
        assert!(!refused.body.to_string().contains("word@"), "{}", refused.body);
    }
}

#[tokio::test]
async fn a_test_tells_what_the_receiver_answered() {
    let server = Server::start(true).await;
    let receiver = listen(
        Router::new().fallback(|body: String| async move { (axum::http::StatusCode::ACCEPTED, body) }),
    )
    .await;
    let made = server
        .ask(
            "POST",
            "/v1/webhooks",
            Some(json!({"name": "here", "url": receiver})),
        )
        .await;
    let path = format!("/v1/webhooks/{}/test", made.body["id"].as_str().unwrap());
    let tested = server.ask("POST", &path, None).await;
    assert_eq!(
        (tested.status, &tested.body["delivered"], &tested.body["status"]),
        (200, &json!(true), &json!(202))
    );
    let made = server
        .ask(
            "POST",
            "/v1/webhooks",
            Some(json!({"name": "nobody", "url": "http://127.0.0.1:1/"})),
        )
        .await;
    let path = format!("/v1/webhooks/{}/test", made.body["id"].as_str().unwrap());
    let tested = server.ask("POST", &path, None).await;
    assert_eq!(
        (tested.status, &tested.body["delivered"], &tested.body["status"]),
        (200, &json!(false), &json!(null))
    );
    assert!(
        tested.body["error"].as_str().unwrap().contains("refused"),
        "{}",
        tested.body
    );
}
