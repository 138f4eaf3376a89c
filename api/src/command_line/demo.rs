//! `riskgrid demo`: plays a scenario through the real server, as a historic file feed with a clock of its own.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use flate2::Compression;
use flate2::write::GzEncoder;
use indicatif::{ProgressBar, ProgressStyle};
use riskgrid_fixtures::{TimedLine, earthquakes, typhoon};
use riskgrid_ingest::EventTime;
use serde_json::{Value, json};

use super::serve::positive;
use super::{VerbResult, asked_to_stop, demo_offices, demo_receiver};
use crate::config::Config;
use crate::server::{Server, ServerOptions};

/// The secret of the demo's receiver, which lives as long as the demo and listens on this machine only.
const SECRET: &str = "whsec_cmlza2dyaWQtZGVtby1yZWNlaXZlci1zZWNyZXQ=";
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What to play, and how.
#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// What is played.
    #[arg(long, value_enum, default_value_t = Scenario::Typhoon)]
    scenario: Scenario,
    /// Event seconds played in one second. Default: 240 for the typhoon (the day takes six minutes), 1500 for earthquakes.
    #[arg(long, value_name = "FACTOR", value_parser = positive)]
    speed: Option<f64>,
    /// Address and port; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Keep state in this folder, which must be new or empty. Default: a temporary folder, removed at the end.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Seed of the typhoon: the same seed plays the same day.
    #[arg(long, default_value_t = typhoon::Options::default().seed)]
    seed: u64,
    /// How many sensors the typhoon's city has.
    #[arg(long, default_value_t = typhoon::Options::default().sensors)]
    sensors: usize,
    /// End when everything is played, instead of staying up.
    #[arg(long)]
    once: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// A simulated typhoon day over an invented coastal city: gauges, masts, power meters and calls.
    Typhoon,
    /// A real week of earthquakes as the USGS published it (public domain).
    Earthquakes,
}

/// By what the day's risk is scored: everything here is invented, as the city is.
const MODEL: &str = r#"
[[areas]]
level = "district"
file = "districts.geojson"
name = "name"
population = "people"

[[facilities]]
kind = "kind"
file = "facilities.csv"
name = "name"
lon = "lon"
lat = "lat"

[risk.groups]
flood = ["water_level", "flooding", "rescue"]
storm = ["wind", "fallen_tree", "power_outage"]

[risk.layers.water_level]
half_life = "3h"
levels = [[1.5, 0.0], [3.5, 0.4], [4.5, 0.8]]
valid_for = "30m"

[risk.layers.wind]
half_life = "3h"
levels = [[17.0, 0.0], [25.0, 0.4], [33.0, 0.8]]
valid_for = "30m"

[risk.layers.flooding]
half_life = "3h"
half_level = 20.0

[risk.layers.rescue]
half_life = "3h"
half_level = 10.0

[risk.layers.power_outage]
half_life = "12h"
half_level = 40.0

[risk.layers.fallen_tree]
half_life = "12h"
half_level = 40.0

[risk.exposure]
facilities = { hospital = 3.0, school = 1.0 }
infrastructure = { substation = 2.0 }

[[risk.susceptibility]]
file = "old_people.csv"
area = "district"
value = "old"
lo = 0.0
hi = 0.4

[[risk.coping]]
kind = "hospital"
distance = 3.0

[[risk.coping]]
kind = "fire_station"
distance = 2.0
"#;

/// What differs between the scenarios.
struct Script {
    layer: &'static str,
    title: &'static str,
    notice: &'static str,
    center: (f64, f64),
    zoom: f64,
    start: EventTime,
    seconds: u64,
    speed: f64,
    base_map: String,
    rules: Value,
    sql: &'static str,
    /// Reference layers and risk model, with the files that they name.
    model: Option<(&'static str, Vec<(&'static str, String)>)>,
    /// What it is of the hotline, whose offices are played too.
    hotline: Option<&'static str>,
}

pub(super) async fn run(arguments: DemoArguments) -> VerbResult {
    let temporary = tempfile::Builder::new().prefix("riskgrid-demo-").tempdir()?;
    let folder = arguments
        .data_dir
        .clone()
        .unwrap_or_else(|| temporary.path().to_owned());
    if folder.join("events.ndjson.gz").exists() {
        let shown = folder.display();
        return Err(format!("{shown} holds a demo already; name a new folder, or remove that one").into());
    }
    std::fs::create_dir_all(&folder)?;
    let options = typhoon::Options {
        seed: arguments.seed,
        sensors: arguments.sensors,
        ..typhoon::Options::default()
    };
    let script = script(arguments.scenario, &options);
    let speed = arguments.speed.unwrap_or(script.speed);

    println!("riskgrid demo: {}", script.notice);
    let events = match arguments.scenario {
        Scenario::Typhoon => write_events(
            &folder,
            typhoon::events(&options),
            typhoon::expected_events(&options),
        )?,
        Scenario::Earthquakes => {
            let events = earthquakes::events();
            let expected = events.len() as u64;
            write_events(&folder, events.into_iter(), expected)?
        }
    };
    let file = write_configuration(&folder, &script, arguments.listen, speed)?;
    let loaded = Config::load(Some(&file), &[])?;
    let checked = loaded.check()?;
    let server_options = ServerOptions {
        speed: None,
        base_map: Some(script.base_map.clone()),
    };
    let server = Box::pin(Server::start(checked, &folder, server_options)).await?;
    let url = format!("http://{}", server.address());

    let bar = ProgressBar::new(script.seconds);
    bar.set_style(
        ProgressStyle::with_template("{msg} [{wide_bar}] {percent}% of the time played")?
            .progress_chars("=> "),
    );
    let shown = bar.clone();
    let show: demo_receiver::Show = Arc::new(move |line| say(&shown, line));
    let receiver = demo_receiver::start(SECRET, show).await?;
    set_up_alerts(&url, receiver, &script.rules).await?;
    if script.hotline.is_some() {
        demo_offices::open(&url).await?;
        // They end with the runtime.
        tokio::spawn(demo_offices::work(server.address()));
    }
    say(&bar, &invitation(&url, &script, &file, speed));

    let stopped = tokio::select! {
        stopped = asked_to_stop() => { stopped?; true }
        () = follow(&server, &script, events, &bar) => false,
    };
    if !stopped {
        bar.finish_with_message("played to the end");
        if !arguments.once {
            say(
                &bar,
                &format!("{} stays up at {url}; Ctrl-C ends it.", script.title),
            );
            asked_to_stop().await?;
        }
    }
    server.stop().await?;
    Ok(())
}

/// Prints a line above the bar, or plainly where there is no terminal for one.
fn say(bar: &ProgressBar, line: &str) {
    if bar.is_hidden() {
        println!("{line}");
    } else {
        bar.println(line);
    }
}

fn script(scenario: Scenario, options: &typhoon::Options) -> Script {
    match scenario {
        Scenario::Typhoon => Script {
            layer: "*",
            title: "Typhoon day",
            notice: "Simulated: an invented coast and an invented day, made by a seeded generator",
            center: riskgrid_fixtures::CENTRE,
            zoom: 11.0,
            start: EventTime::from_micros(typhoon::START_MICROS),
            seconds: typhoon::LENGTH_SECONDS,
            speed: 240.0,
            base_map: typhoon::base_map(options),
            rules: json!([
                {"name": "river high", "kind": "threshold", "layer": "water_level", "per": "sensor", "metric": "last",
                 "above": 3.5, "clear_below": 3.2, "for": "2m", "severity": "major", "webhooks": ["demo"]},
                {"name": "calls pile up", "kind": "threshold", "layer": "flooding", "per": "cell", "resolution": 8,
                 "metric": "count", "window": "15m", "at_least": 20, "clear_below": 10, "severity": "critical",
                 "webhooks": ["demo"], "case": true},
            ]),
            sql: "SELECT cell, layer, risk, loo_hazard, loo_exposure, population FROM risk ORDER BY risk DESC LIMIT 5",
            model: Some((MODEL, files_of_the_city(options))),
            hotline: Some(demo_offices::LAYERS),
        },
        Scenario::Earthquakes => Script {
            layer: "magnitude",
            title: "A week of earthquakes",
            notice: "A real week of earthquakes, as published by the USGS (public domain)",
            center: (-140.0, 30.0),
            zoom: 2.0,
            start: EventTime::from_micros(earthquakes::START_MICROS),
            seconds: earthquakes::LENGTH_SECONDS,
            speed: 1500.0,
            base_map: earthquakes::base_map().to_owned(),
            rules: json!([
                {"name": "strong shock", "kind": "threshold", "layer": "magnitude", "per": "sensor", "metric": "last",
                 "at_least": 4.5, "severity": "major", "webhooks": ["demo"]},
                {"name": "swarm", "kind": "threshold", "layer": "magnitude", "per": "cell", "resolution": 3,
                 "metric": "count", "window": "6h", "at_least": 15, "clear_below": 8, "severity": "critical",
                 "webhooks": ["demo"]},
            ]),
            sql: "SELECT cell, max(max) AS magnitude, sum(count) AS shocks FROM cells WHERE layer = 'magnitude' GROUP BY cell ORDER BY magnitude DESC LIMIT 5",
            model: None,
            hotline: None,
        },
    }
}

fn files_of_the_city(options: &typhoon::Options) -> Vec<(&'static str, String)> {
    let city = typhoon::reference(options);
    vec![
        ("districts.geojson", city.districts),
        ("old_people.csv", city.old_people),
        ("facilities.csv", city.facilities),
    ]
}

/// Writes the scenario's events where the file feed reads them. Returns how many there are.
fn write_events(
    folder: &Path,
    events: impl Iterator<Item = TimedLine>,
    expected: u64,
) -> std::io::Result<u64> {
    let bar = ProgressBar::new(expected);
    bar.set_message("making the events");
    let file = BufWriter::new(File::create(folder.join("events.ndjson.gz"))?);
    let mut file = GzEncoder::new(file, Compression::fast());
    let mut written = 0;
    for event in events {
        file.write_all(event.json.as_bytes())?;
        file.write_all(b"\n")?;
        written += 1;
        if written % 4096 == 0 {
            bar.set_position(written);
        }
    }
    file.finish()?.flush()?;
    bar.finish_and_clear();
    Ok(written)
}

/// The demo runs from a configuration file like anybody's, so that one can read how it is done.
fn write_configuration(
    folder: &Path,
    script: &Script,
    listen: SocketAddr,
    speed: f64,
) -> std::io::Result<PathBuf> {
    let end = script
        .start
        .plus(i64::try_from(script.seconds).unwrap_or(i64::MAX / 1_000_000) * 1_000_000);
    let data_dir = folder.join("state");
    let text = format!(
        r#"# Written by `riskgrid demo`.
[server]
listen = "{listen}"

[storage]
data_dir = '{data_dir}'

[webhooks]
allow_private = true   # the demo's receiver listens on this machine

[console]
title = "{title}"
notice = "{notice}"
center = [{lon:?}, {lat:?}]
zoom = {zoom:?}
layer = "{layer}"

[[feeds]]
name = "demo"
from = {{ file = "events.ndjson.gz", speed = {speed:?} }}
format = "cloudevents"
clock = "event"
valid_from = "{start}"
valid_to = "{end}"
notify = true          # a replay that wakes people; its own clock judges the age of alerts
{hotline}{model}"#,
        hotline = script.hotline.unwrap_or_default(),
        model = script.model.as_ref().map_or("", |(model, _)| model),
        title = script.title,
        notice = script.notice,
        lon = script.center.0,
        lat = script.center.1,
        zoom = script.zoom,
        layer = script.layer,
        start = script.start,
        data_dir = data_dir.display(),
    );
    for (name, content) in script.model.iter().flat_map(|(_, files)| files) {
        std::fs::write(folder.join(name), content)?;
    }
    let file = folder.join("riskgrid.toml");
    std::fs::write(&file, text)?;
    Ok(file)
}

/// Makes the webhook and the rules by the API, as a client would.
async fn set_up_alerts(url: &str, receiver: SocketAddr, rules: &Value) -> VerbResult {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let webhook = json!({"name": "demo", "url": format!("http://{receiver}/hook"), "secret": SECRET,
        "filter": {"types": ["case.card"]}});
    let mut requests = vec![("webhooks", webhook)];
    requests.extend(
        rules
            .as_array()
            .into_iter()
            .flatten()
            .map(|rule| ("rules", rule.clone())),
    );
    for (path, body) in requests {
        let answer = client.post(format!("{url}/v1/{path}")).json(&body).send().await?;
        if !answer.status().is_success() {
            return Err(format!("POST /v1/{path}: {}", answer.text().await?).into());
        }
    }
    Ok(())
}

fn invitation(url: &str, script: &Script, file: &Path, speed: f64) -> String {
    format!(
        "\n  the page   {url}/\n  SQL        curl -s {url}/v1/sql -H 'Accept: text/csv' --data-urlencode \"sql={sql}\" -G\n  a tile     {url}/v1/tiles/{layer}.json  (TileJSON; tiles are /v1/tiles/{layer}/{{z}}/{{x}}/{{y}}.mvt)\n  set up by  {file}\n\n{speed} event seconds play in one second. Alerts and their webhooks appear below.\n",
        sql = script.sql,
        layer = script.layer.replace('*', "%2A"),
        file = file.display(),
    )
}

/// Moves the bar until every event is in the grid.
async fn follow(server: &Server, script: &Script, events: u64, bar: &ProgressBar) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        let snapshot = server.app().reader.snapshot();
        let newest = snapshot.domain("demo").and_then(|clock| clock.newest_bucket_end);
        if let Some(time) = newest {
            bar.set_position(
                u64::try_from(time.since(script.start) / 1_000_000)
                    .unwrap_or(0)
                    .min(script.seconds),
            );
            bar.set_message(time.to_utc().format("%a %H:%M").to_string());
        }
        if snapshot.counts().read >= events {
            return;
        }
    }
}
