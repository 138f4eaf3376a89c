//! `riskgrid check-config`.

use std::path::PathBuf;

use clap::Args;
use riskgrid_ingest::decode::feed::FeedOrigin;

use super::VerbResult;
use crate::config::Config;

/// Which file.
#[derive(Debug, Args)]
pub(super) struct CheckConfigArguments {
    /// Configuration file; without it the environment alone is checked.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &CheckConfigArguments) -> VerbResult {
    let checked = Config::load(arguments.config.as_deref(), &[])?.check()?;
    let config = &checked.config;
    let log = if config.kafka.is_enabled() {
        format!("Kafka at {}", config.kafka.brokers)
    } else {
        "embedded journal".to_owned()
    };
    println!("listens on  {}", config.server.listen);
    println!("state in    {}", config.storage.data_dir.display());
    println!("checkpoints {}", config.storage.checkpoint_place());
    println!("log         {log}");
    println!(
        "grid        H3 resolution {}, buckets of {}",
        config.grid.resolution, config.grid.bucket
    );
    for (_, layer) in checked.layers.iter() {
        println!(
            "layer       {} ({}, {})",
            layer.id,
            layer.kind.as_str(),
            layer.unit.as_deref().unwrap_or("no unit")
        );
    }
    for feed in &checked.feeds {
        let origin = match &feed.settings.from {
            FeedOrigin::Kafka { topic } => format!("topic {topic}"),
            FeedOrigin::File { path, .. } => format!("file {}", path.display()),
        };
        println!(
            "feed        {} from {origin}, clock domain {}",
            feed.settings.name, feed.feed.rules.domain
        );
    }
    for area in &config.areas {
        println!("areas       {} from {}", area.level, area.file.display());
    }
    for facilities in &config.facilities {
        println!("facilities  from {}", facilities.file.display());
    }
    for population in &config.population {
        println!("population  from {}", population.file.display());
    }
    let places = &checked.places;
    let (areas, facilities) = (places.areas.areas().len(), places.facilities.facilities().len());
    if areas + facilities + places.population.len() > 0 {
        println!(
            "places      {areas} areas, {facilities} facilities, {} points of population",
            places.population.len()
        );
    }
    println!("ok");
    Ok(())
}
