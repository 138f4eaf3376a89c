//! Two roles and anonymous behind one real shared cache (nginx): what one is answered is never given to another.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Client;
use serde_json::{Value, json};

use super::Guarded;
use crate::server::{Server, eventually, program, terminate};

const CONFIGURATION: &str = r#"
[access]
anonymous = "public"
[access.public]
sql = true
delay = "0s"
[grid]
allowed_lateness = "0s"
[[layers]]
id = "water_level"
kind = "observation"
unit = "m"
public = "open"
[[layers]]
id = "noise"
kind = "report"
public = "suppressed"
public_step = "1h"
[[layers]]
id = "secret"
kind = "report"
"#;

/// The cache, until it is dropped. It keeps what headers say that it may, for all who ask.
struct Cache {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Cache {
    async fn before(server: &Server, nginx: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let place = |name: &str| folder.path().join(name).display().to_string();
        let upstream = server.url.trim_start_matches("http://").to_owned();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {};\n", place(name)))
            .concat();
        let configuration = format!(
            "user root; daemon off; worker_processes 1; pid {pid}; error_log {errors} warn;\nevents {{ worker_connections 512; }}\n\
             http {{\naccess_log off;\n{temporary}\
             proxy_cache_path {cache} keys_zone=shared:8m max_size=64m inactive=10m use_temp_path=off;\n\
             server {{\nlisten 127.0.0.1:{port};\nlocation / {{\nproxy_pass http://{upstream};\nproxy_http_version 1.1;\n\
             proxy_set_header Connection '';\nproxy_set_header Host {upstream};\nproxy_cache shared;\n\
             proxy_cache_key $request_uri;\nproxy_cache_lock on;\nproxy_cache_revalidate on;\n\
             add_header X-Cache $upstream_cache_status always;\n}}\n}}\n}}\n",
            pid = place("pid"),
            errors = place("errors"),
            cache = place("kept"),
        );
        std::fs::write(folder.path().join("nginx.conf"), configuration).unwrap();
        let process = Command::new(nginx)
            .args([
                "-e",
                &place("errors"),
                "-p",
                &place(""),
                "-c",
                &place("nginx.conf"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let cache = Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
            _folder: folder,
        };
        eventually("the cache answers", async || {
            let asked = server.client.get(format!("{}/healthz", cache.url)).send().await;
            asked.ok().filter(|answer| answer.status() == 200).map(drop)
        })
        .await;
        cache
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // It ends its workers itself.
        terminate(&self.process);
        let _ = self.process.wait();
    }
}

fn event(id: &str, layer: &str, minutes: usize, east: f64) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "//test", "type": "riskgrid.report.v1",
        "time": format!("2026-11-22T{:02}:{:02}:00Z", 8 + minutes / 60, minutes % 60),
        "data": {"category": layer, "reporter": format!("somebody {id}"), "lon": 113.9 + east, "lat": 22.55}})
}

fn events() -> Vec<Value> {
    let noise = (0..20).map(|number| event(&format!("n{number}"), "noise", number, 0.0));
    let secret = (0..9).map(|number| event(&format!("s{number}"), "secret", number, 0.01 * number as f64));
    let levels = (0..9).map(|number| {
        json!({"specversion": "1.0", "id": format!("m{number}"), "source": "//gauges", "type": "riskgrid.observation.v1",
            "time": format!("2026-11-22T08:{number:02}:00Z"),
            "data": {"sensor": format!("g{number}"), "property": "water_level", "value": number, "unit": "m",
                "lon": 113.9 + 0.01 * f64::from(number), "lat": 22.55}})
    });
    let clock = event("clock", "secret", 130, 0.5);
    noise.chain(secret).chain(levels).chain([clock]).collect()
}

/// What is asked by everybody.
const PATHS: [&str; 14] = [
    "/v1/layers",
    "/v1/layers/noise",
    "/v1/layers/secret",
    "/v1/areas",
    "/v1/alerts",
    "/v1/whoami",
    "/v1/tiles/noise.json",
    "/v1/tiles/secret.json",
    "/v1/tiles/noise/0/0/0.mvt?window=3h&at=2026-11-22T10:00:00Z",
    "/v1/tiles/water_level/0/0/0.mvt?window=3h&at=2026-11-22T10:00:00Z",
    "/v1/tiles/water_level/0/0/0.mvt?window=3h&at=2026-11-22T10:00:00Z&rev=",
    "/v1/tiles/secret/0/0/0.mvt?window=3h&at=2026-11-22T10:00:00Z",
    "/v1/sql?sql=SELECT%20layer,%20sum(count)%20FROM%20cells%20GROUP%20BY%20layer%20ORDER%20BY%20layer",
    "/v1/keys",
];

/// How whoever asks shows who they are.
#[derive(Clone, Debug)]
enum Shows {
    Nothing,
    Header(String),
    Basic(String),
    Cookie(String),
}

async fn asked(client: &Client, base: &str, path: &str, shows: &Shows) -> (u16, String, Vec<u8>, String) {
    let request = client.get(format!("{base}{path}"));
    let request = match shows {
        Shows::Nothing => request,
        Shows::Header(key) => request.bearer_auth(key),
        Shows::Basic(key) => request.basic_auth("any", Some(key)),
        Shows::Cookie(cookie) => request
            .header("cookie", cookie)
            .header("sec-fetch-site", "same-origin"),
    };
    let answer = request.send().await.unwrap();
    let header = |name: &str| {
        let value = answer.headers().get(name);
        value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    };
    let (tag, how) = (header("etag"), header("x-cache"));
    (
        answer.status().as_u16(),
        tag,
        answer.bytes().await.unwrap().to_vec(),
        how,
    )
}

/// Mixed requests: a few thousand unless the environment asks for others.
fn number() -> usize {
    std::env::var("RISKGRID_CACHE_REQUESTS").map_or(3_000, |number| number.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_cache_never_gives_to_one_what_another_was_answered() {
    let Some(nginx) = program("RISKGRID_NGINX") else {
        return;
    };
    let guarded = Guarded::start_with(CONFIGURATION);
    let events = events();
    let request = guarded
        .server
        .client
        .post(format!("{}/v1/events", guarded.server.url));
    let request = request
        .bearer_auth(&guarded.admin)
        .header("content-type", "application/cloudevents-batch+json");
    let sent = request
        .body(Value::from(events.clone()).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 202);
    eventually("all is counted and published", async || {
        let counted = guarded.rows("SELECT count(*) FROM events").await == json!([[events.len()]]);
        let layer = guarded.get("/v1/layers/noise", None).await;
        (counted && layer.body["last_time"] == "2026-11-22T10:00:00Z").then_some(())
    })
    .await;
    let whole = guarded.key(json!({"role": "operator"})).await;
    let scoped = guarded.key(json!({"role": "analyst", "layers": ["noise"]})).await;
    let signed_in = guarded
        .server
        .client
        .post(format!("{}/auth/key", guarded.server.url))
        .json(&json!({"key": scoped}))
        .send()
        .await
        .unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let askers = Arc::new([
        Shows::Nothing,
        Shows::Header(whole.clone()),
        Shows::Header(scoped),
        Shows::Basic(whole),
        Shows::Cookie(cookie),
    ]);
    // Addresses that are for ever, as they are handed out to each who may have them.
    let client = &guarded.server.client;
    let document = "/v1/tiles/water_level.json?window=3h&at=2026-11-22T10:00:00Z";
    let document = client
        .get(format!("{}{document}", guarded.server.url))
        .send()
        .await
        .unwrap();
    let revision = document.headers()["riskgrid-rev"].to_str().unwrap().to_owned();
    let paths: Arc<Vec<String>> = Arc::new(
        PATHS
            .iter()
            .map(|path| {
                if path.ends_with("rev=") {
                    format!("{path}{revision}")
                } else {
                    (*path).to_owned()
                }
            })
            .collect(),
    );
    // What each is answered without a cache.
    let mut expected = Vec::new();
    for shows in &*askers {
        let mut of_asker = Vec::new();
        for path in &*paths {
            let (status, tag, body, _) = asked(client, &guarded.server.url, path, shows).await;
            of_asker.push((status, tag, body));
        }
        expected.push(of_asker);
    }
    let expected = Arc::new(expected);
    assert_ne!(expected[0], expected[1]);
    let cache = Cache::before(&guarded.server, &nginx).await;
    let hits = Arc::new(AtomicUsize::new(0));
    let tasks = (0..8).map(|task| {
        let (client, base) = (client.clone(), cache.url.clone());
        let (askers, paths, expected) = (Arc::clone(&askers), Arc::clone(&paths), Arc::clone(&expected));
        let hits = Arc::clone(&hits);
        tokio::spawn(async move {
            let mut state = 7_919_u64 + task;
            for _ in 0..number().div_ceil(8) {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let (asker, path) = (
                    (state >> 33) as usize % askers.len(),
                    (state >> 43) as usize % paths.len(),
                );
                let shows = &askers[asker];
                let (status, tag, body, how) = asked(&client, &base, &paths[path], shows).await;
                if status == 429 {
                    // Faster than it may ask: that is an answer too, and nobody else's.
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                    continue;
                }
                let (expected_status, expected_tag, expected_body) = &expected[asker][path];
                assert_eq!(
                    (status, &tag, &body),
                    (*expected_status, expected_tag, expected_body),
                    "{} for {shows:?}, {how}",
                    paths[path]
                );
                if how == "HIT" {
                    assert!(
                        matches!(shows, Shows::Nothing),
                        "{} for {shows:?} was kept",
                        paths[path]
                    );
                    hits.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    // It is a cache, and not only a way.
    assert!(hits.load(Ordering::Relaxed) > number() / 50, "{hits:?}");
}
