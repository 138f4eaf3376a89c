//! What a configuration means once all its parts are checked together.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use h3o::Resolution;
use riskgrid_analytics::hotline::geocoder::Gazetteer;
use riskgrid_analytics::publication::{LayerRule, PublicStep};
use riskgrid_analytics::risk::RiskEngine;
use riskgrid_analytics::rules::RuleBounds;
use riskgrid_ingest::decode::feed::{FeedMapper, FeedOrigin, FeedSettings};
use riskgrid_ingest::grid::{Calendar, EventLogLimits, GridSettings, PartitionId, Retention};
use riskgrid_ingest::pipeline::Feed;
use riskgrid_ingest::places::{self, Places};
use riskgrid_ingest::{DAY, HOUR, LayerKind, LayerSettings, LayerTable, VisibleToPublic};

use super::{Config, ConfigError, Loaded, ServerSection, alerts, risk};
use crate::alerts::rule_files::{self, FileRule};
use crate::alerts::store::{IncidentSettings, NoiseSettings, Pauses};
use crate::database::PostgresAddress;
use crate::http::forwarded::Addresses;
use crate::http::read_hosts;

const SECOND: Duration = Duration::from_secs(1);
/// Who waits longer for a client waits for nobody.
const LONGEST_HTTP_WAIT: Duration = Duration::from_hours(24);
/// Longer would outlast the time within which Kafka's group must hear of a member that reads.
const LONGEST_RETRY: Duration = Duration::from_mins(5);

/// A feed that compiles.
#[derive(Debug)]
pub struct CheckedFeed {
    /// As written.
    pub settings: FeedSettings,
    /// Compiled.
    pub feed: Arc<Feed>,
}

impl CheckedFeed {
    /// The topic of its partitions.
    pub fn topic(&self) -> Arc<str> {
        match &self.settings.from {
            FeedOrigin::Kafka { topic } => topic.as_str().into(),
            FeedOrigin::File { .. } => PartitionId::of_file(&self.settings.name).topic,
        }
    }
}

/// A configuration whose parts fit each other.
#[derive(Debug)]
pub struct Checked {
    /// As written.
    pub config: Config,
    /// The grid's settings.
    pub grid: GridSettings,
    /// Base resolution.
    pub resolution: Resolution,
    /// The configured layers.
    pub layers: LayerTable,
    /// The feeds, compiled.
    pub feeds: Vec<CheckedFeed>,
    /// The reference layers, loaded.
    pub places: Arc<Places>,
    /// What makes alerts one incident.
    pub incidents: IncidentSettings,
    /// What keeps alerts quiet.
    pub noise: NoiseSettings,
    /// What makes risk surfaces, if any layer is on them.
    pub risk: Option<RiskEngine>,
    /// What the grid can answer to rules.
    pub rule_bounds: RuleBounds,
    /// Rules that stand in files.
    pub rules: Vec<FileRule>,
    /// What addresses are looked up in.
    pub gazetteer: Arc<Gazetteer>,
    /// Where decisions are, if not in a file.
    pub decisions: Option<PostgresAddress>,
}

/// How a layer is published, if it is.
///
/// # Errors
/// A resolution or step that is none.
pub fn layer_rule(layer: &LayerSettings, config: &Config) -> Result<LayerRule, ConfigError> {
    let wrong = |text: String| ConfigError::Value(format!("layers: layer `{}`: {text}", layer.id));
    let step = layer.public_step.parse::<PublicStep>();
    if layer.public_resolution > config.grid.resolution {
        return Err(wrong(format!(
            "public_resolution is {}, allowed is 0 to {}, that of the grid",
            layer.public_resolution, config.grid.resolution
        )));
    }
    Ok(LayerRule {
        resolution: layer.public_resolution,
        step: step.map_err(|error| wrong(format!("public_step: {error}")))?,
        k: config.access.public.k,
        min_sources: config.access.public.min_sources,
        from: None,
    })
}

impl Loaded {
    /// Checks what no single key can tell, compiles the feeds and loads the reference layers.
    ///
    /// # Errors
    /// The first thing that is wrong: which key, what it holds, what is allowed.
    pub fn check(self) -> Result<Checked, ConfigError> {
        let Self { config, folder } = self;
        let wrong = |text: String| Err(ConfigError::Value(text));
        let grid = &config.grid;
        let Ok(resolution) = Resolution::try_from(grid.resolution) else {
            return wrong(format!(
                "`grid.resolution` is {}, allowed are 0 to 15",
                grid.resolution
            ));
        };
        let bucket = grid.bucket.micros();
        if bucket < 1_000_000 || HOUR % bucket != 0 {
            return wrong(format!(
                "`grid.bucket` is {}, it must divide an hour: 1s, 10s, 1m, 5m, 15m …",
                grid.bucket
            ));
        }
        let Ok(zone) = grid.time_zone.parse::<Tz>() else {
            return wrong(format!(
                "`grid.time_zone` is `{}`, it must be an IANA name like Asia/Shanghai",
                grid.time_zone
            ));
        };
        let steps = grid.retention.steps();
        let (minutes, hours, days) = (steps.minutes.micros(), steps.hours.micros(), steps.days.micros());
        // Days are made from hours and hours from buckets while those are still there.
        if minutes < 26 * HOUR.min(days) || hours < minutes || days < hours || days < DAY {
            return wrong(format!(
                "`grid.retention` keeps minutes {}, hours {}, days {}: minutes must be at least 26h, hours at least \
                 minutes, days at least hours",
                steps.minutes, steps.hours, steps.days
            ));
        }
        if grid.max_layers == 0 || grid.max_layers > usize::from(u16::MAX) {
            return wrong(format!(
                "`grid.max_layers` is {}, allowed are 1 to {}",
                grid.max_layers,
                u16::MAX
            ));
        }
        for (key, most) in [
            ("max_sensors", grid.max_sensors),
            ("max_reports", grid.max_reports),
            ("max_units", grid.max_units),
        ] {
            if most == 0 {
                return wrong(format!("`grid.{key}` is 0, it must be at least 1"));
            }
        }
        if let Some(problem) = config.kafka.problem() {
            return wrong(problem);
        }
        if let Some(bounds) = &config.edge.bounds
            && !bounds.is_valid()
        {
            return wrong(format!(
                "`edge.bounds` is {:?}, it must be [west, south, east, north] in degrees",
                bounds.0
            ));
        }
        if let Err(error) = config.storage.checkpoint_location() {
            return wrong(format!("`storage.checkpoints`: {error}"));
        }
        let store = &config.storage.object_store;
        if store.timeout.0 < SECOND || store.retry_for.0 > LONGEST_RETRY {
            return wrong(format!(
                "`storage.object_store` has timeout {} and retry_for {}: timeout must be at least 1s, retry_for at most 5m",
                store.timeout, store.retry_for
            ));
        }
        if store.access_key_id.is_empty() != store.secret_access_key_file.as_os_str().is_empty() {
            return wrong(
                "`storage.object_store`: access_key_id and secret_access_key_file go together; set both, or neither and use \
                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                    .to_owned(),
            );
        }
        Addresses::new(
            config.server.public_url.as_deref(),
            &config.server.trusted_proxies,
        )?;
        let bounds = &config.alerts;
        if bounds.max_rules == 0 || bounds.max_open_per_rule == 0 || bounds.max_open == 0 {
            return wrong(
                "`alerts.max_rules`, `alerts.max_open_per_rule` and `alerts.max_open` must be at least 1"
                    .to_owned(),
            );
        }
        if config.access.public.k < 3 {
            return wrong(format!(
                "`access.public.k` is {}, it must be at least 3",
                config.access.public.k
            ));
        }
        for layer in &config.layers {
            layer_rule(layer, &config)?;
            if layer.public == VisibleToPublic::Open && layer.kind != LayerKind::Observation {
                return wrong(format!(
                    "layers: layer `{}`: public is `open`, which is for sensors of places: what people report is published \
                     with `suppressed`",
                    layer.id
                ));
            }
        }
        if config.sql.max_concurrent == 0 {
            return wrong("`sql.max_concurrent` is 0, it must be at least 1".to_owned());
        }
        check_http(&config.server)?;
        config.hotline.check()?;
        let gazetteer = Arc::new(config.hotline.read_places(&folder)?);
        let decisions = config.decisions.address(&folder)?;
        let layers = LayerTable::new(&config.layers, grid.max_layers)?;
        let feeds = compile_feeds(&config, &folder)?;
        for layer in &config.layers {
            let known = layer.domain == riskgrid_ingest::LIVE_DOMAIN
                || feeds.iter().any(|feed| feed.feed.rules.domain == layer.domain);
            if !known {
                return wrong(format!(
                    "layer `{}`: `domain` is `{}`, which is neither `live` nor a feed with clock = \"event\"",
                    layer.id, layer.domain
                ));
            }
        }
        let places = places::load(&config.areas, &config.facilities, &config.population, &folder)?;
        let places = Arc::new(places);
        let levels: BTreeSet<&str> = places.areas.areas().iter().map(|area| &*area.level).collect();
        let incidents = config.alerts.incidents.settings(&config.risk.groups, &levels)?;
        let noise = NoiseSettings {
            pauses: Pauses {
                wait: config.webhooks.group_wait.0,
                interval: config.webhooks.group_interval.0,
                repeat: config.webhooks.repeat_interval.0,
                ..Pauses::default()
            },
            public_url: config
                .server
                .public_url
                .as_ref()
                .map(|url| url.trim_end_matches('/').to_owned()),
            ..alerts::noise(&config.alerts.mutes, &config.alerts.inhibit, &levels)?
        };
        let risk = risk::compile(&config.risk, &layers, &places, &folder)?
            .map(|model| RiskEngine::new(Arc::new(model), Arc::clone(&places), resolution))
            .transpose()
            .map_err(|error| ConfigError::of("`risk`", error))?;
        let rule_bounds = RuleBounds {
            base_resolution: u8::from(resolution),
            longest_window: config.grid.retention.steps().days.0,
            shortest_window: config.grid.bucket.0 * 2,
            bucket: config.grid.bucket.0,
        };
        let rules = rule_files::read(&config.alerts.rules, &folder, &rule_bounds)?;
        let grid = GridSettings {
            calendar: Calendar::new(bucket, zone),
            allowed_lateness: grid.allowed_lateness.micros(),
            retention: Retention {
                buckets: minutes,
                hours,
                days,
            },
            dedup_horizon: config.edge.dedup_horizon.micros(),
            dedup_bytes: config.edge.dedup_bytes.as_usize(),
            events: EventLogLimits {
                age: grid.events_age.micros(),
                bytes: grid.events_bytes.as_usize(),
            },
            max_sensors: grid.max_sensors,
            max_reports: grid.max_reports,
            max_units: grid.max_units,
        };
        Ok(Checked {
            config,
            grid,
            resolution,
            layers,
            feeds,
            places,
            incidents,
            noise,
            risk,
            rule_bounds,
            rules,
            gazetteer,
            decisions,
        })
    }
}

fn check_http(server: &ServerSection) -> Result<(), ConfigError> {
    read_hosts(&server.hosts)?;
    if server.body_memory.0 < server.max_body.0 {
        return Err(ConfigError::Value(format!(
            "`server.body_memory` is {}, less than one body of `server.max_body`, {}",
            server.body_memory, server.max_body
        )));
    }
    for (key, span) in [
        ("body_pause", server.body_pause),
        ("body_timeout", server.body_timeout),
        ("header_timeout", server.header_timeout),
        ("write_timeout", server.write_timeout),
    ] {
        if !(SECOND..=LONGEST_HTTP_WAIT).contains(&span.0) {
            return Err(ConfigError::Value(format!(
                "`server.{key}` is {span}; allowed: 1s to 1day"
            )));
        }
    }
    if server.max_connections == 0 {
        return Err(ConfigError::Value(
            "`server.max_connections` is 0, it must be at least 1".to_owned(),
        ));
    }
    Ok(())
}

fn compile_feeds(config: &Config, folder: &Path) -> Result<Vec<CheckedFeed>, ConfigError> {
    let mut feeds: Vec<CheckedFeed> = Vec::with_capacity(config.feeds.len());
    for settings in &config.feeds {
        let name = &settings.name;
        if feeds.iter().any(|other| other.settings.name == *name) {
            return Err(ConfigError::Value(format!(
                "feeds: two feeds are called `{name}`; names must differ"
            )));
        }
        if let FeedOrigin::Kafka { topic, .. } = &settings.from {
            if !config.kafka.is_enabled() {
                return Err(ConfigError::Value(format!(
                    "feed `{name}` reads Kafka topic `{topic}`, but `kafka.brokers` is empty; set it"
                )));
            }
            let same = |other: &&CheckedFeed| matches!(&other.settings.from, FeedOrigin::Kafka { topic: taken, .. } if taken == topic);
            if let Some(other) = feeds.iter().find(same) {
                return Err(ConfigError::Value(format!(
                    "feeds `{name}` and `{}` both read topic `{topic}`; one feed a topic",
                    other.settings.name
                )));
            }
        }
        let mapper = FeedMapper::compile(settings, folder, None)?;
        let rules = mapper.rules();
        let feed = Arc::new(Feed {
            name: name.clone(),
            mapper,
            rules,
        });
        feeds.push(CheckedFeed {
            settings: settings.clone(),
            feed,
        });
    }
    Ok(feeds)
}
