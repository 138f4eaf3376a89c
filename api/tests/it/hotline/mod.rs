//! The hotline against the built program: cases from posts, events and Open311, moved by several at once, and what of people stays
//! where it belongs.

mod addresses;
mod alerts;
mod assessment;
mod cases;
mod console;
mod contacts;
mod deadlines;
mod log;
mod mirrors;
mod moves;
mod open311;
mod rating;
mod times;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::server::{Answer, Server};

/// Layers of the hotline's own, of another system's, and one without cases.
const LAYERS: &str = r#"
[[layers]]
id = "noise"
kind = "report"
cases = "own"
label = "Noise"
names = ["loud", "music"]
[[layers.attributes]]
code = "when"
description = "At what time of the day?"
datatype = "singlevaluelist"
required = true
values = [{ key = "day", name = "By day" }, { key = "night", name = "By night" }]
[[layers.attributes]]
code = "words"
description = "Anything else?"
datatype = "text"

[[layers]]
id = "light"
kind = "report"
cases = "own"
sensitive = true

[[layers]]
id = "pothole"
kind = "report"
cases = "mirror"

[[layers]]
id = "plain"
kind = "report"
"#;

/// A server with cases.
pub(crate) struct Hotline {
    pub(crate) server: Server,
}

impl Hotline {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// `more` follows the layers.
    pub(crate) fn start_with(more: &str) -> Self {
        let mut server = Server::not_started();
        server.configure(&format!("{LAYERS}{more}"));
        server.restart();
        Self { server }
    }

    /// Asks, with headers.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Response {
        let mut request = self
            .server
            .client
            .request(method, format!("{}{path}", self.server.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.unwrap()
    }

    /// Posts with headers.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        Answer::of(self.ask(Method::POST, path, headers, Some(body)).await).await
    }

    /// Puts with headers.
    pub(crate) async fn put(&self, path: &str, version: &str, body: &Value) -> Answer {
        let headers = [("if-match", version)];
        Answer::of(self.ask(Method::PUT, path, &headers, Some(body)).await).await
    }

    /// A new case; its id.
    pub(crate) async fn case(&self, members: &Value) -> String {
        let mut case = json!({"kind": "complaint", "layer": "light", "lon": 113.95, "lat": 22.54});
        for (name, value) in members.as_object().unwrap() {
            case[name] = value.clone();
        }
        let made = self.post("/v1/cases", &[], &case).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.body["id"].as_str().unwrap().to_owned()
    }

    /// The case as it is.
    pub(crate) async fn show(&self, id: &str) -> Value {
        let answer = self.server.get(&format!("/v1/cases/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// Moves a case as it is.
    pub(crate) async fn try_move(&self, id: &str, body: &Value) -> Answer {
        let version = self.show(id).await["version"].to_string();
        let path = format!("/v1/cases/{id}/moves");
        self.post(&path, &[("if-match", &format!("\"{version}\""))], body)
            .await
    }

    /// Moves a case that can be moved so.
    pub(crate) async fn moves(&self, id: &str, body: &Value) -> Value {
        let moved = self.try_move(id, body).await;
        assert_eq!(moved.status, 200, "{body}: {}", moved.body);
        moved.body
    }

    /// Its rows, the oldest first: move and state.
    pub(crate) async fn rows_of(&self, id: &str) -> Vec<(String, String)> {
        let answer = self.server.get(&format!("/v1/cases/{id}/moves")).await;
        let rows = answer.body["moves"].as_array().unwrap().clone();
        let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        rows.iter()
            .map(|row| (text(row, "move"), text(row, "to_state")))
            .collect()
    }
}

/// The kind of a problem.
pub(crate) fn problem(answer: &Answer) -> &str {
    let kind = answer.body["type"].as_str().unwrap_or_default();
    kind.strip_prefix("urn:riskgrid:problem:").unwrap_or(kind)
}

impl Hotline {
    /// Changes what is stored, as if time had passed: the server is stopped meanwhile.
    pub(crate) async fn rewrite(&mut self, statements: &[String]) {
        self.server.stop().await;
        // Whoever changes it says so.
        std::fs::remove_file(self.server.data().join("sealed.json")).unwrap();
        let path = self.server.data().join("decisions.sqlite");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        for statement in statements {
            let changed = sqlx::query(sqlx::AssertSqlSafe(statement.clone()))
                .execute(&mut connection)
                .await
                .unwrap();
            assert!(changed.rows_affected() > 0, "{statement}");
        }
        connection.close().await.unwrap();
        self.server.restart();
    }
}
