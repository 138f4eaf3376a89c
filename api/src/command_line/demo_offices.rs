//! The demo's hotline: simulated operators and offices that move the cases which the day raises, each in a way of its own, so that one
//! sees clocks run, cards, a merge, a return and ratings. They work by HTTP, as people's programs would.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use super::VerbResult;

/// How often they look, and move each case at most once.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Cases that they look at.
const LOOKED_AT: usize = 60;

/// Layers of the demo's hotline; alerts make cases of others.
pub(super) const LAYERS: &str = r#"
[[layers]]
id = "street_light"
kind = "report"
label = "Street light"
cases = "own"

[hotline]
rules = ""
call_back = "10min"
"#;

/// Minutes of the hotline, so that one sees a deadline pass.
fn rules() -> Value {
    let clocks = json!({
        "accept": "1min", "respond": "1min", "return": "1min",
        "handle": {"term": "1min", "yellow": "40s", "extend": "2min", "extensions": 1},
    });
    json!({"name": "demo", "source": "made up, so that one sees clocks run", "rules": [
        {"id": "minutes", "calendar": "cn", "self_service": true, "clocks": clocks}]})
}

fn duty() -> Value {
    json!({"rows": [
        {"id": "floods", "layer": "flooding", "office": "drainage", "with": ["fire service"]},
        {"id": "lights", "layer": "street_light", "office": "lighting"},
        {"id": "rest", "office": "district office", "fallback": true},
    ]})
}

/// What callers say at the beginning: nobody knows yet where, so that the grid of the day is left alone.
fn calls() -> [Value; 4] {
    let call = |kind: &str, text: &str| json!({"kind": kind, "layer": "street_light", "channel": "phone", "text": text, "contact": {"name": "A caller"}});
    [
        call("complaint", "The lamp in front of the school is out."),
        call("complaint", "It is dark at the school."),
        call("inquiry", "When will the lamps of the pier be on again?"),
        call("help", "A lamp hangs over the road."),
    ]
}

/// Puts rules and duty, and calls in.
pub(super) async fn open(url: &str) -> VerbResult {
    let client = Client::builder().no_proxy().build()?;
    for (path, body) in [("hotline/rules", rules()), ("duty", duty())] {
        let request = client.put(format!("{url}/v1/{path}")).header("if-match", "\"0\"");
        expect_good(path, request.json(&body).send().await?).await?;
    }
    for call in calls() {
        let request = client
            .post(format!("{url}/v1/cases"))
            .header("riskgrid-duty", "operator");
        expect_good("cases", request.json(&call).send().await?).await?;
    }
    Ok(())
}

async fn expect_good(path: &str, answer: reqwest::Response) -> VerbResult {
    if answer.status().is_success() {
        return Ok(());
    }
    Err(format!("/v1/{path}: {}", answer.text().await?).into())
}

/// Works until the runtime ends. What is refused is looked at again.
pub(super) async fn work(address: SocketAddr) {
    let Ok(client) = Client::builder().no_proxy().build() else {
        return;
    };
    let cases = format!("http://{address}/v1/cases");
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Ok(answer) = client.get(format!("{cases}?limit={LOOKED_AT}")).send().await else {
            continue;
        };
        let Ok(listed) = answer.json::<Value>().await else {
            continue;
        };
        let all = listed["cases"].as_array().map(Vec::as_slice).unwrap_or_default();
        // The oldest first.
        for case in all.iter().rev() {
            let Some((duty, body)) = next_move(case, all) else {
                continue;
            };
            let id = case["id"].as_str().unwrap_or_default();
            let version = format!("\"{}\"", case["version"]);
            let request = client
                .post(format!("{cases}/{id}/moves"))
                .header("if-match", version)
                .header("riskgrid-duty", duty);
            // Somebody at the console may have been faster.
            if let Err(error) = request.json(&body).send().await {
                tracing::debug!(%error, "the demo's offices look again");
            }
        }
    }
}

/// How a case goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// In time, and the caller is content.
    Quick,
    /// It is the same as the one before.
    Merged,
    /// It waits until its card is yellow, and is done then.
    Slow,
    /// Its card turns red before anything is done.
    Late,
    /// The first office gives it back.
    Returned,
    /// It waits for somebody else for a while.
    Paused,
}

impl Course {
    /// By the number of the case: `20260309-000002` is the second.
    fn of(case: &Value) -> Self {
        let number = case["number"].as_str().and_then(|number| number.rsplit_once('-'));
        let number: usize = number.and_then(|(_, count)| count.parse().ok()).unwrap_or(1);
        let courses = [
            Self::Quick,
            Self::Merged,
            Self::Slow,
            Self::Late,
            Self::Returned,
            Self::Paused,
        ];
        courses
            .get(number.saturating_sub(1) % courses.len())
            .copied()
            .unwrap_or(Self::Quick)
    }

    fn waits_for(self) -> Option<&'static str> {
        match self {
            Self::Slow => Some("yellow"),
            Self::Late => Some("red"),
            Self::Quick | Self::Merged | Self::Returned | Self::Paused => None,
        }
    }
}

/// The next move of a case, and who makes it; none, while it waits.
fn next_move(case: &Value, all: &[Value]) -> Option<(&'static str, Value)> {
    let course = Course::of(case);
    let is_paused = !case["paused_at"].is_null();
    let was_returned = case["returns"].as_i64().unwrap_or(0) > 0;
    let made = match case["state"].as_str()? {
        "new" => ("operator", json!({"move": "accept"})),
        "accepted" => {
            if course == Course::Merged
                && let Some(parent) = parent_of(case, all)
            {
                return Some(("operator", json!({"move": "merge", "parent": parent})));
            }
            ("dispatcher", json!({"move": "dispatch"}))
        }
        "dispatched" if course == Course::Returned && !was_returned => (
            "handler",
            json!({"move": "return", "reason": "the road is the district's, not ours"}),
        ),
        "dispatched" => ("handler", json!({"move": "start"})),
        "handling" if course == Course::Paused && !is_paused && case["version"].as_i64()? <= 4 => {
            ("handler", json!({"move": "pause", "reason": "waiting_other"}))
        }
        "handling" if is_paused => ("handler", json!({"move": "resume"})),
        "handling" => {
            if course
                .waits_for()
                .is_some_and(|card| case["card"] != json!(card) && case["card"] != json!("red"))
            {
                return None;
            }
            (
                "handler",
                json!({"move": "reply", "result": "resolved", "text": "Our crew was there, and it is done."}),
            )
        }
        "replied" => ("reviewer", json!({"move": "close"})),
        "closed" => {
            let (resolved, rating) = match course {
                Course::Late => ("no", 1),
                Course::Slow => ("partly", 3),
                Course::Merged | Course::Returned => ("yes", 4),
                Course::Quick | Course::Paused => ("yes", 5),
            };
            let told = json!({"move": "call_back", "reached": true, "resolved": resolved, "rating": rating});
            ("operator", told)
        }
        _ => return None,
    };
    Some(made)
}

/// Another open case of the same layer that is in none itself: the newest before it.
fn parent_of<'a>(case: &Value, all: &'a [Value]) -> Option<&'a str> {
    let is_open = |state: &Value| {
        let open = ["new", "accepted", "dispatched", "handling", "replied"];
        state.as_str().is_some_and(|state| open.contains(&state))
    };
    let mut others = all.iter().filter(|other| {
        other["layer"] == case["layer"]
            && other["parent"].is_null()
            && is_open(&other["state"])
            && other["number"].as_str() < case["number"].as_str()
    });
    others.next()?["id"].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(number: usize, state: &str, card: &str) -> Value {
        json!({"id": format!("case-{number}"), "number": format!("20261201-{number:06}"), "state": state, "card": card,
            "layer": "flooding", "version": 4, "returns": 0, "parent": null, "paused_at": null})
    }

    fn name(case: &Value, all: &[Value]) -> Option<String> {
        next_move(case, all).map(|(_, body)| body["move"].as_str().unwrap().to_owned())
    }

    #[test]
    fn each_course_is_seen() {
        let first = case(1, "handling", "none");
        let all = [case(2, "accepted", "none"), first.clone()];
        assert_eq!(name(&first, &all).as_deref(), Some("reply"));
        let merge = next_move(&all[0], &all).unwrap();
        assert_eq!(merge, ("operator", json!({"move": "merge", "parent": "case-1"})));
        assert_eq!(
            name(&all[0], &all[..1]).as_deref(),
            Some("dispatch"),
            "there is nothing to merge into"
        );
        for (number, card, moved) in [
            (3, "none", None),
            (3, "yellow", Some("reply")),
            (4, "yellow", None),
            (4, "red", Some("reply")),
            (6, "none", Some("pause")),
        ] {
            assert_eq!(
                name(&case(number, "handling", card), &[]).as_deref(),
                moved,
                "{number} {card}"
            );
        }
        assert_eq!(
            name(&case(5, "dispatched", "none"), &[]).as_deref(),
            Some("return")
        );
        assert_eq!(name(&case(4, "closed", "red"), &[]).as_deref(), Some("call_back"));
        assert_eq!(name(&case(1, "finished", "none"), &[]), None);
    }
}
