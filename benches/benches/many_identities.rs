//! Two hundred identities with keys of their own ask small questions of a city that goes on: how long each waits. Fair is a
//! slowest identity whose p99 is at most three times that of the median one, and all p99 are below a tenth of a second.

use std::time::{Duration, Instant};

use riskgrid_benches::server::{Server, succeeded};
use riskgrid_benches::{Outcome, over_a_day, print_latencies, print_times, times_of};
use serde_json::{Value, json};

const EVENTS: u64 = 500_000;
const SENSORS: usize = 20_000;
const IDENTITIES: usize = 200;
/// Of each question by one alone, before.
const RUNS: usize = 15;
const REQUESTS: usize = 40;
/// What an identity waits between two questions: two hundred people look at a page each, a hundred questions a second.
const PAUSE: Duration = Duration::from_secs(2);

const QUESTIONS: [&str; 4] = [
    "SELECT cell, sum(count) AS n FROM cells WHERE layer = 'water_level' GROUP BY cell ORDER BY n DESC LIMIT 10",
    "SELECT layer, count FROM layers ORDER BY count DESC LIMIT 5",
    "SELECT count(*) FROM cells WHERE layer = 'noise'",
    "SELECT sensor, value FROM sensors WHERE layer = 'water_level' ORDER BY value DESC LIMIT 10",
];

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut server = Server::new("")?;
    server.start()?;
    server.fill(&over_a_day(EVENTS, SENSORS)).await?;
    // From here on it is guarded.
    let admin = key(&server, None, json!({"name": "first", "role": "admin"})).await?;
    let mut keys = Vec::with_capacity(IDENTITIES);
    for number in 0..IDENTITIES {
        let new = json!({"name": format!("identity {number}"), "role": "analyst"});
        keys.push(key(&server, Some(&admin), new).await?);
    }
    for question in QUESTIONS {
        let times = times_of(RUNS, async || {
            let request = server.client.post(server.url("/v1/sql")).bearer_auth(&admin);
            succeeded(request.json(&json!({ "sql": question })).send().await?)
                .await?
                .bytes()
                .await?;
            Ok(())
        })
        .await?;
        print_times(&question[..question.len().min(42)], times, |_| String::new());
    }
    let began = Instant::now();
    let tasks: Vec<_> = keys
        .into_iter()
        .zip(0..)
        .map(|(key, number)| {
            let (client, url) = (server.client.clone(), server.url("/v1/sql"));
            tokio::spawn(async move {
                // Spread over the pause, as people are.
                tokio::time::sleep(PAUSE * number / IDENTITIES as u32).await;
                let mut times = Vec::with_capacity(REQUESTS);
                for question in QUESTIONS.iter().cycle().take(REQUESTS) {
                    let asked = Instant::now();
                    let request = client
                        .post(&url)
                        .bearer_auth(&key)
                        .json(&json!({ "sql": question }));
                    succeeded(request.send().await?).await?.bytes().await?;
                    times.push(asked.elapsed());
                    tokio::time::sleep(PAUSE).await;
                }
                Outcome::Ok(times)
            })
        })
        .collect();
    let (mut all, mut of_identities) = (Vec::new(), Vec::new());
    for task in tasks {
        let mut times = task.await??;
        times.sort_unstable();
        of_identities.push(times.get(times.len() * 99 / 100).copied().unwrap_or_default());
        all.extend(times);
    }
    let rate = all.len() as f64 / began.elapsed().as_secs_f64();
    print_latencies(&format!("{IDENTITIES} identities, {rate:.0} questions/s"), all);
    of_identities.sort_unstable();
    let median = of_identities.get(IDENTITIES / 2).copied().unwrap_or_default();
    let slowest = of_identities.last().copied().unwrap_or_default();
    println!(
        "p99 of the median identity {median:.3?}, of the slowest {slowest:.3?}: {:.2} times (fair: at most 3)",
        slowest.as_secs_f64() / median.as_secs_f64().max(f64::MIN_POSITIVE)
    );
    Ok(())
}

async fn key(server: &Server, by: Option<&str>, new: Value) -> Outcome<String> {
    let request = server.client.post(server.url("/v1/keys")).json(&new);
    let request = match by {
        Some(key) => request.bearer_auth(key),
        None => request,
    };
    let made: Value = succeeded(request.send().await?).await?.json().await?;
    made["key"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| "no key was made".into())
}
