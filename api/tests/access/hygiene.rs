//! Headers: who may keep an answer, what browsers may do with it, at which version a thing is.

use reqwest::Method;
use serde_json::{Value, json};

use super::Guarded;
use crate::server::{Answer, Server};

const ALL: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
];

#[tokio::test]
async fn every_answer_says_what_browsers_may_do_with_it() {
    let guarded = Guarded::start();
    for (path, key) in [
        ("/v1/layers", Some(guarded.admin.as_str())),
        ("/v1/layers", None),
        ("/nothing", None),
        ("/", None),
        ("/healthz", None),
        (
            "/v1/layers?key=rgk_AAAAAAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            None,
        ),
    ] {
        let answer = guarded.send(Method::GET, path, key, None).await;
        for (name, value) in ALL {
            assert_eq!(answer.headers()[name], value, "{path} {name}");
        }
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert!(
            !answer.headers().contains_key("strict-transport-security"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_answer_is_kept_by_those_alone_whose_it_is() {
    let guarded = Guarded::start_with("[access]\nanonymous = \"public\"");
    let admin = Some(guarded.admin.as_str());
    for (path, key, kept) in [
        ("/v1/layers", admin, "private, no-cache"),
        ("/v1/areas", None, "public, max-age=60"),
        ("/v1/rules", None, "no-store"),
        ("/v1/rules/none", admin, "no-store"),
        ("/v1/sql?sql=SELECT+1", admin, "no-store"),
        ("/v1/keys", admin, "no-store"),
        ("/v1/audit", admin, "no-store"),
        ("/v1/whoami", None, "no-store"),
    ] {
        let answer = guarded.send(Method::GET, path, key, None).await;
        assert_eq!(answer.headers()["cache-control"], kept, "{path}");
        if kept != "no-store" {
            // One line, for caches that read no other; those of CORS follow.
            let vary: Vec<&str> = answer
                .headers()
                .get_all("vary")
                .iter()
                .filter_map(|line| line.to_str().ok())
                .collect();
            assert_eq!(vary.len(), 1, "{path}: {vary:?}");
            assert!(
                vary[0].starts_with("Authorization, Cookie, Accept, Accept-Encoding"),
                "{path}: {vary:?}"
            );
        }
    }
}

#[tokio::test]
async fn lists_that_a_client_has_are_not_sent_again() {
    let server = Server::start();
    for path in [
        "/v1/layers",
        "/v1/areas",
        "/v1/rules",
        "/v1/alerts",
        "/v1/console.json",
    ] {
        let url = format!("{}{path}", server.url);
        let answer = server.client.get(&url).send().await.unwrap();
        let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
        for known in [
            etag.clone(),
            etag.trim_start_matches("W/").to_owned(),
            "*".to_owned(),
        ] {
            let again = server
                .client
                .get(&url)
                .header("if-none-match", &known)
                .send()
                .await
                .unwrap();
            assert_eq!(again.status(), 304, "{path} {known}");
            assert_eq!(again.text().await.unwrap(), "");
        }
        // HEAD says what GET would, of a page that is known too.
        let head = server.client.head(&url).send().await.unwrap();
        let said = |answer: &reqwest::Response, name: &str| answer.headers().get(name).cloned();
        assert_eq!(head.status(), 200, "{path}");
        assert_eq!(said(&head, "etag").unwrap(), etag, "{path}");
        assert!(
            said(&head, "content-length").is_some_and(|length| length != "0"),
            "{path}"
        );
        assert_eq!(head.text().await.unwrap(), "");
        let head = server.client.head(&url).header("if-none-match", &etag);
        assert_eq!(head.send().await.unwrap().status(), 304, "{path}");
        let other = server
            .client
            .get(&url)
            .header("if-none-match", "\"other\"")
            .send()
            .await
            .unwrap();
        assert_eq!(other.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn what_is_public_is_read_by_pages_of_any_origin_where_that_is_wanted() {
    let guarded = Guarded::start_with("[access]\nanonymous = \"public\"\n[access.public]\ncors = true");
    let request = guarded
        .server
        .client
        .get(format!("{}/v1/areas", guarded.server.url));
    let answer = request
        .header("origin", "https://news.example")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    assert_eq!(answer.headers()["cross-origin-resource-policy"], "cross-origin");
    let request = guarded
        .server
        .client
        .get(format!("{}/v1/areas", guarded.server.url));
    let request = request
        .header("origin", "https://news.example")
        .bearer_auth(&guarded.admin);
    assert_eq!(request.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn what_has_a_version_is_deleted_at_the_version_that_was_read() {
    let server = Server::start();
    let rule = json!({"name": "river", "kind": "threshold", "layer": "water_level", "per": "sensor", "above": 3.5,
        "clear_below": 3.2, "severity": "major", "webhooks": []});
    let hook = json!({"name": "ops", "url": "http://127.0.0.1:1/"});
    for (path, body) in [("/v1/rules", rule), ("/v1/webhooks", hook)] {
        let made = server
            .client
            .post(format!("{}{path}", server.url))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(
            (made.status().as_u16(), &made.headers()["etag"]),
            (201, &"\"1\"".parse().unwrap())
        );
        let id = made.json::<Value>().await.unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let url = format!("{}{path}/{id}", server.url);
        let shown = server.client.get(&url).send().await.unwrap();
        let etag = shown.headers()["etag"].to_str().unwrap().to_owned();
        let known = server
            .client
            .get(&url)
            .header("if-none-match", &etag)
            .send()
            .await
            .unwrap();
        assert_eq!(known.status(), 304);
        for (tag, status) in [
            ("\"2\"", 412),
            ("W/\"1\"", 412),
            ("\"1\", \"2\"", 400),
            (etag.as_str(), 204),
        ] {
            let deleted = server
                .client
                .delete(&url)
                .header("if-match", tag)
                .send()
                .await
                .unwrap();
            let deleted = Answer::of(deleted).await;
            assert_eq!(deleted.status, status, "{path} {tag}: {}", deleted.body);
            if status == 412 {
                assert_eq!(deleted.body["type"], "urn:riskgrid:problem:precondition-failed");
            }
        }
    }
}

#[tokio::test]
async fn an_allowed_page_may_send_a_key_and_read_what_it_is_answered() {
    let mut server = Server::not_started();
    server.configure("[server]\ncors_origins = [\"https://map.example\"]");
    server.restart();
    let preflight = server
        .client
        .request(Method::OPTIONS, format!("{}/v1/layers", server.url))
        .header("origin", "https://map.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization")
        .send()
        .await
        .unwrap();
    assert_eq!(
        preflight.headers()["access-control-allow-origin"],
        "https://map.example"
    );
    let allowed = preflight.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap();
    assert!(allowed.contains("authorization"), "{allowed}");
    assert!(
        !preflight
            .headers()
            .contains_key("access-control-allow-credentials")
    );
    let answer = server
        .client
        .get(format!("{}/v1/layers", server.url))
        .header("origin", "https://map.example");
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.headers()["cross-origin-resource-policy"], "cross-origin");
    let exposed = answer.headers()["access-control-expose-headers"]
        .to_str()
        .unwrap();
    for name in ["etag", "retry-after", "riskgrid-limit"] {
        assert!(exposed.contains(name), "{exposed}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_on_every_route() {
    let guarded = Guarded::start();
    let admin = Some(guarded.admin.as_str());
    for path in [
        "/nothing",
        "/console/nothing.js",
        "/v1/basemap.geojson",
        "/v1/areas/nowhere",
        "/v1/layers/none",
        "/v1/tiles/none.json",
        "/v1/tiles/none/0/0/0.mvt",
        "/v1/tiles/*/0/0/0.mvt",
        "/v1/alerts/none",
        "/v1/incidents/none",
        "/v1/silences/none",
        "/v1/rules/none",
        "/v1/rules/none/versions",
        "/v1/webhooks/none",
        "/v1/webhooks/none/deliveries",
        "/v1/cases/none",
        "/v1/calendars/none",
        "/auth/login",
    ] {
        let answer = guarded.send(Method::GET, path, admin, None).await;
        assert_eq!(
            answer.headers()["content-type"],
            "application/problem+json",
            "{path}"
        );
        let answer = Answer::of(answer).await;
        assert_eq!(
            (answer.status, &answer.body["type"], &answer.body["status"]),
            (404, &json!("urn:riskgrid:problem:not-found"), &json!(404)),
            "{path}: {}",
            answer.body
        );
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        assert!(!detail.is_empty(), "{path}: {}", answer.body);
    }
}
