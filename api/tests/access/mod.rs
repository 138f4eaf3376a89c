//! Who is let in, to what, and what is kept of it: against the built program, with keys as their users have them.

mod audit;
mod console;
mod endings;
mod files;
mod hygiene;
mod ingest;
mod keys;
mod limits;
mod oidc;
mod one_permission;
mod one_permission_risk;
mod one_permission_stream;
mod open_layers;
mod publication;
mod rights;
mod roles;
mod sessions;
mod shared_cache;
mod solver;
mod tile_reader;
mod tls;
mod wrong_credentials;

use std::process::{Command, Output};

use reqwest::Method;
use serde_json::{Value, json};

use crate::crash_rig;
use crate::server::{Answer, Server};

/// A server whose first key was made before it was started.
struct Guarded {
    server: Server,
    /// A key of an admin.
    admin: String,
}

impl Guarded {
    /// Sends events as its administrator.
    async fn feed(&self, events: &[Value]) {
        rights::feed(&self.server, Some(&self.admin), events).await;
    }

    fn start() -> Self {
        Self::start_with("")
    }

    /// `configuration` follows the section `storage`.
    fn start_with(configuration: &str) -> Self {
        let mut server = Server::not_started();
        server.configure(configuration);
        let admin = made_in(&server, &["--name", "first", "--role", "admin"]);
        server.restart();
        Self { server, admin }
    }

    /// Makes a key over HTTP, as an admin.
    async fn key(&self, members: Value) -> String {
        let made = self.create(members).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.body["key"].as_str().unwrap().to_owned()
    }

    async fn create(&self, mut members: Value) -> Answer {
        if members.get("name").is_none() && members.get("replaces").is_none() {
            members["name"] = json!("a test");
        }
        self.ask(Method::POST, "/v1/keys", Some(&self.admin), Some(members))
            .await
    }

    /// Asks with a key or without one.
    async fn ask(&self, method: Method, path: &str, key: Option<&str>, body: Option<Value>) -> Answer {
        Answer::of(self.send(method, path, key, body).await).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> reqwest::Response {
        let mut request = self
            .server
            .client
            .request(method, format!("{}{path}", self.server.url));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str, key: Option<&str>) -> Answer {
        self.ask(Method::GET, path, key, None).await
    }

    /// Rows of a query, as an admin.
    async fn rows(&self, sql: &str) -> Value {
        let answer = self
            .ask(
                Method::POST,
                "/v1/sql",
                Some(&self.admin),
                Some(json!({ "sql": sql })),
            )
            .await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.body);
        answer.body["rows"].clone()
    }

    /// The newest rows of the audit of one action.
    async fn audited(&self, action: &str) -> Vec<Value> {
        let page = self.get("/v1/audit?limit=1000", Some(&self.admin)).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let rows = page.body["audit"].as_array().unwrap();
        rows.iter()
            .filter(|row| row["action"] == action)
            .cloned()
            .collect()
    }
}

/// The id of a key.
fn id_of(key: &str) -> &str {
    &key[4..16]
}

/// Runs `riskgrid` in the folder of a server that does not run.
fn run_in(server: &Server, arguments: &[&str]) -> Output {
    Command::new(crash_rig::binary())
        .args(arguments)
        .arg("--data-dir")
        .arg(server.data())
        .output()
        .unwrap()
}

/// Makes a key in the folder of a server that does not run; prints nothing but the key.
fn made_in(server: &Server, arguments: &[&str]) -> String {
    let output = run_in(server, &[&["keys", "create"], arguments].concat());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let printed = String::from_utf8(output.stdout).unwrap();
    let key = printed.strip_suffix('\n').unwrap().to_owned();
    assert!(key.len() == 66 && key.starts_with("rgk_"), "{key}");
    key
}
