//! TLS of the server itself: spoken to by curl, with certificates made by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::made_in;
use crate::server::{Server, eventually, skip};

/// An authority and what it vouches for, in a folder.
struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// None, which is said, where one of the programs is not there.
    fn new(folder: &Path) -> Option<Self> {
        for program in ["openssl", "curl"] {
            if Command::new(program).arg("version").output().is_err() {
                skip(&format!("{program} is not there"));
                return None;
            }
        }
        let authority = Self {
            folder: folder.to_owned(),
        };
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-subj",
            "/CN=test authority",
        ]);
        Some(authority)
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(&self.folder)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Makes `NAME.pem` and `NAME.key` of this subject alternative name.
    fn vouches_for(&self, name: &str, san: &str, days: &str) {
        let (request, key, pem) = (
            format!("{name}.csr"),
            format!("{name}.key"),
            format!("{name}.pem"),
        );
        self.openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &request,
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            &format!("subjectAltName={san}"),
        ]);
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            days,
            "-copy_extensions",
            "copyall",
            "-out",
            &pem,
        ]);
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// What curl is answered: status, version of HTTP, head, body.
    fn ask(&self, url: &str, arguments: &[&str]) -> (u16, String, String, Value) {
        let output = Command::new("curl")
            .args([
                "-s",
                "-i",
                "--cacert",
                &self.path("ca.pem"),
                "-w",
                "\n%{http_code} %{http_version}",
            ])
            .args(arguments)
            .arg(url)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (answer, last) = text.rsplit_once('\n').unwrap();
        let (status, version) = last.split_once(' ').unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
        let body = serde_json::from_str(body).unwrap_or_default();
        (
            status.parse().unwrap(),
            version.to_owned(),
            head.to_lowercase(),
            body,
        )
    }
}

/// The name in the certificate that a server shows.
fn shown_by(url: &str) -> String {
    let place = url.trim_start_matches("https://");
    let output = Command::new("openssl")
        .args(["s_client", "-connect", place, "-servername", "localhost"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let subject = text
        .lines()
        .find_map(|line| line.strip_prefix("subject="))
        .unwrap_or_default();
    subject.replace(' ', "").trim_start_matches("CN=").to_owned()
}

fn configuration(authority: &Authority, more: &str) -> String {
    format!(
        "[server.tls]\ncert = \"{}\"\nkey = \"{}\"\n{more}",
        authority.path("server.pem"),
        authority.path("server.key")
    )
}

#[tokio::test]
async fn the_server_speaks_tls_and_http_2_and_renews_its_certificate() {
    let mut server = Server::not_started();
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = Authority::new(folder.path()) else {
        return;
    };
    authority.vouches_for("server", "DNS:localhost,IP:127.0.0.1", "1");
    server.configure(&configuration(&authority, ""));
    let key = made_in(&server, &["--name", "first", "--role", "admin"]);
    server.restart();
    let url = server.url.clone();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let bearer = format!("authorization: Bearer {key}");
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let whoami = format!("{url}/v1/whoami");
        let (status, spoken, head, body) = authority.ask(&whoami, &[flag, "-H", &bearer]);
        assert_eq!((status, spoken.as_str()), (200, version), "{head}");
        assert_eq!(body["role"], "admin");
        assert!(
            head.contains("strict-transport-security: max-age=31536000"),
            "{head}"
        );
        let layers = format!("{url}/v1/layers");
        assert_eq!(authority.ask(&layers, &[flag]).0, 401);
        let question = json!({"sql": "SELECT 1 AS one"}).to_string();
        let sql = format!("{url}/v1/sql");
        let asked = authority.ask(&sql, &[flag, "-H", &bearer, "--json", &question]);
        assert_eq!((asked.0, &asked.3["rows"]), (200, &json!([[1]])));
        // Links are as the client came.
        let made = authority.ask(
            &format!("{url}/v1/keys"),
            &[
                flag,
                "-H",
                &bearer,
                "--json",
                r#"{"name": "a", "role": "analyst"}"#,
            ],
        );
        assert!(
            made.2.contains(&format!("location: {url}/v1/keys/")),
            "{}",
            made.2
        );
    }
    let signed_in = authority.ask(
        &format!("{url}/auth/key"),
        &["--json", &json!({"key": key}).to_string()],
    );
    let cookie = signed_in
        .2
        .lines()
        .find(|line| line.starts_with("set-cookie"))
        .unwrap()
        .to_owned();
    assert!(
        cookie.contains("__host-riskgrid=") && cookie.contains("; secure"),
        "{cookie}"
    );
    // What is broken is not taken, what is good is.
    let told = server.process_id().to_string();
    let look = || {
        assert!(
            Command::new("kill")
                .args(["-HUP", &told])
                .status()
                .unwrap()
                .success()
        );
    };
    assert_eq!(shown_by(&url), "server");
    std::fs::write(authority.path("server.pem"), "nothing").unwrap();
    look();
    authority.vouches_for("other", "DNS:localhost,IP:127.0.0.1", "1");
    std::fs::copy(authority.path("other.pem"), authority.path("server.pem")).unwrap();
    // Its key is still that of the one before.
    look();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(shown_by(&url), "server");
    std::fs::copy(authority.path("other.key"), authority.path("server.key")).unwrap();
    eventually("the new certificate is shown", async || {
        look();
        (shown_by(&url) == "other").then_some(())
    })
    .await;
    assert_eq!(authority.ask(&format!("{url}/healthz"), &[]).0, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_told_at_the_start() {
    let mut server = Server::not_started();
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = Authority::new(folder.path()) else {
        return;
    };
    authority.vouches_for("server", "DNS:localhost", "-1");
    authority.vouches_for("good", "DNS:localhost", "1");
    let tls = |cert: &str, key: &str, more: &str| {
        let (cert, key) = (authority.path(cert), authority.path(key));
        format!("[server.tls]\ncert = \"{cert}\"\nkey = \"{key}\"\n{more}")
    };
    for (configuration, word) in [
        (tls("server.pem", "server.key", ""), "expired"),
        (tls("good.pem", "server.key", ""), "do not fit"),
        (tls("none.pem", "good.key", ""), "none.pem"),
        (tls("good.key", "good.key", ""), "no certificate"),
        (
            format!("[server.tls]\ncert = \"{}\"", authority.path("good.pem")),
            "go together",
        ),
        (
            tls("good.pem", "good.key", "client_auth = \"required\""),
            "client_ca",
        ),
        (
            "[[access.certificates]]\nsan = \"dns:a\"\nrole = \"analyst\"".to_owned(),
            "client_auth",
        ),
    ] {
        server.configure(&configuration);
        let said = server.is_refused(crate::server::WRONG_CONFIGURATION);
        assert!(said.contains(word), "{configuration}: {said}");
    }
    let mapped = |entry: &str| {
        let ca = authority.path("ca.pem");
        tls(
            "good.pem",
            "good.key",
            &format!("client_ca = \"{ca}\"\nclient_auth = \"optional\"\n[[access.certificates]]\n{entry}"),
        )
    };
    for (entry, word) in [
        ("san = \"gateway\"\nrole = \"analyst\"", "dns:"),
        ("san = \"dns:a\"", "`role`"),
        (
            "san = \"dns:a\"\nrole = \"analyst\"\nareas = [\"atlantis\"]",
            "atlantis",
        ),
    ] {
        server.configure(&mapped(entry));
        let said = server.is_refused(crate::server::WRONG_CONFIGURATION);
        assert!(said.contains(word), "{entry}: {said}");
    }
}

#[tokio::test]
async fn a_client_is_let_in_by_the_name_in_its_certificate() {
    let mut server = Server::not_started();
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = Authority::new(folder.path()) else {
        return;
    };
    authority.vouches_for("server", "DNS:localhost,IP:127.0.0.1", "1");
    authority.vouches_for("gateway", "DNS:gateway.example,URI:spiffe://city/gateway", "1");
    authority.vouches_for("stranger", "DNS:stranger.example", "1");
    let more = format!(
        "client_ca = \"{}\"\nclient_auth = \"optional\"\n[[access.certificates]]\nsan = \"uri:spiffe://city/gateway\"\n\
         role = \"analyst\"\ningest = true\nsources = [\"//sensors/\"]",
        authority.path("ca.pem")
    );
    server.configure(&configuration(&authority, &more));
    server.restart();
    let whoami = format!("{}/v1/whoami", server.url);
    let with = |name: &str| {
        let (cert, key) = (
            authority.path(&format!("{name}.pem")),
            authority.path(&format!("{name}.key")),
        );
        authority.ask(&whoami, &["--cert", &cert, "--key", &key])
    };
    let seen = with("gateway");
    assert_eq!(
        (seen.0, &seen.3["who"], &seen.3["role"], &seen.3["ingest"]),
        (
            200,
            &json!("cert:uri:spiffe://city/gateway"),
            &json!("analyst"),
            &json!(true)
        )
    );
    let stranger = with("stranger");
    assert_eq!(
        (stranger.0, &stranger.3["type"]),
        (403, &json!("urn:riskgrid:problem:no-role"))
    );
    // A certificate mapping alone makes it guarded.
    assert_eq!(authority.ask(&whoami, &[]).0, 401);
}
