//! Keys are made, let in, are replaced, end.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Guarded, id_of, made_in, run_in};
use crate::server::{Answer, Server, eventually};

#[tokio::test]
async fn without_a_key_nobody_is_let_in_once_there_is_one() {
    let guarded = Guarded::start();
    let refused = guarded.send(Method::GET, "/v1/layers", None, None).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
    let problem = Answer::of(refused).await;
    assert_eq!(problem.media_type, "application/problem+json");
    assert_eq!(problem.body["type"], "urn:riskgrid:problem:unauthenticated");
    let seen = guarded.get("/v1/whoami", Some(&guarded.admin)).await;
    assert_eq!(seen.status, 200);
    assert_eq!(
        (&seen.body["who"], &seen.body["role"], &seen.body["layers"]),
        (
            &json!(format!("key:{}", id_of(&guarded.admin))),
            &json!("admin"),
            &json!(["*"])
        )
    );
    assert_eq!(guarded.get("/v1/layers", Some(&guarded.admin)).await.status, 200);
}

#[tokio::test]
async fn in_open_mode_everybody_is_an_admin_until_the_first_key_is_made() {
    let mut server = Server::start();
    let seen = server.get("/v1/whoami").await.body;
    assert_eq!(
        (&seen["who"], &seen["role"]),
        (&json!("anonymous"), &json!("admin"))
    );
    let refused = server
        .post_json("/v1/keys", &json!({"name": "a", "role": "analyst"}))
        .await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    let made = server
        .post_json(
            "/v1/keys",
            &json!({"name": "me", "role": "admin", "expires": "never"}),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(server.get("/v1/whoami").await.status, 401);
    let key = made.body["key"].as_str().unwrap();
    let get = async |server: &Server| {
        let request = server.client.get(format!("{}/v1/whoami", server.url));
        Answer::of(request.bearer_auth(key).send().await.unwrap()).await
    };
    assert_eq!(get(&server).await.status, 200);
    server.kill();
    server.restart();
    assert_eq!(get(&server).await.status, 200);
    // Revoked keys leave it guarded; from the folder even the last may go.
    server.stop().await;
    assert!(run_in(&server, &["keys", "revoke", id_of(key)]).status.success());
    server.restart();
    assert_eq!(get(&server).await.status, 401);
    assert_eq!(server.get("/v1/layers").await.status, 401);
}

#[tokio::test]
async fn a_key_comes_as_bearer_or_as_the_password_of_any_user() {
    let guarded = Guarded::start();
    let pair = STANDARD.encode(format!("qgis:{}", guarded.admin));
    for value in [
        format!("Bearer {}", guarded.admin),
        format!("bearer {}", guarded.admin),
        format!("Basic {pair}"),
        format!("Basic {}", pair.trim_end_matches('=')),
    ] {
        let request = guarded
            .server
            .client
            .get(format!("{}/v1/layers", guarded.server.url));
        let answer = request.header("authorization", &value).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{value}");
    }
}

#[tokio::test]
async fn a_key_is_listed_without_its_secret_and_its_use_is_noted() {
    let guarded = Guarded::start();
    let members = json!({"name": "north", "role": "operator", "ingest": true, "layers": ["*"], "sources": ["//sensors/"],
        "protocols": ["http"], "addresses": ["127.0.0.0/8"], "expires": "30d", "events_per_second": 100});
    let key = guarded.key(members).await;
    assert_eq!(guarded.get("/v1/whoami", Some(&key)).await.status, 200);
    let list = guarded.get("/v1/keys", Some(&guarded.admin)).await.body;
    let shown = &list["keys"][0];
    assert_eq!(shown["id"], id_of(&key));
    for (member, value) in [
        ("name", json!("north")),
        ("role", json!("operator")),
        ("ingest", json!(true)),
        ("layers", json!(["*"])),
        ("areas", json!(["*"])),
        ("sources", json!(["//sensors/"])),
        ("protocols", json!(["http"])),
        ("addresses", json!(["127.0.0.0/8"])),
        ("events_per_second", json!(100)),
        ("created_by", json!(format!("key:{}", id_of(&guarded.admin)))),
        ("revoked", Value::Null),
    ] {
        assert_eq!(shown[member], value, "{member}: {shown}");
    }
    assert!(
        shown["expires"].is_string() && shown["last_used"].is_string(),
        "{shown}"
    );
    assert!(!list.to_string().contains(&key[17..]), "{list}");
    let page = guarded.get("/v1/keys?limit=1", Some(&guarded.admin)).await.body;
    let rest = format!("/v1/keys?limit=1&after={}", page["next"].as_str().unwrap());
    let rest = guarded.get(&rest, Some(&guarded.admin)).await.body;
    assert_eq!(
        (&rest["keys"][0]["name"], &rest["next"]),
        (&json!("first"), &Value::Null)
    );
}

#[tokio::test]
async fn a_key_that_cannot_be_is_told_by_its_member() {
    let guarded = Guarded::start();
    for (members, word) in [
        (json!({}), "`role`"),
        (json!({"role": "root"}), "`role`"),
        (json!({"role": "analyst", "areas": ["atlantis"]}), "atlantis"),
        (
            json!({"role": "analyst", "layers": ["nothing_known"]}),
            "nothing_known",
        ),
        (json!({"role": "analyst", "expires": "1 year"}), "`expires`"),
        (json!({"role": "analyst", "sources": ["//a"]}), "`sources`"),
        (json!({"replaces": "abcdefghijkl"}), "`replaces`"),
        (json!({"role": "analyst", "colour": "red"}), "colour"),
    ] {
        let refused = guarded.create(members.clone()).await;
        assert_eq!(refused.status, 422, "{members}: {}", refused.body);
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{members}: {detail}");
    }
}

#[tokio::test]
async fn a_key_is_replaced_by_one_of_the_same_rights_and_ends_after_the_overlap() {
    let guarded = Guarded::start();
    let old = guarded.key(json!({"role": "analyst", "name": "map"})).await;
    let new = guarded
        .key(json!({"replaces": id_of(&old), "overlap": "1s"}))
        .await;
    let seen = guarded.get("/v1/whoami", Some(&new)).await.body;
    assert_eq!(seen["role"], "analyst");
    eventually("the old key has ended", async || {
        (guarded.get("/v1/whoami", Some(&old)).await.status == 401).then_some(())
    })
    .await;
    let list = guarded.get("/v1/keys", Some(&guarded.admin)).await.body;
    assert_eq!(
        (&list["keys"][0]["name"], &list["keys"][0]["replaces"]),
        (&json!("map"), &json!(id_of(&old)))
    );
}

#[tokio::test]
async fn a_key_ends_by_itself_and_the_last_of_an_admin_by_nobody_over_http() {
    let guarded = Guarded::start();
    let short = guarded.key(json!({"role": "analyst", "expires": "1s"})).await;
    eventually("it has expired", async || {
        (guarded.get("/v1/whoami", Some(&short)).await.status == 401).then_some(())
    })
    .await;
    let revoke = async |id: &str| {
        let path = format!("/v1/keys/{id}");
        guarded
            .ask(Method::DELETE, &path, Some(&guarded.admin), None)
            .await
    };
    let refused = revoke(id_of(&guarded.admin)).await;
    assert_eq!(
        (refused.status, &refused.body["type"]),
        (409, &json!("urn:riskgrid:problem:last-admin"))
    );
    let second = guarded.key(json!({"role": "admin"})).await;
    assert_eq!(revoke(id_of(&second)).await.status, 204);
    assert_eq!(revoke(id_of(&second)).await.status, 404);
    assert_eq!(revoke("none").await.status, 404);
    assert_eq!(guarded.get("/v1/whoami", Some(&second)).await.status, 401);
}

#[tokio::test]
async fn a_key_is_for_its_addresses_and_protocols() {
    let guarded = Guarded::start();
    for members in [
        json!({"role": "analyst", "addresses": ["192.0.2.0/24"]}),
        json!({"role": "analyst", "protocols": ["flight", "postgres"]}),
    ] {
        let key = guarded.key(members.clone()).await;
        let refused = guarded.get("/v1/whoami", Some(&key)).await;
        assert_eq!(
            (refused.status, &refused.body["type"]),
            (403, &json!("urn:riskgrid:problem:forbidden")),
            "{members}"
        );
    }
}

#[tokio::test]
async fn the_verbs_of_the_program_send_a_key() {
    let guarded = Guarded::start();
    let run = |arguments: &[&str], key: Option<&str>| {
        let mut command = std::process::Command::new(crate::crash_rig::binary());
        command
            .args(arguments)
            .args(["--url", &guarded.server.url])
            .env_remove("RISKGRID_KEY");
        if let Some(key) = key {
            command.env("RISKGRID_KEY", key);
        }
        command.output().unwrap()
    };
    let sql = ["sql", "SELECT 1 AS one"];
    let refused = run(&sql, None);
    assert!(!refused.status.success());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("key"),
        "{refused:?}"
    );
    let answered = run(&sql, Some(&guarded.admin));
    assert_eq!(
        String::from_utf8_lossy(&answered.stdout),
        "one\n1\n",
        "{answered:?}"
    );
    let made = run(
        &["keys", "create", "--name", "map", "--role", "analyst"],
        Some(&guarded.admin),
    );
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    assert_eq!(
        guarded.get("/v1/whoami", Some(&key)).await.body["role"],
        "analyst"
    );
    // From a file, which is its owner's alone.
    let file = guarded.server.path("key");
    std::fs::write(&file, &guarded.admin).unwrap();
    let file = file.to_str().unwrap();
    let mode = |mode: &str| {
        std::process::Command::new("chmod")
            .args([mode, file])
            .status()
            .unwrap()
    };
    assert!(mode("644").success());
    let listed = ["keys", "list", "--key-file", file];
    let refused = run(&listed, None);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("chmod 600"), "{said}");
    assert!(mode("600").success());
    let list = String::from_utf8(run(&listed, None).stdout).unwrap();
    assert!(list.contains(id_of(&key)) && !list.contains(&key[17..]), "{list}");
    let revoked = run(&["keys", "revoke", id_of(&key), "--key-file", file], None);
    assert!(revoked.status.success(), "{revoked:?}");
    assert_eq!(guarded.get("/v1/whoami", Some(&key)).await.status, 401);
    // A server that runs has its folder to itself.
    let locked = run_in(&guarded.server, &["keys", "list"]);
    assert!(
        String::from_utf8_lossy(&locked.stderr).contains("--url"),
        "{locked:?}"
    );
}

#[tokio::test]
async fn the_first_key_may_come_from_a_file_while_there_is_none() {
    let mut server = Server::not_started();
    let file = server.path("first.key");
    server.configure(&format!("[access]\nfirst_key_file = \"{}\"", file.display()));
    let new = std::process::Command::new(crate::crash_rig::binary())
        .args(["keys", "new"])
        .output()
        .unwrap();
    std::fs::write(&file, &new.stdout).unwrap();
    let mode = |mode: &str| {
        std::process::Command::new("chmod")
            .arg(mode)
            .arg(&file)
            .status()
            .unwrap()
    };
    assert!(mode("644").success());
    let said = server.is_refused(crate::server::WRONG_CONFIGURATION);
    assert!(
        said.contains("first_key_file") && said.contains("chmod 600"),
        "{said}"
    );
    assert!(mode("600").success());
    server.restart();
    let key = String::from_utf8(new.stdout).unwrap().trim().to_owned();
    let request = server
        .client
        .get(format!("{}/v1/whoami", server.url))
        .bearer_auth(&key);
    assert_eq!(
        Answer::of(request.send().await.unwrap()).await.body["role"],
        "admin"
    );
    // Afterwards it is not looked at.
    std::fs::remove_file(&file).unwrap();
    server.stop().await;
    server.restart();
    assert_eq!(server.get("/v1/layers").await.status, 401);
}

#[tokio::test]
async fn other_machines_are_not_served_without_a_key_nor_keys_in_clear() {
    let mut server = Server::not_started();
    server.set("RISKGRID_SERVER__OPEN", "false");
    let at = |server: &mut Server, address: &str| {
        server.set("RISKGRID_SERVER__LISTEN", address);
    };
    let start = |server: &Server| {
        let mut command = std::process::Command::new(crate::crash_rig::binary());
        command
            .args(["serve", "--listen", "0.0.0.0:0", "--data-dir"])
            .arg(server.data());
        command
    };
    at(&mut server, "0.0.0.0:0");
    let refused = start(&server).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(
        said.contains("riskgrid keys create --data-dir") && said.contains("server.open"),
        "{said}"
    );
    made_in(&server, &["--name", "first", "--role", "admin"]);
    let refused = start(&server).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("server.plaintext"), "{said}");
    let mut command = start(&server);
    let (mut process, lines) = crate::server::spawn(command.env("RISKGRID_SERVER__PLAINTEXT", "true"));
    let line = lines.recv_timeout(Duration::from_mins(1)).unwrap();
    assert!(line.starts_with("riskgrid serves"), "{line}");
    process.kill().unwrap();
    process.wait().unwrap();
}
