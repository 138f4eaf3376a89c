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
pub(super) struct Issuer {
    process: Child,
    url: String,
    python: String,
    port: u16,
}

impl Issuer {
    /// None, which is said, where there is no Python or not the package.
    pub(super) async fn start() -> Option<Self> {
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
        let issuer = Self {
            process: Self::spawn(&python, port),
            url: format!("http://127.0.0.1:{port}"),
            python,
            port,
        };
        issuer.answers().await;
        Some(issuer)
    }

    fn spawn(python: &str, port: u16) -> Child {
        let user = |name: &str, roles: Value| {
            json!({"sub": name, "roles": roles, "name": name.to_uppercase()}).to_string()
        };
        Command::new(python)
            .args(["-m", "oidc_provider_mock", "-p", &port.to_string()])
            .args(["--user-claims", &user("ann", json!(["staff", "duty"]))])
            .args(["--user-claims", &user("bob", json!("staff"))])
            .args(["--user-claims", &user("eve", json!(["visitor"]))])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Goes away, and comes back with other keys.
    async fn rotates(&mut self) {
        self.goes_away();
        self.process = Self::spawn(&self.python, self.port);
        self.answers().await;
    }

    fn goes_away(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    async fn answers(&self) {
        let client = browser();
        let place = format!("{}/.well-known/openid-configuration", self.url);
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
    }

    pub(super) fn configuration(&self, server: &Server) -> String {
        let secret = server.path("client.secret");
        std::fs::write(&secret, "a secret\n").unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        format!(
            "[access.oidc]\nissuer = \"{}\"\naudience = [\"api\"]\nclient_id = \"console\"\nclient_secret_file = \"{}\"\nname_claim = \"/name\"\n\
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
            "{}/oauth2/authorize?response_type=code&client_id={client_id}&scope=openid%20profile&redirect_uri={back}&nonce=n-{who}-{client_id}",
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
    assert_eq!(seen.body["name"], "ANN");
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
    issuer.goes_away();
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

#[tokio::test]
async fn keys_that_an_issuer_puts_in_the_place_of_others_are_taken_up_and_those_are_forgotten() {
    let Some(mut issuer) = Issuer::start().await else {
        return;
    };
    let mut server = Server::not_started();
    server.configure(&issuer.configuration(&server));
    server.restart();
    let before = issuer.token("ann", "api").await;
    assert_eq!(whoami(&server, &before).await.status, 200);
    issuer.rotates().await;
    let after = issuer.token("ann", "api").await;
    // It is asked once in half a minute, whoever asks; the one before is good until then.
    eventually("the new key is known", async || {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let seen = whoami(&server, &after).await;
        assert!([200, 401, 429].contains(&seen.status), "{}", seen.body);
        (seen.status == 200).then_some(())
    })
    .await;
    assert!([401, 429].contains(&whoami(&server, &before).await.status));
    assert_eq!(whoami(&server, &after).await.status, 200);
}

/// A token that nobody but this test signed, with a header that would have us take the key from there.
fn signed_by_nobody(header: &Value, claims: &Value) -> String {
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    let random = ring::rand::SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = pair.sign(&random, message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

#[tokio::test]
async fn a_token_is_believed_for_its_signature_by_the_issuers_keys_alone() {
    let Some(issuer) = Issuer::start().await else {
        return;
    };
    let mut server = Server::not_started();
    server.configure(&issuer.configuration(&server));
    server.restart();
    let good = issuer.token("ann", "api").await;
    assert_eq!(whoami(&server, &good).await.status, 200);
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(good.split('.').nth(1).unwrap()).unwrap()).unwrap();
    let set = browser()
        .get(format!("{}/jwks", issuer.url))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let key = serde_json::from_str::<Value>(&set).unwrap()["keys"][0].clone();
    let modulus = URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
    let mut forged = Vec::new();
    // The public key as the secret of HS256, as it is written here and there.
    for secret in [
        set.as_bytes(),
        key.to_string().as_bytes(),
        key["n"].as_str().unwrap().as_bytes(),
        &modulus,
        b"",
    ] {
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": key["kid"]});
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        let signature = ring::hmac::sign(&secret, message.as_bytes());
        forged.push(format!(
            "{message}.{}",
            URL_SAFE_NO_PAD.encode(signature.as_ref())
        ));
    }
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": algorithm, "kid": key["kid"]}).to_string());
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        forged.push(format!("{header}.{claims}."));
        forged.push(format!("{header}.{claims}.{}", good.rsplit('.').next().unwrap()));
    }
    let mut audience = claims.clone();
    audience["aud"] = json!("another");
    forged.push(signed_by_nobody(
        &json!({"alg": "ES256", "kid": key["kid"]}),
        &audience,
    ));
    // Names of keys that are places, statements, or bring a key along.
    let evil = "http://127.0.0.1:1/evil";
    for header in [
        json!({"alg": "ES256", "kid": "../../../../dev/null"}),
        json!({"alg": "ES256", "kid": "' OR '1' = '1"}),
        json!({"alg": "ES256", "kid": evil, "jku": evil, "x5u": evil}),
        json!({"alg": "ES256", "kid": "x".repeat(4_000)}),
        json!({"alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}}),
        json!({"alg": "ES256", "kid": key["kid"], "crit": ["b64"], "b64": false}),
    ] {
        forged.push(signed_by_nobody(&header, &claims));
    }
    // Tokens of the issuer that are for others.
    for client in ["another", "API", "console"] {
        forged.push(issuer.token("ann", client).await);
    }
    for token in &forged {
        let refused = whoami(&server, token).await;
        assert!([401, 429].contains(&refused.status), "{token}: {}", refused.body);
        assert!(!refused.body.to_string().contains(token.as_str()));
    }
    // A good one goes on being good.
    assert_eq!(whoami(&server, &good).await.status, 200);
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
