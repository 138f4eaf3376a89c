//! Whom to call back is in one place, and shown to whoever may see it, and nobody else ever.

use serde_json::json;

use super::Hotline;

const PHONE: &str = "13800138000";

#[tokio::test]
async fn a_contact_is_revealed_to_operators_and_written_down_before() {
    let hotline = Hotline::start();
    let id = hotline
        .case(&json!({"contact": {"phone": PHONE, "name": "Li", "confidential": true}}))
        .await;
    let path = format!("/v1/cases/{id}/contact/reveal");
    let call = json!({"purpose": "call_back"});
    for (headers, body, status) in [
        (vec![("riskgrid-duty", "dispatcher")], call.clone(), 403),
        (vec![("riskgrid-duty", "handler")], call.clone(), 403),
        (
            vec![("riskgrid-duty", "operator")],
            json!({"purpose": "fun"}),
            422,
        ),
        (vec![("riskgrid-duty", "operator")], json!({"why": "fun"}), 400),
    ] {
        let answer = hotline.post(&path, &headers, &body).await;
        assert_eq!(answer.status, status, "{headers:?} {body}: {}", answer.body);
    }
    let shown = hotline.post(&path, &[("riskgrid-duty", "operator")], &call).await;
    assert_eq!(
        shown.body,
        json!({"phone": PHONE, "name": "Li", "confidential": true})
    );
    let audit = hotline.server.get("/v1/audit").await;
    assert_eq!(
        (
            &audit.body["audit"][0]["action"],
            &audit.body["audit"][0]["detail"]
        ),
        (&json!("cases.contact.reveal"), &json!({"purpose": "call_back"}))
    );
    let none = hotline.case(&json!({})).await;
    let path = format!("/v1/cases/{none}/contact/reveal");
    assert_eq!(hotline.post(&path, &[], &call).await.status, 404);
    let mut asked = 1;
    let path = format!("/v1/cases/{id}/contact/reveal");
    while hotline.post(&path, &[], &call).await.status == 200 {
        asked += 1;
        assert!(asked <= 60);
    }
}

#[tokio::test]
async fn neither_contact_nor_words_are_anywhere_else() {
    let mut hotline = Hotline::start();
    let words = "the man in flat seven";
    let mut stream = hotline.ask(reqwest::Method::GET, "/v1/stream", &[], None).await;
    let id = hotline
        .case(&json!({"contact": {"phone": PHONE, "email": "li@example.org"}, "text": words}))
        .await;
    hotline.moves(&id, &json!({"move": "accept"})).await;
    hotline
        .moves(&id, &json!({"move": "decline", "reason": "flat seven again"}))
        .await;
    // A refused post leaves nothing behind.
    let bad = json!({"kind": "rage", "layer": "light", "contact": {"phone": PHONE}});
    assert_eq!(hotline.post("/v1/cases", &[], &bad).await.status, 422);
    hotline
        .server
        .rows_become("SELECT count(*) FROM events", &json!([[2]]))
        .await;
    for path in [
        "/v1/cases".to_owned(),
        format!("/v1/cases/{id}"),
        format!("/v1/cases/{id}/moves"),
        "/v1/audit".to_owned(),
        "/open311/v2/requests.json".to_owned(),
        "/open311/v2/servicerequestupdates.json".to_owned(),
        "/v1/dead-letters".to_owned(),
    ] {
        let body = hotline.server.get(&path).await.body.to_string();
        assert!(
            !body.contains(PHONE) && !body.contains("flat seven"),
            "{path}: {body}"
        );
    }
    let mut told = String::new();
    while !told.contains("\"declined\"") {
        let piece = stream.chunk().await.unwrap().unwrap();
        told.push_str(&String::from_utf8_lossy(&piece));
    }
    assert!(told.contains("event: case"), "{told}");
    assert!(!told.contains(PHONE) && !told.contains("flat seven"));
    hotline.server.stop().await;
    let mut files = vec![hotline.server.data()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!holds(PHONE) && !holds("li@example"), "{}", path.display());
        // Words are in the decisions, which are there for them.
        let is_of_decisions = path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("decisions");
        assert!(is_of_decisions || !holds("flat seven"), "{}", path.display());
    }
}
