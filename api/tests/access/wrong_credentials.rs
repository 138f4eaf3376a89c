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
async fn a_flood_of_wrong_keys_is_cheap_and_one_row_a_minute_of_the_audit() {
    const TASKS: usize = 16;
    const EACH: usize = 625;
    let guarded = Guarded::start();
    // Of good form, so that each is looked up: one that has ended.
    let wrong = guarded.key(json!({"role": "analyst", "expires": "2s"})).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let tasks = (0..TASKS).map(|_| {
        let (client, url, key) = (
            guarded.server.client.clone(),
            format!("{}/v1/layers", guarded.server.url),
            wrong.clone(),
        );
        tokio::spawn(async move {
            for _ in 0..EACH {
                let answer = client.get(&url).bearer_auth(&key).send().await.unwrap();
                assert!(
                    [401, 429].contains(&answer.status().as_u16()),
                    "{}",
                    answer.status()
                );
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    // Meanwhile a good one is let in.
    while tasks.iter().any(|task| !task.is_finished()) {
        assert_eq!(guarded.get("/v1/layers", Some(&guarded.admin)).await.status, 200);
    }
    for task in tasks {
        task.await.unwrap();
    }
    let rows = eventually("all are in the audit", async || {
        let rows = guarded.audited("access.refused").await;
        let counted: u64 = rows.iter().map(|row| row["count"].as_u64().unwrap()).sum();
        (counted >= 10).then_some(rows)
    })
    .await;
    // A row a minute and kind, however many there were.
    assert!(rows.len() <= 12, "{}", rows.len());
}

#[tokio::test]
async fn a_credential_of_ten_megabytes_is_refused_and_the_next_one_is_served() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let guarded = Guarded::start();
    let address = guarded.server.url.trim_start_matches("http://").to_owned();
    for name in [
        "authorization: Bearer ",
        "cookie: riskgrid-session=",
        "x-forwarded-for: ",
    ] {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let begin = format!("GET /v1/layers HTTP/1.1\r\nhost: {address}\r\n{name}");
        stream.write_all(begin.as_bytes()).await.unwrap();
        let piece = vec![b'a'; 64 << 10];
        for _ in 0..160 {
            // It need not be taken to its end.
            if stream.write_all(&piece).await.is_err() {
                break;
            }
        }
        let _ = stream.write_all(b"\r\n\r\n").await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        // Closed with or without an answer; never let in.
        let _ = tokio::time::timeout(crate::server::DEADLINE, read).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        assert_eq!(guarded.get("/v1/layers", Some(&guarded.admin)).await.status, 200);
    }
    let foreign = guarded
        .server
        .client
        .get(format!("{}/v1/layers", guarded.server.url));
    for cookie in [
        "riskgrid-session=of another site",
        "riskgrid-session=",
        "__Host-riskgrid=x; riskgrid-session=y",
    ] {
        let request = foreign.try_clone().unwrap().header("cookie", cookie);
        assert_eq!(request.send().await.unwrap().status(), 401, "{cookie}");
    }
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
