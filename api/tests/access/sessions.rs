//! A browser signs in with a key, and nobody else rides on its cookie.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::{Guarded, id_of};
use crate::server::{Answer, eventually};

/// A browser that shows the page of this server.
struct Browser<'a> {
    guarded: &'a Guarded,
    cookie: String,
}

impl<'a> Browser<'a> {
    async fn sign_in(guarded: &'a Guarded, key: &str) -> Self {
        let answer = signing_in(guarded, key).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        Self {
            guarded,
            cookie: cookie_of(&answer),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.guarded.server.url);
        let request = self.guarded.server.client.request(method, url);
        request.header("cookie", &self.cookie)
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).send().await.unwrap()).await
    }
}

fn signing_in(guarded: &Guarded, key: &str) -> RequestBuilder {
    let request = guarded
        .server
        .client
        .post(format!("{}/auth/key", guarded.server.url));
    request
        .header("sec-fetch-site", "same-origin")
        .json(&json!({ "key": key }))
}

/// Checks its attributes too.
fn cookie_of(answer: &Response) -> String {
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(
        cookie.starts_with("riskgrid-session=") && !cookie.contains("Domain"),
        "{cookie}"
    );
    for attribute in ["Path=/", "HttpOnly", "SameSite=Lax"] {
        assert!(cookie.split("; ").any(|part| part == attribute), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_signed_in_browser_has_the_rights_of_its_key_until_it_signs_out() {
    let mut guarded = Guarded::start();
    let key = guarded.key(json!({"role": "operator"})).await;
    let browser = Browser::sign_in(&guarded, &key).await;
    let seen = browser.get("/v1/whoami").await.body;
    assert_eq!(
        (&seen["who"], &seen["role"]),
        (&json!(format!("key:{}", id_of(&key))), &json!("operator"))
    );
    assert_eq!(browser.get("/v1/keys").await.status, 403);
    let list = guarded.get("/v1/sessions", Some(&guarded.admin)).await.body;
    assert_eq!(list["sessions"][0]["who"], format!("key:{}", id_of(&key)));
    let value = browser.cookie.split('=').nth(1).unwrap();
    assert!(!list.to_string().contains(value));
    // It is still signed in when the server was started again.
    let cookie = browser.cookie.clone();
    guarded.server.kill();
    guarded.server.restart();
    let browser = Browser {
        guarded: &guarded,
        cookie,
    };
    assert_eq!(browser.get("/v1/whoami").await.status, 200);
    let out = browser
        .request(Method::POST, "/auth/logout")
        .header("sec-fetch-site", "same-origin");
    let out = out.send().await.unwrap();
    assert_eq!(out.status(), 204);
    assert!(
        out.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert_eq!(browser.get("/v1/whoami").await.status, 401);
    // A wrong cookie does not hide the page on which one signs in.
    assert_eq!(
        browser.request(Method::GET, "/").send().await.unwrap().status(),
        200
    );
}

#[tokio::test]
async fn a_session_ends_with_its_key_or_when_an_admin_says_so() {
    let guarded = Guarded::start();
    let key = guarded.key(json!({"role": "analyst"})).await;
    let (one, other) = (
        Browser::sign_in(&guarded, &key).await,
        Browser::sign_in(&guarded, &key).await,
    );
    let list = guarded.get("/v1/sessions", Some(&guarded.admin)).await.body;
    let path = format!("/v1/sessions/{}", list["sessions"][1]["id"].as_str().unwrap());
    let ended = guarded
        .ask(Method::DELETE, &path, Some(&guarded.admin), None)
        .await;
    assert_eq!(ended.status, 204, "{}", ended.body);
    let statuses = [
        one.get("/v1/layers").await.status,
        other.get("/v1/layers").await.status,
    ];
    assert_eq!(statuses, [401, 200]);
    let mut stream = other.request(Method::GET, "/v1/stream").send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let path = format!("/v1/keys/{}", id_of(&key));
    assert_eq!(
        guarded
            .ask(Method::DELETE, &path, Some(&guarded.admin), None)
            .await
            .status,
        204
    );
    assert_eq!(other.get("/v1/layers").await.status, 401);
    while let Ok(piece) = stream.chunk().await {
        assert!(piece.is_some(), "the stream ends as if it were whole");
    }
}

#[tokio::test]
async fn foreign_pages_do_nothing_with_the_cookie() {
    let guarded = Guarded::start();
    let browser = Browser::sign_in(&guarded, &guarded.admin).await;
    let sql = "/v1/sql?sql=SELECT+1";
    let own = guarded.server.url.as_str();
    for (method, path, headers, status) in [
        (Method::GET, sql, vec![], 403),
        (Method::GET, sql, vec![("sec-fetch-site", "none")], 403),
        (Method::GET, sql, vec![("sec-fetch-site", "same-origin")], 200),
        (Method::GET, sql, vec![("origin", own)], 200),
        (Method::POST, "/v1/keys", vec![], 403),
        (Method::POST, "/v1/keys", vec![("sec-fetch-site", "none")], 403),
        (
            Method::POST,
            "/v1/keys",
            vec![("sec-fetch-site", "same-site")],
            403,
        ),
        (
            Method::POST,
            "/v1/keys",
            vec![("origin", "http://evil.example")],
            403,
        ),
        (
            Method::POST,
            "/v1/keys",
            vec![("sec-fetch-site", "same-origin")],
            422,
        ),
        (Method::DELETE, "/v1/rules/none", vec![], 403),
        (Method::GET, "/v1/layers", vec![], 200),
    ] {
        let mut request = browser.request(method.clone(), path);
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        if method == Method::POST {
            request = request.json(&json!({}));
        }
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(
            answer.status, status,
            "{method} {path} {headers:?}: {}",
            answer.body
        );
        if status == 403 {
            assert_eq!(
                answer.body["type"], "urn:riskgrid:problem:cross-site",
                "{method} {path}"
            );
        }
    }
    // With a key beside it the cookie is not looked at.
    let request = browser.request(Method::GET, sql).bearer_auth(&guarded.admin);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let request = browser
        .request(Method::GET, "/v1/layers")
        .bearer_auth("rgk_wrong");
    assert_eq!(request.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn signing_in_asks_for_a_key_that_reads_from_a_page_of_ours() {
    let guarded = Guarded::start();
    let ingest = guarded.key(json!({"ingest": true})).await;
    assert_eq!(signing_in(&guarded, &ingest).send().await.unwrap().status(), 403);
    let foreign = signing_in(&guarded, &guarded.admin).header("origin", "http://evil.example");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(
            signing_in(&guarded, "rgk_wrong")
                .send()
                .await
                .unwrap()
                .status()
                .as_u16(),
        );
    }
    assert_eq!(
        (&statuses[..10], &statuses[10..]),
        (&[401; 10][..], &[429; 2][..])
    );
    // No good key is barred by that.
    let browser = Browser::sign_in(&guarded, &guarded.admin).await;
    assert_eq!(browser.get("/v1/layers").await.status, 200);
    let rows: Vec<Value> = eventually("the sign-in is told", async || {
        let rows = guarded.audited("access.sign_in").await;
        (!rows.is_empty()).then_some(rows)
    })
    .await;
    assert_eq!(rows[0]["who"], format!("key:{}", id_of(&guarded.admin)));
}
