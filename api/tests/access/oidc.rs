//! Tokens and sign-ins of a real issuer (the Python package oidc-provider-mock, on this machine).

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use serde_json::{Value, json};

use crate::server::{Answer, Server, eventually, program, skip};

/// The issuer, until it is dropped.
struct Issuer {
    process: Child,
    url: String,
}

impl Issuer {
    /// None, which is said, where there is no Python or not the package.
    async fn start() -> Option<Self> {
        let python = program("RISKGRID_PYTHON")?;
        let has = Command::new(&python)
            .args(["-c", "import oidc_provider_mock"])
            .output()
            .unwrap();
        if !has.status.success() {
            skip("oidc-provider-mock is not installed; see fixtures/python/requirements.txt");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let user = |name: &str, roles: Value| json!({"sub": name, "roles": roles, "name": name}).to_string();
        let process = Command::new(python)
            .args(["-m", "oidc_provider_mock", "-p", &port.to_string()])
            .args(["--user-claims", &user("ann", json!(["staff", "duty"]))])
            .args(["--user-claims", &user("bob", json!("staff"))])
            .args(["--user-claims", &user("eve", json!(["visitor"]))])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let issuer = Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
        };
        let client = browser();
        let place = format!("{}/.well-known/openid-configuration", issuer.url);
        eventually("the issuer answers", async || {
            client
                .get(&place)
                .send()
                .await
                .ok()
                .filter(|answer| answer.status() == 200)
                .map(drop)
        })
        .await;
        Some(issuer)
    }

    fn configuration(&self, server: &Server) -> String {
        let secret = server.path("client.secret");
        std::fs::write(&secret, "a secret\n").unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        format!(
            "[access.oidc]\nissuer = \"{}\"\naudience = [\"api\"]\nclient_id = \"console\"\nclient_secret_file = \"{}\"\n\
             [[access.oidc.map]]\nvalue = \"duty\"\nrole = \"operator\"\n[[access.oidc.map]]\nvalue = \"staff\"\nrole = \"analyst\"",
            self.url,
            secret.display()
        )
    }

    /// What somebody agrees to at the issuer: where its answer sends the browser.
    async fn agree(&self, authorization: &str, who: &str) -> Url {
        let form = format!("sub={who}");
        let request = browser()
            .post(authorization)
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form).send().await.unwrap();
        Url::parse(answer.headers()[LOCATION].to_str().unwrap()).unwrap()
    }

    /// An ID token for a client: a real token, signed by the issuer.
    async fn token(&self, who: &str, client_id: &str) -> String {
        let back = "http://127.0.0.1:1/back";
        let authorization = format!(
            "{}/oauth2/authorize?response_type=code&client_id={client_id}&scope=openid&redirect_uri={back}&nonce=n-{who}-{client_id}",
            self.url
        );
        let back_at = self.agree(&authorization, who).await;
        let code = back_at
            .query_pairs()
            .find(|(name, _)| name == "code")
            .unwrap()
            .1
            .into_owned();
        let form = format!(
            "grant_type=authorization_code&code={code}&client_id={client_id}&client_secret=x&redirect_uri={back}"
        );
        let request = browser()
            .post(format!("{}/oauth2/token", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer = Answer::of(request.send().await.unwrap()).await;
        answer.body["id_token"]
            .as_str()
            .unwrap_or_else(|| panic!("{}", answer.body))
            .to_owned()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn browser() -> Client {
    // Sets the provider of TLS.
    drop(crate::server::client());
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .unwrap()
}

async fn whoami(server: &Server, token: &str) -> Answer {
    let request = server
        .client
        .get(format!("{}/v1/whoami", server.url))
        .bearer_auth(token);
    Answer::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_token_of_the_issuer_lets_in_with_what_its_first_role_gives() {
    let Some(mut issuer) = Issuer::start().await else {
        return;
    };
    let mut server = Server::not_started();
    server.configure(&issuer.configuration(&server));
    server.restart();
    assert_eq!(server.get("/v1/whoami").await.status, 401);
    let (ann, bob) = (issuer.token("ann", "api").await, issuer.token("bob", "api").await);
    let seen = whoami(&server, &ann).await;
    assert_eq!(
        (seen.status, &seen.body["who"], &seen.body["role"]),
        (
            200,
            &json!(format!("oidc:{}#ann", issuer.url)),
            &json!("operator")
        ),
        "{}",
        seen.body
    );
    assert_eq!(whoami(&server, &bob).await.body["role"], "analyst");
    let eve = whoami(&server, &issuer.token("eve", "api").await).await;
    assert_eq!(
        (eve.status, &eve.body["type"]),
        (403, &json!("urn:riskgrid:problem:no-role"))
    );
    // An ID token of our own client is for signing in, and for nothing else.
    assert_eq!(
        whoami(&server, &issuer.token("ann", "console").await)
            .await
            .status,
        401
    );
    let [_, claims, signature]: [&str; 3] = ann.split('.').collect::<Vec<_>>().try_into().unwrap();
    let header = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let mut changed: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    changed["sub"] = json!("root");
    for forged in [
        format!("{}.{claims}.", header(json!({"alg": "none"}))),
        format!("{}.{claims}.{signature}", header(json!({"alg": "HS256"}))),
        format!(
            "{}.{}.{signature}",
            ann.split('.').next().unwrap(),
            header(changed)
        ),
        format!("{ann}A"),
    ] {
        assert_eq!(whoami(&server, &forged).await.status, 401, "{forged}");
    }
    // The issuer goes away: its keys are known.
    issuer.process.kill().unwrap();
    issuer.process.wait().unwrap();
    assert_eq!(whoami(&server, &ann).await.status, 200);
    // Where they are not, nobody can say whether a token is good.
    server.stop().await;
    server.restart();
    let unknown = whoami(&server, &ann).await;
    assert_eq!(
        (unknown.status, &unknown.body["type"]),
        (503, &json!("urn:riskgrid:problem:identity-provider"))
    );
    assert!(unknown.retry_after.is_some());
    assert_eq!(server.get("/healthz").await.status, 200);
}

fn cookie(answer: &Response, name: &str) -> String {
    let all = answer.headers().get_all(SET_COOKIE).iter();
    let mut texts = all.map(|cookie| cookie.to_str().unwrap());
    let cookie = texts
        .find(|cookie| cookie.starts_with(&format!("{name}=")))
        .unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_browser_signs_in_at_the_issuer_and_no_other_in_its_place() {
    let Some(issuer) = Issuer::start().await else {
        return;
    };
    let mut server = Server::not_started();
    server.configure(&issuer.configuration(&server));
    server.restart();
    let browser = browser();
    let refused = server.get("/v1/whoami").await;
    assert_eq!(refused.body["sign_in"], json!(["key", "issuer"]));
    for path in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "evil",
    ] {
        let url = Url::parse_with_params(&format!("{}/auth/login", server.url), [("return", path)]).unwrap();
        assert_eq!(browser.get(url).send().await.unwrap().status(), 400, "{path}");
    }
    let begin = async || {
        let sent = browser
            .get(format!("{}/auth/login?return=/v1/layers", server.url))
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), 303);
        let to = sent.headers()[LOCATION].to_str().unwrap().to_owned();
        assert!(
            to.contains("code_challenge_method=S256") && to.contains("nonce="),
            "{to}"
        );
        (to, cookie(&sent, "riskgrid-login"))
    };
    let come_back = async |url: Url, cookie: &str| {
        // As a browser says it that another site sends here.
        let request = browser
            .get(url)
            .header("sec-fetch-site", "cross-site")
            .header("sec-fetch-mode", "navigate");
        request.header("cookie", cookie).send().await.unwrap()
    };
    let (to, mine) = begin().await;
    let back = issuer.agree(&to, "ann").await;
    // Somebody else's browser is lured to come back in the place of mine.
    assert_eq!(
        come_back(back.clone(), "riskgrid-login=other").await.status(),
        400
    );
    let (to, mine_again) = begin().await;
    assert_ne!(mine, mine_again);
    let back = issuer.agree(&to, "ann").await;
    let signed_in = come_back(back.clone(), &mine_again).await;
    assert_eq!(signed_in.status(), 303, "{:?}", signed_in.text().await);
    assert_eq!(signed_in.headers()[LOCATION], "/v1/layers");
    let session = cookie(&signed_in, "riskgrid-session");
    let seen = browser
        .get(format!("{}/v1/whoami", server.url))
        .header("cookie", &session);
    let seen = Answer::of(seen.send().await.unwrap()).await;
    assert_eq!(
        (&seen.body["role"], seen.status),
        (&json!("operator"), 200),
        "{}",
        seen.body
    );
    // A code is good once.
    assert_eq!(come_back(back, &mine_again).await.status(), 400);
    let (to, mine) = begin().await;
    let eve = come_back(issuer.agree(&to, "eve").await, &mine).await;
    assert_eq!(eve.status(), 403);
}

#[tokio::test]
async fn settings_of_an_issuer_that_cannot_be_are_told_at_the_start() {
    let mut server = Server::not_started();
    let oidc = |lines: &str| format!("[access.oidc]\n{lines}");
    let map = "[[access.oidc.map]]\nvalue = \"a\"\nrole = \"analyst\"";
    for (configuration, word) in [
        (oidc("issuer = \"https://issuer.example\""), "audience"),
        (
            oidc(&format!(
                "issuer = \"http://issuer.example\"\naudience = [\"api\"]\n{map}"
            )),
            "https",
        ),
        (
            oidc(&format!(
                "issuer = \"https://i.example\"\naudience = [\"c\"]\nclient_id = \"c\"\n{map}"
            )),
            "client_id",
        ),
        (
            oidc(&format!(
                "issuer = \"https://i.example\"\naudience = [\"api\"]\nroles_claim = \"roles\"\n{map}"
            )),
            "roles_claim",
        ),
        (
            oidc(
                "issuer = \"https://i.example\"\naudience = [\"api\"]\n[[access.oidc.map]]\nvalue = \"a\"\nrole = \"root\"",
            ),
            "`role`",
        ),
        (
            oidc(&format!(
                "issuer = \"https://i.example\"\naudience = [\"api\"]\n{map}\nareas = [\"atlantis\"]"
            )),
            "atlantis",
        ),
    ] {
        server.configure(&configuration);
        let said = server.is_refused(crate::server::WRONG_CONFIGURATION);
        assert!(said.contains(word), "{configuration}: {said}");
    }
}
