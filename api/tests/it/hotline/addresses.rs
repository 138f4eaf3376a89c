//! Addresses: what the table of places says of them, and where that puts a case.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Hotline, problem};
use crate::server::{Server, eventually};

const PLACES: &str = "id,kind,names,chain,postcode,lon,lat\n\
    p1,address,科技园路8号,深圳市|南山区|粤海街道,518057,113.9501,22.5401\n\
    p2,address,科技园路18号,深圳市|南山区|粤海街道,518057,113.9511,22.5412\n\
    p3,street,科技园路,深圳市|南山区|粤海街道,,113.9506,22.5407\n\
    p4,street,人民路,深圳市|罗湖区,,114.1210,22.5450\n\
    p5,street,人民路,深圳市|龙华区,,114.0250,22.6600\n\
    p6,address,12 Main Street,Springfield,01103,-72.5901,42.1015\n";

fn with_places() -> Hotline {
    let mut server = Server::not_started();
    std::fs::write(server.path("places.csv"), PLACES).unwrap();
    server.configure(&format!(
        "[hotline]\nplaces = \"places.csv\"\n[edge]\nbounds = [100, 20, 120, 30]\n{}",
        super::LAYERS
    ));
    server.restart();
    Hotline { server }
}

async fn geocode(hotline: &Hotline, q: &str) -> (u16, Value) {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("q", q)
        .finish();
    let answer = hotline.server.get(&format!("/v1/geocode?{query}")).await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn a_query_finds_the_places_of_the_table_and_says_whether_one_is_meant() {
    let hotline = with_places();
    for (query, quality, expected) in [
        (
            "南山区科技园路８号",
            "exact",
            json!([["p1", 0.909_091], ["p3", 0.636_364]]),
        ),
        ("科技园路八号", "exact", json!([["p1", 1.0], ["p3", 0.7]])),
        ("人民路", "ambiguous", json!([["p4", 1.0], ["p5", 1.0]])),
        ("12 Main St.", "exact", json!([["p6", 1.0]])),
        ("和平路", "none", json!([])),
    ] {
        let (status, body) = geocode(&hotline, query).await;
        assert_eq!((status, &body["quality"]), (200, &json!(quality)), "{query}");
        let found: Vec<Value> = body["candidates"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| json!([one["id"], one["score"]]))
            .collect();
        assert_eq!(json!(found), expected, "{query}");
    }
    let (_, body) = geocode(&hotline, "科技园路八号").await;
    assert_eq!(
        body["candidates"][0],
        json!({"id": "p1", "score": 1.0, "lon": 113.9501, "lat": 22.5401})
    );
    assert_eq!(geocode(&hotline, " ").await.0, 400);
    assert_eq!(geocode(&hotline, &"路".repeat(257)).await.0, 400);
    assert_eq!(hotline.server.get("/v1/geocode").await.status, 400);
}

#[tokio::test]
async fn an_address_puts_a_case_where_one_place_is_meant_and_nowhere_else() {
    let hotline = with_places();
    let post = async |members: Value| {
        let mut case = json!({"kind": "complaint", "layer": "light"});
        for (name, value) in members.as_object().unwrap() {
            case[name] = value.clone();
        }
        hotline.post("/v1/cases", &[], &case).await
    };
    let house = post(json!({"address": "南山区科技园路８号"})).await;
    assert_eq!(house.status, 201, "{}", house.body);
    assert_eq!(house.body["place"], json!({"quality": "exact", "candidates": []}));
    let case = hotline.show(house.body["id"].as_str().unwrap()).await;
    assert_eq!(
        [&case["place"], &case["place_quality"], &case["lon"], &case["lat"]],
        [&json!("p1"), &json!("exact"), &json!(113.9501), &json!(22.5401)]
    );
    // Somewhere in that street.
    let street = post(json!({"address": "科技园路"})).await;
    assert_eq!(street.body["place"]["quality"], "exact");
    let street = hotline.show(street.body["id"].as_str().unwrap()).await;
    assert_eq!(
        [&street["place"], &street["place_quality"]],
        [&json!("p3"), &json!("street")]
    );
    let unsure = post(json!({"address": "人民路"})).await;
    assert_eq!(unsure.body["place"]["quality"], "ambiguous");
    assert_eq!(unsure.body["place"]["candidates"].as_array().unwrap().len(), 2);
    let id = unsure.body["id"].as_str().unwrap();
    let case = hotline.show(id).await;
    assert_eq!(
        [&case["place_quality"], &case["observed"], &case["lon"]],
        [&json!("unlocated"), &json!("no"), &Value::Null]
    );
    // An operator chooses one; then the grid is told.
    let refused = hotline
        .try_move(id, &json!({"move": "locate", "address": "人民路"}))
        .await;
    assert_eq!((refused.status, problem(&refused)), (422, "invalid"));
    assert_eq!(refused.body["place"]["quality"], "ambiguous");
    hotline.moves(id, &json!({"move": "locate", "place": "p5"})).await;
    eventually("its event is in the log", async || {
        (hotline.show(id).await["observed"] == "yes").then_some(())
    })
    .await;
    let none = post(json!({"address": "和平路"})).await;
    assert_eq!(none.body["place"], json!({"quality": "none", "candidates": []}));
    for (members, said) in [
        (json!({"place": "p7"}), "p7"),
        (
            json!({"place": "p1", "lon": 113.9, "lat": 22.5}),
            "a place is given",
        ),
        (json!({"place": "p6"}), "edge.bounds"),
        (json!({"address": "12 Main St."}), "edge.bounds"),
        (json!({"address": "路".repeat(257)}), "256"),
    ] {
        let refused = post(members.clone()).await;
        assert_eq!((refused.status, problem(&refused)), (422, "invalid"), "{members}");
        assert!(
            refused.body["detail"].as_str().unwrap().contains(said),
            "{}",
            refused.body
        );
    }
}

#[tokio::test]
async fn open311_answers_in_the_words_of_the_table_and_not_in_the_callers() {
    let hotline = with_places();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("service_code", "noise"),
            ("attribute[when]", "night"),
            ("address_string", "南山区科技园路8号 (我家)"),
        ])
        .finish();
    let path = "/open311/v2/requests.json";
    let post = |form: String| {
        let url = format!("{}{path}", hotline.server.url);
        let request = hotline.server.client.request(Method::POST, url);
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
    };
    assert_eq!(post(form).await.unwrap().status(), 201);
    let requests = hotline.server.get(path).await.body;
    let request = &requests[0];
    assert_eq!(
        [&request["address"], &request["address_id"], &request["zipcode"]],
        [&json!("科技园路8号"), &json!("p1"), &json!("518057")],
        "{request}"
    );
    assert!(!requests.to_string().contains("我家"));
    let form = "service_code=light&address_id=p9".to_owned();
    assert_eq!(post(form).await.unwrap().status(), 400);
}

#[test]
fn a_table_that_cannot_be_is_told_by_its_place() {
    let server = Server::not_started();
    std::fs::write(
        server.path("places.csv"),
        format!("{PLACES}p1,poi,X,,,113.9,22.5\n"),
    )
    .unwrap();
    server.configure("[hotline]\nplaces = \"places.csv\"\n");
    let configuration = server.path("riskgrid.toml");
    let checked = std::process::Command::new(crate::crash_rig::binary())
        .args(["check-config", "--config"])
        .arg(&configuration)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(
        !checked.status.success() && said.contains("`hotline.places`"),
        "{said}"
    );
    assert!(said.contains("place 7"), "{said}");
}
