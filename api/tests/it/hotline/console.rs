//! Cases in the console, as a browser shows them.

use std::process::Command;

use serde_json::json;

use super::assessment::{closed, frozen, long_ago, moved_back, rules, with_rules};
use crate::server::{eventually, fixture, program};

#[tokio::test]
async fn an_operator_works_on_cases_in_a_browser_and_a_caller_rates_without_a_script() {
    let (Some(node), Some(_)) = (program("RISKGRID_NODE"), program("RISKGRID_CHROMIUM")) else {
        return;
    };
    let mut hotline = with_rules().await;
    for rating in [5, 2] {
        closed(&hotline, json!({}), Some(rating)).await;
    }
    let (month, by) = long_ago();
    hotline.rewrite(&moved_back(by)).await;
    frozen(&hotline, &month).await;
    // One whose time is over, and two that may be about the same.
    let mut late = String::new();
    for (version, handle) in [("\"1\"", "1s"), ("\"2\"", "14d"), ("\"3\"", "14d")] {
        let put = hotline.put("/v1/hotline/rules", version, &rules(handle)).await;
        assert_eq!(put.status, 200, "{}", put.body);
        let id = hotline.case(&json!({})).await;
        hotline.moves(&id, &json!({"move": "accept"})).await;
        hotline.moves(&id, &json!({"move": "dispatch"})).await;
        if late.is_empty() {
            late = id;
        }
    }
    eventually("a red card", async || {
        (hotline.show(&late).await["card"] == "red").then_some(())
    })
    .await;
    let answered = closed(&hotline, json!({}), None).await;
    let link = hotline
        .post(&format!("/v1/cases/{answered}/rating-link"), &[], &json!({}))
        .await;
    let link = link.body["rating_link"].as_str().unwrap().to_owned();
    let pictures = tempfile::tempdir().unwrap();
    let mut browser = Command::new(node);
    browser
        .arg(fixture("browser/cases.mjs"))
        .arg(&hotline.server.url)
        .arg(pictures.path())
        .args([&month, &link]);
    let seen = tokio::task::spawn_blocking(move || browser.output().unwrap())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&seen.stdout);
    let complained = String::from_utf8_lossy(&seen.stderr);
    assert!(seen.status.success(), "{said}\n{complained}");
}
