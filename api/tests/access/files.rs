//! A key stands nowhere but with its owner: in no log at any level, no metric, no answer, no file.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::json;

use super::{id_of, made_in};
use crate::server::{Server, client, terminate};

#[tokio::test]
async fn a_key_is_in_no_log_at_any_level_and_in_no_file() {
    let server = Server::not_started();
    let key = made_in(&server, &["--name", "first", "--role", "admin"]);
    let log = server.path("everything.log");
    let mut command = Command::new(crate::crash_rig::binary());
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(server.data())
        .env("RUST_LOG", "trace")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap());
    let mut process = command.spawn().unwrap();
    let mut line = String::new();
    {
        use std::io::BufRead;
        let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
    }
    let url = line.trim().strip_prefix("riskgrid serves ").unwrap().to_owned();
    let client = client();
    let ask = async |method: Method, path: &str, is_basic: bool, body: Option<serde_json::Value>| {
        let request = client.request(method, format!("{url}{path}"));
        let request = if is_basic {
            request.basic_auth("any", Some(&key))
        } else {
            request.bearer_auth(&key)
        };
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.unwrap()
    };
    assert_eq!(ask(Method::GET, "/v1/layers", false, None).await.status(), 200);
    assert_eq!(ask(Method::GET, "/v1/layers", true, None).await.status(), 200);
    assert_eq!(
        ask(Method::GET, &format!("/v1/layers?key={key}"), false, None)
            .await
            .status(),
        400
    );
    assert_eq!(
        ask(Method::DELETE, &format!("/v1/keys/{key}"), false, None)
            .await
            .status(),
        404
    );
    assert_eq!(
        ask(Method::GET, &format!("/{key}"), false, None).await.status(),
        404
    );
    let made = ask(
        Method::POST,
        "/v1/keys",
        false,
        Some(json!({"name": "b", "role": "analyst"})),
    )
    .await;
    let second = made.json::<serde_json::Value>().await.unwrap()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let signed_in = client
        .post(format!("{url}/auth/key"))
        .json(&json!({"key": second}))
        .send()
        .await
        .unwrap();
    assert_eq!(signed_in.status(), 200);
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    let answer = client
        .get(format!("{url}/v1/layers"))
        .header("cookie", format!("riskgrid-session={cookie}"));
    assert_eq!(answer.send().await.unwrap().status(), 200);
    for path in ["/metrics", "/v1/keys", "/v1/audit", "/v1/sessions"] {
        let page = ask(Method::GET, path, false, None).await.text().await.unwrap();
        assert!(
            !page.contains(&key[17..]) && !page.contains(&second[17..]) && !page.contains(&cookie),
            "{path}"
        );
    }
    // One that is pasted into a question goes no further than there.
    for sql in [
        format!("SELECT '{key}'"),
        format!("SELECT 1 AS \"{key}\""),
        format!("SELEC {key}"),
    ] {
        let refused = ask(Method::POST, "/v1/sql", false, Some(json!({"sql": sql}))).await;
        assert_eq!(refused.status(), 400);
        assert!(!refused.text().await.unwrap().contains(&key[17..]));
    }
    let queries = json!({"sql": "SELECT * FROM queries"});
    let page = ask(Method::POST, "/v1/sql", false, Some(queries))
        .await
        .text()
        .await
        .unwrap();
    assert!(!page.contains(&key[17..]), "{page}");
    terminate(&process);
    assert!(process.wait().unwrap().success());
    let said = std::fs::read(&log).unwrap();
    assert!(said.len() > 1_000, "it logs everything");
    let holds = |bytes: &[u8], secret: &str| {
        bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes())
    };
    for secret in [&key[17..], &second[17..], &cookie] {
        assert!(!holds(&said, secret), "{} in the log", id_of(&key));
        for file in files(&server.data()) {
            let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{}", file.display());
            assert!(
                !holds(&std::fs::read(&file).unwrap(), secret),
                "{}",
                file.display()
            );
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}
