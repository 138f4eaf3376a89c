//! The console: one page for the operations room, embedded in the binary, and the two answers that only it asks for.
//!
//! Files are as they lie in `api/console/`, so building needs no Node and running needs no network. Our own files are
//! revalidated by `ETag` at each load, so that a new binary shows its new page at once; those of a library carry its
//! version in their path and never change. The policy below lets the page load, and talk to, nothing but this server.

use std::sync::Arc;

use crate::problem::Problem;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use serde::Serialize;
use twox_hash::XxHash3_128;

/// `blob:` workers and `data:` images are what the map library makes for itself; styles it sets through the DOM only.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self' blob:; \
    style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const REVALIDATE: &str = "no-cache";
const FOREVER: &str = "public, max-age=31536000, immutable";

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// What an installation tells its console: sent as `/v1/console.json`.
#[derive(Clone, Debug, Serialize)]
pub struct ConsoleSettings {
    /// Name at the top of the page and of its browser tab.
    pub title: String,
    /// A notice beside the title that nobody must miss, such as that the data are simulated.
    pub notice: Option<String>,
    /// Middle of the map at first, `[longitude, latitude]` in degrees. None: the map shows where data are.
    pub center: Option<[f64; 2]>,
    /// Zoom of the map at first, 0 (the world) to 17. Only with `center`.
    pub zoom: Option<f64>,
    /// Id of the layer shown at first. None: the one with the most events.
    pub layer: Option<String>,
    /// The base map: one `GeoJSON` `FeatureCollection` whose features have `kind` (`land`, `district` or `river`) and
    /// `name`. None: hexagons on a plain ground. Sent as `/v1/basemap.geojson`; the settings only say whether there is one.
    #[serde(rename = "basemap", serialize_with = "whether_present")]
    pub base_map: Option<Bytes>,
}

impl Default for ConsoleSettings {
    fn default() -> Self {
        Self {
            title: "riskgrid".to_owned(),
            notice: None,
            center: None,
            zoom: None,
            layer: None,
            base_map: None,
        }
    }
}

#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
fn whether_present<S: serde::Serializer>(base_map: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(base_map.is_some())
}

/// Routes of the page (`/` and `/console/…`), of `/v1/console.json` and of `/v1/basemap.geojson` (404 without one).
pub fn routes(settings: ConsoleSettings) -> Router {
    let base_map = settings.base_map.clone();
    let settings = Arc::new(settings);
    let pages = ASSETS.iter().fold(Router::new(), |router, asset| {
        let tag: Arc<str> = entity_tag(asset.bytes).into();
        router.route(
            asset.path,
            get(async move |headers: HeaderMap| asset.answer(&tag, &headers)),
        )
    });
    pages
        .route(
            "/v1/console.json",
            get(async move || Json(&*settings).into_response()),
        )
        .route(
            "/v1/basemap.geojson",
            get(async move || base_map_answer(base_map)),
        )
}

/// A file of the page.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    cache_control: &'static str,
    bytes: &'static [u8],
}

impl Asset {
    fn answer(&self, tag: &str, request: &HeaderMap) -> Response {
        let headers = [
            (header::CONTENT_TYPE, self.content_type),
            (header::CACHE_CONTROL, self.cache_control),
            (header::ETAG, tag),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        if crate::http::is_known(request, tag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, self.bytes).into_response()
    }
}

/// Weak, because a compressing layer may send the same file in other bytes.
fn entity_tag(bytes: &[u8]) -> String {
    format!("W/\"{:032x}\"", XxHash3_128::oneshot(bytes))
}

fn base_map_answer(base_map: Option<Bytes>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/geo+json"),
        (header::CACHE_CONTROL, REVALIDATE),
    ];
    match base_map {
        Some(base_map) => (headers, base_map).into_response(),
        None => Problem::not_found(
            "there is no base map; name a file of GeoJSON as `basemap` in [console] of the configuration",
        )
        .into_response(),
    }
}

/// Names files of `api/console/`: ours by path and type, the library's with the path that carries its version.
macro_rules! assets {
    ($($path:literal, $file:literal, $content_type:expr, $cache_control:expr;)*) => {
        &[$(Asset {
            path: $path,
            content_type: $content_type,
            cache_control: $cache_control,
            bytes: include_bytes!(concat!("../console/", $file)),
        }),*]
    };
}

const ASSETS: &[Asset] = assets! {
    "/", "index.html", "text/html; charset=utf-8", REVALIDATE;
    "/console/acknowledge.js", "acknowledge.js", JAVASCRIPT, REVALIDATE;
    "/console/alerts.js", "alerts.js", JAVASCRIPT, REVALIDATE;
    "/console/assessment.js", "assessment.js", JAVASCRIPT, REVALIDATE;
    "/console/basemap.js", "basemap.js", JAVASCRIPT, REVALIDATE;
    "/console/breaks.js", "breaks.js", JAVASCRIPT, REVALIDATE;
    "/console/case.js", "case.js", JAVASCRIPT, REVALIDATE;
    "/console/cases.css", "cases.css", CSS, REVALIDATE;
    "/console/cases.js", "cases.js", JAVASCRIPT, REVALIDATE;
    "/console/cells.js", "cells.js", JAVASCRIPT, REVALIDATE;
    "/console/choice.js", "choice.js", JAVASCRIPT, REVALIDATE;
    "/console/colours.js", "colours.js", JAVASCRIPT, REVALIDATE;
    "/console/console.css", "console.css", CSS, REVALIDATE;
    "/console/console.js", "console.js", JAVASCRIPT, REVALIDATE;
    "/console/countdown.js", "countdown.js", JAVASCRIPT, REVALIDATE;
    "/console/dom.js", "dom.js", JAVASCRIPT, REVALIDATE;
    "/console/drawing.js", "drawing.js", JAVASCRIPT, REVALIDATE;
    "/console/format.js", "format.js", JAVASCRIPT, REVALIDATE;
    "/console/hexagons.js", "hexagons.js", JAVASCRIPT, REVALIDATE;
    "/console/icon.svg", "icon.svg", "image/svg+xml", REVALIDATE;
    "/console/incidents.js", "incidents.js", JAVASCRIPT, REVALIDATE;
    "/console/legend.js", "legend.js", JAVASCRIPT, REVALIDATE;
    "/console/live.js", "live.js", JAVASCRIPT, REVALIDATE;
    "/console/map.css", "map.css", CSS, REVALIDATE;
    "/console/map.js", "map.js", JAVASCRIPT, REVALIDATE;
    "/console/mode.js", "mode.js", JAVASCRIPT, REVALIDATE;
    "/console/outlines.js", "outlines.js", JAVASCRIPT, REVALIDATE;
    "/console/pace.js", "pace.js", JAVASCRIPT, REVALIDATE;
    "/console/popup.js", "popup.js", JAVASCRIPT, REVALIDATE;
    "/console/reasons.js", "reasons.js", JAVASCRIPT, REVALIDATE;
    "/console/why.js", "why.js", JAVASCRIPT, REVALIDATE;
    "/console/server.js", "server.js", JAVASCRIPT, REVALIDATE;
    "/console/settle.css", "settle.css", CSS, REVALIDATE;
    "/console/sign-in.js", "sign-in.js", JAVASCRIPT, REVALIDATE;
    "/console/silence.js", "silence.js", JAVASCRIPT, REVALIDATE;
    "/console/silent.js", "silent.js", JAVASCRIPT, REVALIDATE;
    "/console/theme.css", "theme.css", CSS, REVALIDATE;
    "/console/vendor/maplibre-gl-6.17.0/maplibre-gl.mjs", "vendor/maplibre-gl-6.17.0/maplibre-gl.mjs", JAVASCRIPT, FOREVER;
    "/console/vendor/maplibre-gl-6.17.0/maplibre-gl-worker.mjs", "vendor/maplibre-gl-6.17.0/maplibre-gl-worker.mjs", JAVASCRIPT, FOREVER;
    "/console/vendor/maplibre-gl-6.17.0/maplibre-gl.css", "vendor/maplibre-gl-6.17.0/maplibre-gl.css", CSS, FOREVER;
    "/console/vendor/maplibre-gl-6.17.0/LICENSE.txt", "vendor/maplibre-gl-6.17.0/LICENSE.txt", TEXT, FOREVER;
};

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that unwraps in vain says where")]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_and_nothing_twice() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("console");
        let mut folders = vec![root.clone()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let relative = path.strip_prefix(&root).unwrap().to_str().unwrap();
                    files.push(if relative == "index.html" {
                        "/".to_owned()
                    } else {
                        format!("/console/{relative}")
                    });
                }
            }
        }
        let mut served: Vec<_> = ASSETS.iter().map(|asset| asset.path.to_owned()).collect();
        files.sort();
        served.sort();
        assert_eq!(served, files);
    }

    #[test]
    fn a_page_that_the_browser_has_is_not_sent_again() {
        let page = ASSETS.first().unwrap();
        let tag = entity_tag(page.bytes);
        let mut request = HeaderMap::new();
        assert_eq!(page.answer(&tag, &request).status(), StatusCode::OK);
        request.insert(
            header::IF_NONE_MATCH,
            format!("\"other\", {tag}").parse().unwrap(),
        );
        let answer = page.answer(&tag, &request);
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer.headers()[header::ETAG], tag.as_str());
    }

    #[test]
    fn the_page_and_its_worker_may_speak_to_this_server_only() {
        for asset in ASSETS {
            let answer = asset.answer("", &HeaderMap::new());
            let policy = answer.headers()[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap();
            assert!(policy.starts_with("default-src 'none';"), "{}", asset.path);
            assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        }
    }

    #[test]
    fn no_file_of_ours_names_another_origin_to_load_from() {
        for asset in ASSETS.iter().filter(|asset| asset.cache_control == REVALIDATE) {
            let text = str::from_utf8(asset.bytes)
                .unwrap()
                .replace("http://www.w3.org/2000/svg", "");
            assert!(
                !text.contains("http://") && !text.contains("https://"),
                "{}",
                asset.path
            );
        }
    }

    #[tokio::test]
    async fn settings_and_base_map_are_answered_as_the_page_reads_them() {
        let land: &[u8] = br#"{"type":"FeatureCollection","features":[]}"#;
        let settings = ConsoleSettings {
            title: "typhoon day".to_owned(),
            notice: Some("Simulated data".to_owned()),
            center: Some([114.2, 22.3]),
            zoom: Some(10.5),
            base_map: Some(land.into()),
            ..ConsoleSettings::default()
        };
        let with = serve(settings).await;
        let answer: serde_json::Value = with.json("/v1/console.json").await;
        let wanted = serde_json::json!({
            "title": "typhoon day", "notice": "Simulated data", "center": [114.2, 22.3], "zoom": 10.5, "layer": null, "basemap": true,
        });
        assert_eq!(answer, wanted);
        assert_eq!(
            with.json("/v1/basemap.geojson").await["type"],
            "FeatureCollection"
        );
        let page = with.get("/").await;
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        let without = serve(ConsoleSettings::default()).await;
        assert_eq!(without.json("/v1/console.json").await["basemap"], false);
        assert_eq!(without.get("/v1/basemap.geojson").await.status(), 404);
    }

    struct Served {
        address: std::net::SocketAddr,
        client: reqwest::Client,
    }

    impl Served {
        async fn get(&self, path: &str) -> reqwest::Response {
            self.client
                .get(format!("http://{}{path}", self.address))
                .send()
                .await
                .unwrap()
        }

        async fn json(&self, path: &str) -> serde_json::Value {
            self.get(path).await.json().await.unwrap()
        }
    }

    async fn serve(settings: ConsoleSettings) -> Served {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes(settings)).await });
        // Without a provider of TLS a client cannot be built, though these requests use none.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        Served {
            address,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }
}
