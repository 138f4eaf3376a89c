//! What is done is in the audit, and nobody changes it unseen.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Guarded, id_of, run_in};
use crate::server::eventually;

fn verify(guarded: &Guarded, head: Option<&str>) -> (bool, String) {
    let mut arguments = vec!["audit", "verify"];
    arguments.extend(head.into_iter().flat_map(|head| ["--head", head]));
    let output = run_in(&guarded.server, &arguments);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn every_deed_has_a_row_of_who_did_it_from_where() {
    let guarded = Guarded::start();
    let admin = Some(guarded.admin.as_str());
    let operator = guarded.key(json!({"role": "operator", "name": "duty"})).await;
    let rule = json!({"name": "river", "kind": "threshold", "layer": "water_level", "per": "sensor", "above": 3.5,
        "clear_below": 3.2, "severity": "major", "webhooks": []});
    let made = guarded
        .ask(Method::POST, "/v1/rules", Some(&operator), Some(rule))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/rules/{id}");
    assert_eq!(
        guarded
            .ask(Method::DELETE, &path, Some(&operator), None)
            .await
            .status,
        204
    );
    let hook = json!({"name": "ops", "url": "http://127.0.0.1:1/secret-path"});
    let hook = guarded
        .ask(Method::POST, "/v1/webhooks", admin, Some(hook))
        .await
        .body;
    let path = format!("/v1/webhooks/{}", hook["id"].as_str().unwrap());
    assert_eq!(
        guarded
            .ask(Method::POST, &format!("{path}/test"), admin, None)
            .await
            .status,
        200
    );
    let answer = guarded
        .ask(Method::POST, "/v1/dead-letters/replay", admin, Some(json!({})))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    // What fails after its row has one more.
    let replayed = guarded
        .ask(
            Method::POST,
            &format!("{path}/deliveries/none/replay"),
            admin,
            None,
        )
        .await;
    assert_eq!(replayed.status, 409, "{}", replayed.body);
    assert_eq!(guarded.audited("webhooks.replay.failed").await.len(), 1);
    let deleted = guarded.ask(Method::DELETE, &path, admin, None).await;
    assert_eq!(deleted.status, 204);
    for (action, who, object) in [
        ("rule.create", &operator, id.as_str()),
        ("rule.delete", &operator, id.as_str()),
        ("webhooks.create", &guarded.admin, hook["id"].as_str().unwrap()),
        ("webhooks.test", &guarded.admin, hook["id"].as_str().unwrap()),
        ("webhooks.delete", &guarded.admin, hook["id"].as_str().unwrap()),
        ("dead_letters.replay", &guarded.admin, ""),
    ] {
        let rows = guarded.audited(action).await;
        assert_eq!(rows.len(), 1, "{action}");
        assert_eq!(
            (
                &rows[0]["who"],
                &rows[0]["object"],
                &rows[0]["via"],
                &rows[0]["address"]
            ),
            (
                &json!(format!("key:{}", id_of(who))),
                &json!(object),
                &json!("http"),
                &json!("127.0.0.1")
            ),
            "{action}"
        );
    }
    let first = guarded.audited("keys.create").await;
    assert_eq!(
        (&first[1]["who"], &first[1]["via"], &first[1]["role"]),
        (&json!("cli"), &json!("cli"), &json!("admin"))
    );
    // Once an hour an identity, however often it asks.
    let signed_in = eventually("sign-ins are told", async || {
        let rows = guarded.audited("access.sign_in").await;
        (rows.len() == 2).then_some(rows)
    })
    .await;
    assert_eq!(signed_in.len(), 2);
    let page = guarded.get("/v1/audit?limit=1000", admin).await.body.to_string();
    for secret in [&guarded.admin[17..], &operator[17..], "secret-path", "whsec_"] {
        assert!(!page.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_change_by_hand_is_found_and_a_whole_new_chain_too() {
    let mut guarded = Guarded::start();
    for name in ["a", "b", "c"] {
        guarded.key(json!({"role": "analyst", "name": name})).await;
    }
    let page = guarded.get("/v1/audit?limit=2", Some(&guarded.admin)).await.body;
    let row = &page["audit"][0];
    let head = format!("{}:{}", row["seq"], row["hash"].as_str().unwrap());
    let verified = std::process::Command::new(crate::crash_rig::binary())
        .args(["audit", "verify", "--url", &guarded.server.url, "--head", &head])
        .env("RISKGRID_KEY", &guarded.admin)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(
        verified.status.success() && said.contains("hang together"),
        "{verified:?}"
    );
    guarded.server.stop().await;
    let (is_whole, said) = verify(&guarded, Some(&head));
    assert!(is_whole, "{said}");
    let change = |sql: &str| {
        // By another program, as whoever has the file would.
        let script = format!(
            "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.execute({sql:?})\nc.commit()\nc.close()"
        );
        let done = std::process::Command::new("python3")
            .args(["-c", &script])
            .arg(guarded.server.data().join("decisions.sqlite"))
            .status()
            .unwrap();
        assert!(done.success());
    };
    change("UPDATE audit SET who = 'key:somebody' WHERE seq = 3");
    let (is_whole, said) = verify(&guarded, None);
    assert!(!is_whole && said.contains("row 3 "), "{said}");
    change("DELETE FROM audit WHERE seq > 2");
    let (is_whole, said) = verify(&guarded, None);
    assert!(is_whole, "{said}");
    let (is_whole, said) = verify(&guarded, Some(&head));
    assert!(!is_whole && said.contains("--head"), "{said}");
}

#[tokio::test]
async fn a_start_says_under_which_configuration() {
    let mut guarded = Guarded::start();
    let first = guarded.audited("server.start").await[0]["detail"]["configuration"].clone();
    guarded.server.stop().await;
    guarded.server.configure("[grid]\nmax_layers = 77");
    guarded.server.restart();
    let rows = guarded.audited("server.start").await;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["detail"]["configuration"], first);
    assert_ne!(rows[0]["detail"]["configuration"], first);
    let begun = guarded.audited("audit.start").await;
    assert_eq!(
        (&begun[0]["seq"], &begun[0]["prev"]),
        (&json!(1), &Value::from("0".repeat(64)))
    );
}
