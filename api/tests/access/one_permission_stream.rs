//! `/v1/stream` tells a scoped identity what it tells on an open server that was fed with what that identity may see: of what
//! is hidden no event comes, and none comes earlier, later or twice because of it.

use reqwest::Response;
use serde_json::{Value, json};

use super::Guarded;
use super::one_permission::{LAYERS, Random, SCOPES, configured, is_seen, make_rule, world};
use super::rights::feed;
use crate::server::{DEADLINE, Server};

/// Events as a page has them.
struct Told {
    response: Response,
    text: String,
    /// What was told of alerts, without what names the server.
    alerts: Vec<Value>,
}

impl Told {
    async fn of(server: &Server, key: Option<&str>) -> Self {
        let mut request = server.client.get(format!("{}/v1/stream", server.url));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        // It is listened to for the whole test.
        let response = request.timeout(10 * DEADLINE).send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self {
            response,
            text: String::new(),
            alerts: Vec::new(),
        }
    }

    /// What is told next; that the stream still lives is told, too, and says nothing.
    async fn next(&mut self) -> (String, Value) {
        let told = tokio::time::timeout(DEADLINE, self.next_of_any_time()).await;
        told.expect("something is told")
    }

    async fn next_of_any_time(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let line = |name: &str| {
                    let lines = event.lines().filter_map(|line| line.strip_prefix(name));
                    lines.map(str::trim).collect::<String>()
                };
                let (name, data) = (line("event:"), line("data:"));
                let rest = rest.to_owned();
                self.text = rest;
                if name.is_empty() {
                    continue;
                }
                return (name, serde_json::from_str(&data).unwrap());
            }
            let chunk = self.response.chunk().await.unwrap().expect("it goes on");
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next that is told of tiles; what is told of alerts before it is kept.
    async fn tiles(&mut self) -> Value {
        loop {
            match self.next().await {
                (name, data) if name == "tiles" => return data,
                (name, data) if name == "alert" => {
                    let of = |member: &str| data[member].clone();
                    self.alerts.push(json!([
                        of("layer"),
                        of("sensor"),
                        of("cell"),
                        of("state"),
                        of("value")
                    ]));
                }
                // Time is told by the clock of the domain, which all its layers move.
                (name, data) => assert_eq!((name.as_str(), &data["domain"]), ("watermark", &json!("live"))),
            }
        }
    }

    /// Reads on up to the first that is told of tiles of this layer alone.
    async fn up_to(&mut self, layer: &str) {
        while self.tiles().await != json!({"layers": [layer]}) {}
    }
}

#[tokio::test]
async fn the_stream_of_a_scope_is_that_of_a_server_of_what_it_sees() {
    let mut random = Random(77);
    let mut world = world(&mut random);
    // Each event is waited for, so some will do; on both sides one that makes an alert.
    world.drain(..world.len().saturating_sub(12));
    for (number, side) in [(1_900, 113.92), (1_901, 113.98)] {
        let mut high = super::one_permission::last(number, "water_level", side);
        high.event["data"]["sensor"] = json!(format!("high-{side}"));
        high.event["data"]["value"] = json!(4.5);
        world.push(high);
    }
    let guarded = {
        let mut server = Server::not_started();
        configured(&server, &LAYERS);
        let admin = super::made_in(&server, &["--name", "first", "--role", "admin"]);
        server.restart();
        Guarded { server, admin }
    };
    make_rule(&guarded.server, Some(&guarded.admin)).await;
    let mut admin = Told::of(&guarded.server, Some(&guarded.admin)).await;
    let mut scopes = Vec::new();
    for scope in SCOPES {
        let mut alone = Server::not_started();
        let layers: Vec<&str> = LAYERS
            .into_iter()
            .filter(|layer| scope.0.is_empty() || scope.0.contains(layer))
            .collect();
        configured(&alone, &layers);
        alone.restart();
        if layers.contains(&"water_level") {
            make_rule(&alone, None).await;
        }
        let mut rights = json!({"role": "analyst"});
        for (member, names) in [("layers", scope.0), ("areas", scope.1)] {
            if !names.is_empty() {
                rights[member] = json!(names);
            }
        }
        let key = guarded.key(rights).await;
        let (of_scope, of_alone) = (
            Told::of(&guarded.server, Some(&key)).await,
            Told::of(&alone, None).await,
        );
        scopes.push((scope, alone, of_scope, of_alone, false));
    }
    for placed in &world {
        let event = [placed.event.clone()];
        feed(&guarded.server, Some(&guarded.admin), &event).await;
        admin.up_to(placed.layer).await;
        for (scope, alone, of_scope, of_alone, has_begun) in &mut scopes {
            if !is_seen(placed, *scope) {
                continue;
            }
            feed(alone, None, &event).await;
            if *has_begun {
                let (shown, should) = (of_scope.tiles().await, of_alone.tiles().await);
                assert_eq!(shown, should, "{} in {scope:?}", placed.event);
                assert_eq!(shown, json!({"layers": [placed.layer]}));
            } else {
                // A page whose rights nobody had is told first what there is.
                of_scope.up_to(placed.layer).await;
                of_alone.up_to(placed.layer).await;
                *has_begun = true;
            }
        }
    }
    // What the last event caused is told a moment after it: once more one of each, and all before is there.
    let mut number = 2_000;
    for layer in ["noise", "flooding", "water_level"] {
        for side in [113.92, 113.98] {
            number += 1;
            let placed = super::one_permission::last(number, layer, side);
            let event = [placed.event.clone()];
            feed(&guarded.server, Some(&guarded.admin), &event).await;
            admin.up_to(layer).await;
            for (scope, alone, of_scope, of_alone, _) in &mut scopes {
                if is_seen(&placed, *scope) {
                    feed(alone, None, &event).await;
                    assert_eq!(of_scope.tiles().await, of_alone.tiles().await, "{scope:?}");
                }
            }
        }
    }
    for (scope, _, of_scope, of_alone, _) in &mut scopes {
        of_scope.alerts.sort_by_key(Value::to_string);
        of_alone.alerts.sort_by_key(Value::to_string);
        assert_eq!(of_scope.alerts, of_alone.alerts, "{scope:?}");
        let sees_gauges = scope.0.is_empty() || scope.0.contains(&"water_level");
        assert_eq!(!of_scope.alerts.is_empty(), sees_gauges, "{scope:?}");
    }
}
