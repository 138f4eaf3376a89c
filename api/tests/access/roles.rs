//! Every route against every kind of identity.

use reqwest::Method;
use riskgrid_api::access::{RULES, Verb};
use serde_json::json;

use super::Guarded;

/// Method, path, and who is let in: `.` nobody in particular, `n` who brings no key, `i` a key that only brings events, `p`
/// public, `a` analyst, `s` operator of one layer, `o` operator of all, `x` admin.
const WHO_MAY: &[(&str, &str, &str)] = &[
    ("GET", "/", "nipasox"),
    ("GET", "/console/{*file}", "nipasox"),
    ("GET", "/healthz", "nipasox"),
    ("GET", "/readyz", "nipasox"),
    ("GET", "/v1/whoami", "ipasox"),
    ("GET", "/v1/console.json", "pasox"),
    ("GET", "/v1/basemap.geojson", "pasox"),
    ("GET", "/v1/areas", "pasox"),
    ("GET", "/v1/areas/{area}", "pasox"),
    ("GET", "/v1/layers", "pasox"),
    ("GET", "/v1/layers/{layer}", "pasox"),
    ("GET", "/v1/tiles/{layer}", "pasox"),
    ("GET", "/v1/tiles/{layer}/{z}/{x}/{y}", "pasox"),
    ("GET", "/v1/stream", "pasox"),
    ("GET", "/v1/alerts", "pasox"),
    ("GET", "/v1/alerts/{id}", "pasox"),
    ("POST", "/v1/alerts/{id}/ack", "sox"),
    ("POST", "/v1/alerts/{id}/unack", "sox"),
    ("GET", "/v1/cases", "asox"),
    ("POST", "/v1/cases", "asox"),
    ("GET", "/v1/cases/{id}", "asox"),
    ("GET", "/v1/cases/{id}/moves", "asox"),
    ("POST", "/v1/cases/{id}/moves", "asox"),
    ("GET", "/v1/cases/{id}/clocks", "asox"),
    ("GET", "/v1/cases/{id}/why", "asox"),
    ("GET", "/v1/cases/{id}/duplicates", "asox"),
    ("GET", "/v1/cases/{id}/texts", "asox"),
    ("POST", "/v1/cases/{id}/contact/reveal", "asox"),
    ("POST", "/v1/cases/{id}/hold", "asox"),
    ("GET", "/r/{token}", "nipasox"),
    ("POST", "/r/{token}", "nipasox"),
    ("POST", "/v1/cases/{id}/rating-link", "asox"),
    ("GET", "/v1/duty", "asox"),
    ("PUT", "/v1/duty", "asox"),
    ("POST", "/v1/duty/preview", "asox"),
    ("GET", "/v1/hotline/rules", "asox"),
    ("PUT", "/v1/hotline/rules", "asox"),
    ("GET", "/v1/calendars/{id}", "asox"),
    ("PUT", "/v1/calendars/{id}", "asox"),
    ("GET", "/v1/geocode", "asox"),
    ("GET", "/v1/assessment/{month}", "asox"),
    ("GET", "/v1/public/rates/{month}", "nipasox"),
    ("GET", "/v1/hotspots/{alert}/outcome", "asox"),
    ("GET", "/open311/{file}", "nipasox"),
    ("GET", "/open311/v2/{*path}", "asox"),
    ("POST", "/open311/v2/{*path}", "nipasox"),
    ("GET", "/v1/incidents", "asox"),
    ("GET", "/v1/incidents/{id}", "asox"),
    ("POST", "/v1/incidents/{id}/ack", "sox"),
    ("GET", "/v1/mode", "asox"),
    ("PUT", "/v1/mode", "sox"),
    ("GET", "/v1/silences", "asox"),
    ("POST", "/v1/silences", "sox"),
    ("GET", "/v1/silences/{id}", "asox"),
    ("DELETE", "/v1/silences/{id}", "sox"),
    ("GET", "/v1/sql", "asox"),
    ("POST", "/v1/sql", "asox"),
    ("DELETE", "/v1/sql/{query_id}", "asox"),
    ("GET", "/v1/rules", "asox"),
    ("POST", "/v1/rules", "sox"),
    ("GET", "/v1/rules/{id}", "asox"),
    ("POST", "/v1/rules/backtest", "asox"),
    ("PUT", "/v1/rules/{id}", "sox"),
    ("DELETE", "/v1/rules/{id}", "sox"),
    ("GET", "/v1/rules/{id}/versions", "asox"),
    ("GET", "/v1/webhooks", "ox"),
    ("POST", "/v1/webhooks", "x"),
    ("GET", "/v1/webhooks/{id}", "ox"),
    ("PUT", "/v1/webhooks/{id}", "x"),
    ("DELETE", "/v1/webhooks/{id}", "x"),
    ("POST", "/v1/webhooks/{id}/test", "ox"),
    ("GET", "/v1/webhooks/{id}/deliveries", "ox"),
    ("POST", "/v1/webhooks/{id}/replay", "ox"),
    ("POST", "/v1/webhooks/{id}/deliveries/{delivery}/replay", "ox"),
    ("GET", "/v1/dead-letters", "ox"),
    ("POST", "/v1/dead-letters/replay", "ox"),
    ("GET", "/metrics", "ox"),
    ("GET", "/v1/keys", "x"),
    ("POST", "/v1/keys", "x"),
    ("DELETE", "/v1/keys/{id}", "x"),
    ("GET", "/v1/sessions", "x"),
    ("DELETE", "/v1/sessions/{id}", "x"),
    ("GET", "/v1/audit", "x"),
    ("POST", "/v1/events", "ix"),
    ("POST", "/auth/key", "nipasox"),
    ("POST", "/auth/logout", "nipasox"),
    ("GET", "/auth/login", "nipasox"),
    ("GET", "/auth/callback", "nipasox"),
];

const fn method_of(verb: Verb) -> &'static str {
    match verb {
        Verb::Get | Verb::GetOnly => "GET",
        Verb::Post => "POST",
        Verb::Put => "PUT",
        Verb::Delete => "DELETE",
    }
}

#[test]
fn every_route_is_in_the_table_of_this_test() {
    let mut known: Vec<_> = WHO_MAY.iter().map(|(method, path, _)| (*method, *path)).collect();
    let mut there: Vec<_> = RULES
        .iter()
        .map(|rule| (method_of(rule.method), rule.path))
        .collect();
    known.sort_unstable();
    there.sort_unstable();
    assert_eq!(there, known);
}

#[tokio::test]
async fn every_route_lets_in_those_roles_and_no_others() {
    let guarded = Guarded::start_with("[[layers]]\nid = \"noise\"\nkind = \"report\"");
    let kinds = [
        ('n', None),
        ('i', Some(json!({"ingest": true}))),
        ('p', Some(json!({"role": "public"}))),
        // What is done to cases needs a duty beside the role.
        ('a', Some(json!({"role": "analyst", "duties": ["supervisor"]}))),
        (
            's',
            Some(json!({"role": "operator", "layers": ["noise"], "duties": ["supervisor"]})),
        ),
        ('o', Some(json!({"role": "operator", "duties": ["supervisor"]}))),
        ('x', Some(json!({"role": "admin", "duties": ["supervisor"]}))),
    ];
    for (letter, members) in kinds {
        let key = match members {
            Some(members) => Some(guarded.key(members).await),
            None => None,
        };
        for (method, path, may) in WHO_MAY {
            // Names that are none: whoever is let in is told so by 404, or by what is wrong with the rest.
            let asked = path
                .replace("{*file}", "none.js")
                .replace("{*path}", "services")
                .replace(['{', '}'], "");
            let body = matches!(*method, "POST" | "PUT").then(|| json!({}));
            let answer = guarded
                .send(method.parse::<Method>().unwrap(), &asked, key.as_deref(), body)
                .await;
            let status = answer.status().as_u16();
            if may.contains(letter) {
                // Signing in asks for a key in its own way.
                assert!(
                    ![401, 403, 405].contains(&status),
                    "{letter} {method} {path}: {status}"
                );
            } else {
                // Open311 has no 401.
                let is_open311 = path.starts_with("/open311");
                let refused = if key.is_none() && !is_open311 { 401 } else { 403 };
                assert_eq!(status, refused, "{letter} {method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn raw_dead_letters_are_an_admins() {
    let guarded = Guarded::start();
    let operator = guarded.key(json!({"role": "operator"})).await;
    let raw = "/v1/dead-letters?raw=true";
    assert_eq!(guarded.get(raw, Some(&operator)).await.status, 403);
    assert_eq!(guarded.get(raw, Some(&guarded.admin)).await.status, 200);
    assert_eq!(guarded.audited("dead_letters.raw").await.len(), 1);
}

#[tokio::test]
async fn what_is_not_there_is_not_there_for_anybody() {
    let guarded = Guarded::start();
    for (method, path, status) in [
        (Method::GET, "/v1/nothing", 404),
        (Method::GET, "/v1/layers/", 404),
        (Method::PUT, "/v1/layers", 405),
        (Method::HEAD, "/v1/sql", 405),
        (Method::HEAD, "/v1/stream", 405),
        (Method::TRACE, "/v1/layers", 405),
    ] {
        for key in [None, Some(guarded.admin.as_str())] {
            let answer = guarded.send(method.clone(), path, key, None).await;
            assert_eq!(answer.status(), status, "{method} {path}");
        }
    }
    let answer = guarded.send(Method::HEAD, "/v1/sql", None, None).await;
    assert_eq!(answer.headers()["allow"], "GET,POST");
}

#[tokio::test]
async fn in_guarded_mode_strangers_learn_nothing_from_the_readiness() {
    let guarded = Guarded::start();
    let answer = guarded.send(Method::GET, "/readyz", None, None).await;
    assert_eq!(answer.text().await.unwrap(), "ready\n");
}
