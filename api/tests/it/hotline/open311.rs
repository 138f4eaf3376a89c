//! Open311 GeoReport v2, in both formats.

use std::process::Command;

use serde_json::{Value, json};

use super::Hotline;
use crate::server::{fixture, program};

async fn form(hotline: &Hotline, path: &str, pairs: &[(&str, &str)]) -> (u16, Value) {
    let request = hotline
        .server
        .client
        .post(format!("{}/open311/v2/{path}", hotline.server.url));
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let answer = request.body(body).send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn get(hotline: &Hotline, path: &str) -> (u16, Value) {
    let url = format!("{}/open311/{path}", hotline.server.url);
    let answer = hotline.server.client.get(url).send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn services_and_what_they_ask_are_listed_in_both_formats() {
    let hotline = Hotline::start();
    let (_, services) = get(&hotline, "v2/services.json").await;
    let codes: Vec<&Value> = services
        .as_array()
        .unwrap()
        .iter()
        .map(|service| &service["service_code"])
        .collect();
    assert_eq!(codes, [&json!("light"), &json!("noise")]);
    assert_eq!(services[1]["metadata"], json!(true));
    assert_eq!(services[1]["keywords"], "loud,music");
    let (_, xml) = get(&hotline, "v2/services").await;
    assert!(xml.as_str().unwrap().contains("<services><service>"), "{xml}");
    let (_, asked) = get(&hotline, "v2/services/noise.json").await;
    assert_eq!(asked["attributes"][0]["code"], "when");
    assert_eq!(asked["attributes"][0]["required"], "true");
    assert_eq!(
        asked["attributes"][0]["values"][1],
        json!({"key": "night", "name": "By night"})
    );
    let (_, xml) = get(&hotline, "v2/services/noise.xml").await;
    assert!(
        xml.as_str()
            .unwrap()
            .contains("<value><key>day</key><name>By day</name></value>"),
        "{xml}"
    );
    let (status, discovery) = get(&hotline, "discovery.json").await;
    assert_eq!(status, 200);
    assert!(
        discovery["endpoints"][0]["url"]
            .as_str()
            .unwrap()
            .ends_with("/open311/v2")
    );
    for (path, status) in [
        ("v2/services/plain.json", 404),
        ("v2/services.yaml", 404),
        ("v2/tokens/7.json", 404),
        ("v2/requests/none.json", 404),
        ("v2/services.json?jurisdiction_id=x", 404),
        (
            "v2/requests.json?start_date=2026-01-01T00:00:00Z&end_date=2026-06-01T00:00:00Z",
            400,
        ),
        ("v2/requests.json?start_date=2026-01-01", 400),
        ("v2/requests.json?status=gone", 400),
        ("discovery.yaml", 404),
    ] {
        let (found, error) = get(&hotline, path).await;
        assert_eq!(found, status, "{path}: {error}");
    }
    let (_, error) = get(&hotline, "v2/requests/none.json").await;
    assert_eq!(error[0]["code"], 404);
    let (_, error) = get(&hotline, "v2/requests/none.xml").await;
    assert!(
        error
            .as_str()
            .unwrap()
            .contains("<errors><error><code>404</code><description>"),
        "{error}"
    );
}

#[tokio::test]
async fn a_request_is_posted_and_read_without_a_word_of_who_said_it() {
    let hotline = Hotline::start();
    let (status, made) = form(
        &hotline,
        "requests.json",
        &[
            ("service_code", "noise"),
            ("lat", "22.540001"),
            ("long", "113.95"),
            ("attribute[when]", "night"),
            ("attribute[words]", "below flat seven"),
            ("description", "a party"),
            ("phone", "13800138000"),
            ("first_name", "Li"),
            ("last_name", "Wei"),
            ("media_url", "http://x/y.jpg"),
        ],
    )
    .await;
    assert_eq!(status, 201, "{made}");
    let id = made[0]["service_request_id"].as_str().unwrap();
    assert_eq!(made[0]["account_id"], Value::Null);
    let (_, listed) = get(&hotline, "v2/requests.json?extensions=true").await;
    let request = &listed[0];
    assert_eq!(
        (
            &request["service_request_id"],
            &request["status"],
            &request["lat"],
            &request["long"]
        ),
        (&json!(id), &json!("open"), &json!(22.54), &json!(113.95))
    );
    assert_eq!(request["extended_attributes"]["state"], "new");
    assert_eq!(request["description"], Value::Null);
    let text = listed.to_string();
    for hidden in ["13800138000", "Li", "party", "flat seven", "y.jpg"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    let case = hotline.show(id).await;
    assert_eq!(case["source"], "//open311/default");
    assert_eq!(case["attributes"], json!({"when": "night"}));
    let texts = hotline.server.get(&format!("/v1/cases/{id}/texts")).await.body;
    assert_eq!(texts["texts"].as_array().unwrap().len(), 2);
    let (_, xml) = get(&hotline, &format!("v2/requests/{id}.xml")).await;
    let xml = xml.as_str().unwrap();
    assert!(
        xml.contains("<service_requests><request>") && xml.contains("<media_url/>"),
        "{xml}"
    );
    assert!(xml.contains("<lat>22.54000</lat>"), "{xml}");
    for pairs in [
        vec![("lat", "22.5"), ("long", "113.9")],
        vec![
            ("service_code", "noise"),
            ("lat", "22.5"),
            ("attribute[when]", "day"),
        ],
        vec![("service_code", "noise")],
        vec![("service_code", "noise"), ("attribute[when]", "noon")],
        vec![
            ("service_code", "noise"),
            ("attribute[when]", "day"),
            ("attribute[x]", "1"),
        ],
        vec![("service_code", "light"), ("colour", "red")],
    ] {
        let (status, error) = form(&hotline, "requests.json", &pairs).await;
        assert_eq!(status, 400, "{pairs:?}: {error}");
    }
    let (status, _) = form(&hotline, "requests.json", &[("service_code", "plain")]).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn requests_are_paged_and_places_of_sensitive_services_are_kept_back() {
    let hotline = Hotline::start();
    for _ in 0..3 {
        let made = form(
            &hotline,
            "requests.json",
            &[("service_code", "light"), ("lat", "22.5"), ("long", "113.9")],
        )
        .await;
        assert_eq!(made.0, 201);
    }
    let (_, all) = get(&hotline, "v2/requests.json").await;
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .all(|request| request["lat"] == Value::Null)
    );
    let (_, none) = get(&hotline, "v2/requests.json?bbox=113,22,114,23").await;
    assert_eq!(none, json!([]));
    let url = format!("{}/open311/v2/requests.json?page_size=2", hotline.server.url);
    let first = hotline.server.client.get(url).send().await.unwrap();
    let link = first.headers()["link"].to_str().unwrap().to_owned();
    assert!(link.ends_with("; rel=\"next\""), "{link}");
    let first: Value = first.json().await.unwrap();
    assert_eq!(first.as_array().unwrap().len(), 2);
    let next = link.trim_start_matches('<').split_once('>').unwrap().0.to_owned();
    let second = hotline.server.client.get(next).send().await.unwrap();
    assert!(!second.headers().contains_key("link"));
    assert_eq!(second.json::<Value>().await.unwrap().as_array().unwrap().len(), 1);
    let ids: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|request| request["service_request_id"].as_str().unwrap())
        .collect();
    let (_, two) = get(
        &hotline,
        &format!("v2/requests.json?service_request_id={},{},none", ids[0], ids[2]),
    )
    .await;
    assert_eq!(two.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn updates_of_others_are_notes_and_moves_are_updates() {
    let hotline = Hotline::start();
    let id = hotline.case(&json!({})).await;
    let update = [
        ("service_request_id", id.as_str()),
        ("update_id", "fms-1"),
        ("status", "CLOSED"),
        ("updated_datetime", "2026-11-30T10:00:00Z"),
        ("description", "it is fixed"),
    ];
    let (status, made) = form(&hotline, "servicerequestupdates.json", &update).await;
    assert_eq!((status, &made[0]["update_id"]), (201, &json!(format!("{id}.2"))));
    let (_, again) = form(&hotline, "servicerequestupdates.json", &update).await;
    assert_eq!(again, made);
    assert_eq!(
        hotline.show(&id).await["state"],
        "new",
        "a note, and no other move"
    );
    let (_, listed) = get(&hotline, "v2/servicerequestupdates.json").await;
    let ids: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|update| &update["update_id"])
        .collect();
    assert_eq!(ids, [&json!(format!("{id}.1")), &json!(format!("{id}.2"))]);
    assert_eq!(listed[0]["status"], "OPEN");
    let (_, xml) = get(&hotline, "v2/servicerequestupdates.xml").await;
    assert!(
        xml.as_str()
            .unwrap()
            .contains("<service_requests_updates><request_update>"),
        "{xml}"
    );
}

#[tokio::test]
async fn clients_of_others_post_and_read_and_the_answers_have_the_structure_of_the_standard() {
    let Some(python) = program("RISKGRID_PYTHON") else {
        return;
    };
    let hotline = Hotline::start_with("[open311]\npublic = true\n");
    let mut client = Command::new(python);
    client.arg(fixture("open311/client.py")).arg(&hotline.server.url);
    let output = tokio::task::spawn_blocking(move || client.output().unwrap())
        .await
        .unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complained}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = found["posted"].as_str().unwrap();
    for format in ["json", "xml"] {
        let read = &found[format];
        assert_eq!(read["services"], json!(["light", "noise"]), "{format}");
        assert_eq!(
            [&read["definition"], &read["request"], &read["status"]],
            [&json!("noise"), &json!(id), &json!("open")],
            "{format}"
        );
        assert_eq!(read["listed"], json!([id]), "{format}");
    }
    assert_eq!(
        found["json"]["both"], found["xml"]["both"],
        "both formats have the same members"
    );
    assert_eq!(found["update"], json!(format!("{id}.2")));
    assert_eq!(found["updates"], json!([format!("{id}.1"), format!("{id}.2")]));
    assert_eq!(hotline.rows_of(id).await[1].0, "note");
}
