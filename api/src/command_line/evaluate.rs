//! `riskgrid evaluate`: plays a period of a layer again from its file feeds, and tells how well `risk` and `forecast` would have done
//! beside simple methods. Nothing is stored, and no server is asked.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::Args;
use hashbrown::HashSet;
use indicatif::{ProgressBar, ProgressStyle};
use riskgrid_analytics::risk::evaluation::{
    Method, Occurrence, PlayedGrid, Replay, SHARES, Summary, Tally, interval_of_mean,
};
use riskgrid_analytics::risk::intensity::mark;
use riskgrid_ingest::decode::feed::FeedOrigin;
use riskgrid_ingest::edge::{Edge, PartitionClock, PlaceCache};
use riskgrid_ingest::grid::Span;
use riskgrid_ingest::source::file::{FileOptions, FileRow, FileRows};
use riskgrid_ingest::{Event, EventTime, LayerKind, LayerSettings, LayerTable, SourceKey};

use super::VerbResult;
use crate::config::{Checked, CheckedFeed, Config, Span as Length};
use crate::server::wall_clock;

/// Rows between two looks at the bar.
const ROWS_OF_A_STEP: u64 = 4096;

/// What is played, and how far is looked ahead.
#[derive(Debug, Args)]
pub(super) struct EvaluateArguments {
    /// Configuration file, with file feeds and the layer under [risk.layers].
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The layer, of reports.
    #[arg(long, value_name = "LAYER")]
    layer: String,
    /// The first origin, RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: DateTime<Utc>,
    /// The end of the period, RFC 3339.
    #[arg(long, value_name = "TIME")]
    to: DateTime<Utc>,
    /// How far each forecast looks; origins are so far apart. Default: risk.forecast.
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    horizon: Option<std::time::Duration>,
    /// Seed of the weeks that are drawn again.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &EvaluateArguments) -> VerbResult {
    let loaded = Config::load(Some(&arguments.config), &[])?;
    let folder = loaded.folder.clone();
    let checked = loaded.check()?;
    let (replay, mut played, events) = prepare(arguments, &checked, &folder)?;
    let period = Span {
        start: EventTime::from(arguments.from),
        end: EventTime::from(arguments.to),
    };
    let origins = period.end.since(period.start) / replay.horizon.max(1);
    if origins < 1 {
        return Err("the period is shorter than the horizon; name a later --to".into());
    }
    let bar = ProgressBar::new(u64::try_from(origins).unwrap_or(0));
    bar.set_style(ProgressStyle::with_template(
        "{msg} [{wide_bar}] {pos}/{len} origins, {eta} left",
    )?);
    let mut to_come = events.iter().peekable();
    let mut risk = |origin| {
        while let Some(event) = to_come.next_if(|event| event.time < origin) {
            played.take(event);
        }
        played.risk_at(&replay.domain, origin)
    };
    let tallies = replay.run(period, Some(&mut risk), |origin| {
        bar.set_message(origin.to_utc().format("%Y-%m-%d").to_string());
        bar.inc(1);
        true
    });
    bar.finish_and_clear();
    let told: Vec<(Method, Summary)> = tallies
        .iter()
        .map(|(method, tally)| (*method, tally.summary(arguments.seed)))
        .collect();
    let gain = gain_over_the_long_run(&tallies, arguments.seed);
    if arguments.json {
        println!("{}", as_json(arguments, &replay, &told, gain));
    } else {
        print_table(arguments, &replay, &told, gain);
    }
    Ok(())
}

/// Reads the events of the layer, and its model.
fn prepare(
    arguments: &EvaluateArguments,
    checked: &Checked,
    folder: &Path,
) -> Result<(Replay, PlayedGrid, Vec<Event<'static>>), Box<dyn std::error::Error + Send + Sync>> {
    let not_on_surface = || {
        format!(
            "`{}` is not on the risk surface; add [risk.layers.{}] to the configuration",
            arguments.layer, arguments.layer
        )
    };
    let engine = checked.risk.as_ref().ok_or_else(not_on_surface)?;
    let model = engine
        .model()
        .layer(&arguments.layer)
        .ok_or_else(not_on_surface)?;
    let mut events = read_events(&arguments.layer, checked, folder)?;
    events.sort_by_key(|event| (event.time, event.hash));
    if events.is_empty() {
        return Err(format!(
            "no file feed of the configuration gives reports of `{}`",
            arguments.layer
        )
        .into());
    }
    let domain: Arc<[u64]> = engine.domain_of(&arguments.layer).unwrap_or_else(|| {
        // Without an area the cells that ever had an event are all that there is to choose from.
        let mut cells: Vec<u64> = events.iter().filter_map(cell_of).collect();
        cells.sort_unstable();
        cells.dedup();
        cells.into()
    });
    let severity_factor = engine.model().severity_factor;
    let occurrences: Vec<Occurrence> = events
        .iter()
        .filter_map(|event| {
            Some(Occurrence {
                time: event.time,
                position: domain.binary_search(&cell_of(event)?).ok()?,
                events: 1,
                marks: mark(1, u64::from(event.weight), severity_factor),
            })
        })
        .collect();
    let horizon = arguments
        .horizon
        .map_or(engine.model().forecast, |horizon| Length(horizon).micros());
    let settings: LayerSettings =
        serde_json::from_value(serde_json::json!({"id": arguments.layer, "kind": "report"}))?;
    let played = PlayedGrid::new(engine.clone(), settings, checked.grid, &checked.places)?;
    let replay = Replay {
        domain,
        resolution: checked.resolution,
        half_life: model.half_life,
        kernel: model.kernel.clone(),
        horizon: horizon.max(checked.grid.calendar.bucket()),
        calendar: checked.grid.calendar,
        occurrences,
    };
    Ok((replay, played, events))
}

fn cell_of(event: &Event<'_>) -> Option<u64> {
    event.position.map(|position| position.cell.into())
}

/// What the surface asks of an event, with no text.
const fn without_texts(event: &Event<'_>) -> Event<'static> {
    Event {
        kind: event.kind,
        id: Cow::Borrowed(""),
        source: Cow::Borrowed(""),
        time: event.time,
        clock: event.time,
        received: event.time,
        hash: event.hash,
        layer: event.layer,
        position: event.position,
        areas: None,
        value: None,
        severity: event.severity,
        weight: event.weight,
        op: event.op,
        entity: Cow::Borrowed(""),
        channel: event.channel,
        source_hash: event.source_hash,
        outcome: None,
        status: None,
        skills: Vec::new(),
        mirrored: None,
    }
}

fn read_events(
    layer: &str,
    checked: &Checked,
    folder: &Path,
) -> Result<Vec<Event<'static>>, Box<dyn std::error::Error + Send + Sync>> {
    let mut layers = checked.layers.clone();
    let mut events = Vec::new();
    for feed in &checked.feeds {
        if let FeedOrigin::File { path, .. } = &feed.settings.from {
            read_feed(layer, checked, feed, &folder.join(path), &mut layers, &mut events)?;
        }
    }
    Ok(events)
}

fn read_feed(
    layer: &str,
    checked: &Checked,
    feed: &CheckedFeed,
    path: &Path,
    layers: &mut LayerTable,
    events: &mut Vec<Event<'static>>,
) -> VerbResult {
    let edge = Edge {
        resolution: checked.resolution,
        future_skew: checked.config.edge.future_skew.micros(),
        bounds: checked.config.edge.bounds,
        // Who reported is told apart, under a key that is nobody's.
        source_key: SourceKey([0; 16]),
    };
    let mut places = PlaceCache::new(checked.resolution);
    let options = FileOptions::new(&feed.settings, 0, checked.config.edge.max_event.as_usize());
    let mut rows = FileRows::open(path, options).map_err(|error| format!("{}: {error}", path.display()))?;
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {msg}: {pos} rows")?);
    bar.set_message(feed.settings.name.clone());
    let (mut row, mut seen, now) = (FileRow::default(), HashSet::new(), wall_clock());
    let mut rules = feed.feed.rules.clone();
    // The clock of the layer is moved by all of its feeds, which a server would not let two historic ones do.
    let known = layers.find(layer).and_then(|index| layers.get(index));
    if let Some(known) = known {
        rules.domain.clone_from(&known.domain);
    }
    // Nothing is too late here: all of the past is asked for.
    let clock = PartitionClock {
        oldest_admitted: None,
    };
    while rows.read_row(&mut row)? {
        if row.row.is_multiple_of(ROWS_OF_A_STEP) {
            bar.set_position(row.row);
        }
        for candidate in feed.feed.mapper.map(&row.bytes).into_iter().flatten() {
            let Ok(judged) = edge.judge(candidate, now, &rules, clock, layers, &mut places) else {
                continue;
            };
            let known = match judged.new_layer {
                Some(new) => layers.insert(new),
                None => judged.event.layer,
            };
            let is_asked = known
                .and_then(|index| layers.get(index))
                .is_some_and(|known| known.id == layer && known.kind == LayerKind::Report);
            if is_asked
                && judged.event.counts()
                && judged.event.position.is_some()
                && seen.insert(judged.event.hash)
            {
                events.push(without_texts(&judged.event));
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Nats per event by which the forecast is better than the long-run mean, with the interval that holds 90 % of draws.
fn gain_over_the_long_run(tallies: &[(Method, Tally)], seed: u64) -> (f64, Option<[f64; 2]>) {
    let weeks = |method: Method| {
        let found = tallies.iter().find(|(of, _)| *of == method);
        found.map(|(_, tally)| tally.weeks()).unwrap_or_default()
    };
    let of_each: Vec<(f64, f64)> = weeks(Method::Forecast)
        .iter()
        .zip(weeks(Method::LongRunMean))
        .map(|((forecast, events), (long_run, _))| (forecast - long_run, *events))
        .collect();
    let (sum, events) = of_each.iter().fold((0.0, 0.0), |(sum, all), (more, events)| {
        (sum + more, all + events)
    });
    let gain = if events > 0.0 { sum / events } else { 0.0 };
    (gain, interval_of_mean(&of_each, seed))
}

fn print_table(
    arguments: &EvaluateArguments,
    replay: &Replay,
    told: &[(Method, Summary)],
    (gain, interval): (f64, Option<[f64; 2]>),
) {
    let events = told.first().map_or(0.0, |(_, summary)| summary.events);
    println!(
        "{}: {events} events in {} cells of resolution {}, horizon {}",
        arguments.layer,
        replay.domain.len(),
        u8::from(replay.resolution),
        humantime::format_duration(std::time::Duration::from_micros(replay.horizon.unsigned_abs())),
    );
    let shares = SHARES.map(|share| format!("{}%", share * 100.0)).join("/");
    println!(
        "{:<14} {:>20} {:>20} {:>20} {:>7} {:>16} {:>9}  observed/expected by tenth",
        "method",
        format!("HR % {shares}"),
        format!("PAI {shares}"),
        format!("PEI {shares}"),
        "IG",
        "90 %",
        "log score"
    );
    for (method, summary) in told {
        let three =
            |values: [f64; 3], digits: usize| values.map(|value| format!("{value:.digits$}")).join("/");
        let interval = summary
            .gain_interval
            .map_or_else(String::new, |[low, high]| format!("{low:.3} to {high:.3}"));
        let calibration: Vec<String> = summary
            .calibration
            .iter()
            .map(|ratio| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")))
            .collect();
        println!(
            "{:<14} {:>20} {:>20} {:>20} {:>7.3} {:>16} {:>9.3}  {}",
            method.as_str(),
            three(summary.hit_rate.map(|rate| rate * 100.0), 1),
            three(summary.accuracy, 2),
            three(summary.efficiency, 3),
            summary.gain,
            interval,
            summary.log_score,
            calibration.join(" ")
        );
    }
    let interval = interval.map_or_else(String::new, |[low, high]| format!(", 90 % {low:.3} to {high:.3}"));
    let verdict = if gain > 0.0 { "better" } else { "NOT better" };
    println!("forecast is {verdict} than the long-run mean: {gain:+.3} nats per event{interval}");
}

fn as_json(
    arguments: &EvaluateArguments,
    replay: &Replay,
    told: &[(Method, Summary)],
    (gain, interval): (f64, Option<[f64; 2]>),
) -> serde_json::Value {
    let methods: Vec<serde_json::Value> = told
        .iter()
        .map(|(method, summary)| {
            serde_json::json!({
                "method": method.as_str(),
                "hit_rate": summary.hit_rate,
                "pai": summary.accuracy,
                "pei": summary.efficiency,
                "ig": summary.gain,
                "ig_interval": summary.gain_interval,
                "log_score": summary.log_score,
                "calibration": summary.calibration,
            })
        })
        .collect();
    serde_json::json!({
        "layer": arguments.layer,
        "cells": replay.domain.len(),
        "events": told.first().map_or(0.0, |(_, summary)| summary.events),
        "shares": SHARES,
        "methods": methods,
        "ig_over_long_run_mean": gain,
        "ig_over_long_run_mean_interval": interval,
    })
}
