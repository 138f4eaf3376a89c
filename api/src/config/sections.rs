//! The sections of the file, each key with its meaning and default. `riskgrid.default.toml` is the same page for users.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use riskgrid_ingest::edge::Bounds as PlaceBounds;
use serde::{Deserialize, Serialize};

use super::access::TlsSection;
use super::alerts::IncidentsSection;
use super::sql_roles::RolesSection;
use super::values::{ByteSize, Span};
use crate::alerts::inhibition::InhibitSettings;
use crate::alerts::mute::MuteSettings;
use crate::alerts::store::{Bounds, Keep, Pauses};

/// `[server]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSection {
    /// Address and port. Default `127.0.0.1:8080`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Let everybody in who reaches this address while there is no key. Default false: then only loopback addresses are
    /// served.
    pub open: bool,
    /// Serve other machines without TLS, so that keys are sent in clear. Default false.
    pub plaintext: bool,
    /// Names and addresses, without ports, that `Host` may have. On a loopback address those of this machine are served
    /// beside them. Elsewhere the default, none, serves any name: then a page can point a name of its own here.
    pub hosts: Vec<String>,
    /// Largest body of a request of events, also unpacked. Others may have 64 KiB, statements 512 KiB. Default 64MiB.
    pub max_body: ByteSize,
    /// Memory of all bodies that are read or worked on; above it requests are answered 503. Default 256MiB.
    pub body_memory: ByteSize,
    /// Longest pause of a sender within a body. Default `30s`.
    pub body_pause: Span,
    /// Longest time of a whole body. Default `10m`.
    pub body_timeout: Span,
    /// How long a connection may take for the head of its next request, idle time included. Default `30s`.
    pub header_timeout: Span,
    /// How long a client may read nothing of an answer that waits to be sent. Default `1m`.
    pub write_timeout: Span,
    /// Most connections; fewer where the system allows fewer open files. For another one the one that has waited longest for
    /// its client is closed. Default 4096.
    pub max_connections: usize,
    /// Origins of pages that may call from a browser, such as `https://map.example`. Default none.
    pub cors_origins: Vec<String>,
    /// How clients reach this server, such as `https://map.example`: what links begin with. Default: as each request says.
    pub public_url: Option<String>,
    /// `[server.tls]`: TLS of this server itself.
    pub tls: TlsSection,
    /// Addresses and networks of proxies whose `X-Forwarded-Proto`, `-Host` and `-For` are believed. Default none.
    pub trusted_proxies: Vec<String>,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            open: false,
            plaintext: false,
            hosts: Vec::new(),
            max_body: ByteSize::mebibytes(64),
            body_memory: ByteSize::mebibytes(256),
            body_pause: Span::seconds(30),
            body_timeout: Span::seconds(600),
            header_timeout: Span::seconds(30),
            write_timeout: Span::seconds(60),
            max_connections: 4096,
            cors_origins: Vec::new(),
            public_url: None,
            tls: TlsSection::default(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// `[grid]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GridSection {
    /// H3 resolution of the cells, 0 to 15. Default 9, about 0.1 km².
    pub resolution: u8,
    /// Length of a bucket, a divisor of an hour. Default `1m`.
    pub bucket: Span,
    /// How much older than the newest event of its partition one may be before its bucket is sealed. Default `2m`.
    pub allowed_lateness: Span,
    /// How long aggregates are kept: one span (`"20y"`), or `{ minutes, hours, days }`. Default 48h, 90d, 3y.
    pub retention: RetentionSection,
    /// Time zone of days and of the hours of the week. Default `UTC`.
    pub time_zone: String,
    /// Most layers. Default 1024.
    pub max_layers: usize,
    /// A partition that is silent for so long no longer holds `complete_to` back. Default `30s`.
    pub idle_after: Span,
    /// Oldest snapshot that a reader gets while events come. Default `250ms`.
    pub publish_every: Span,
    /// Bytes of all aggregates. Past them the oldest minutes become hours, then days, then are dropped, before their
    /// retention ends. Sums that queries ask for again take up to a sixteenth of it beside. Default 4GiB.
    pub memory: ByteSize,
    /// Most sensors of one partition, one for each layer that it reads; of more, those that no event told of for longest
    /// are dropped. Default 1 000 000.
    pub max_sensors: usize,
    /// Most reports of one partition, likewise. Default 2 000 000.
    pub max_reports: usize,
    /// Most response units of one partition, likewise. Default 100 000.
    pub max_units: usize,
    /// How long raw events are kept for the table `events`. Default `24h`.
    pub events_age: Span,
    /// Bytes of raw events of one partition; 0 keeps none. Default 256MiB.
    pub events_bytes: ByteSize,
}

impl Default for GridSection {
    fn default() -> Self {
        Self {
            resolution: 9,
            bucket: Span::seconds(60),
            allowed_lateness: Span::seconds(120),
            retention: RetentionSection::default(),
            time_zone: "UTC".to_owned(),
            max_layers: 1024,
            idle_after: Span::seconds(30),
            publish_every: Span(std::time::Duration::from_millis(250)),
            memory: ByteSize::mebibytes(4096),
            max_sensors: 1_000_000,
            max_reports: 2_000_000,
            max_units: 100_000,
            events_age: Span::seconds(24 * 3600),
            events_bytes: ByteSize::mebibytes(256),
        }
    }
}

/// `grid.retention`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RetentionSection {
    /// How long anything is kept; minutes and hours keep their defaults, or this where it is shorter.
    Whole(Span),
    /// Each step by itself.
    Steps(RetentionSteps),
}

/// How long each step is kept.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSteps {
    /// Buckets. Default `48h`, at least `26h`.
    pub minutes: Span,
    /// Hours. Default `90d`, at least `minutes`.
    pub hours: Span,
    /// Days. Default `3y`, at least `hours`.
    pub days: Span,
}

impl Default for RetentionSteps {
    fn default() -> Self {
        let day = 24 * 3600;
        Self {
            minutes: Span::seconds(2 * day),
            hours: Span::seconds(90 * day),
            days: Span(std::time::Duration::from_hours(26298)),
        }
    }
}

impl Default for RetentionSection {
    fn default() -> Self {
        Self::Steps(RetentionSteps::default())
    }
}

impl RetentionSection {
    /// How long each step is kept.
    pub fn steps(self) -> RetentionSteps {
        match self {
            Self::Steps(steps) => steps,
            Self::Whole(whole) => {
                let defaults = RetentionSteps::default();
                let shorter = |default: Span| Span(default.0.min(whole.0));
                RetentionSteps {
                    minutes: shorter(defaults.minutes),
                    hours: shorter(defaults.hours),
                    days: whole,
                }
            }
        }
    }
}

/// `[edge]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdgeSection {
    /// Largest event. Default 1MiB.
    pub max_event: ByteSize,
    /// How far ahead of its record an event may be. Default `5m`.
    pub future_skew: Span,
    /// How long duplicates are told, in event time behind the partition's newest. Default `24h`.
    pub dedup_horizon: Span,
    /// Bytes of hashes of one partition; when spent, the horizon shortens. Default 1GiB.
    pub dedup_bytes: ByteSize,
    /// West, south, east, north in degrees; places outside are refused. Default none.
    pub bounds: Option<PlaceBounds>,
}

impl Default for EdgeSection {
    fn default() -> Self {
        Self {
            max_event: ByteSize::mebibytes(1),
            future_skew: Span::seconds(300),
            dedup_horizon: Span::seconds(24 * 3600),
            dedup_bytes: ByteSize::mebibytes(1024),
            bounds: None,
        }
    }
}

/// `[sql]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqlSection {
    /// Time of a query that asks for none. Default `30s`.
    pub timeout: Span,
    /// Longest time that a query may ask for. Default `10m`.
    pub longest_timeout: Span,
    /// Memory of all queries together. Default 2GiB.
    pub memory: ByteSize,
    /// Memory of one query. Default 1GiB.
    pub query_memory: ByteSize,
    /// What the process may grow by while queries run, beside `memory`, before the largest of them ends. Default 512MiB.
    pub memory_margin: ByteSize,
    /// Queries that run at once. Default 16.
    pub max_concurrent: usize,
    /// Queries that wait for others to end; a further one is answered 429. Default 256.
    pub max_waiting: usize,
    /// Bytes on disk, below `storage.data_dir`, for what does not fit into the memory of queries; 0 is none. Default 8GiB.
    pub spill: ByteSize,
    /// `[sql.roles]`: other limits for a role.
    pub roles: RolesSection,
}

impl Default for SqlSection {
    fn default() -> Self {
        Self {
            timeout: Span::seconds(30),
            longest_timeout: Span::seconds(600),
            memory: ByteSize::mebibytes(2048),
            query_memory: ByteSize::mebibytes(1024),
            memory_margin: ByteSize::mebibytes(512),
            max_concurrent: 16,
            max_waiting: 256,
            spill: ByteSize::mebibytes(8192),
            roles: RolesSection::default(),
        }
    }
}

/// `[webhooks]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksSection {
    /// Allow http and addresses that are not public. Default false.
    pub allow_private: bool,
    /// How long one attempt may take. Default `15s`.
    pub timeout: Span,
    /// How long deliveries that were made are kept, of alerts that are not open. Default `30d`.
    pub keep_delivered: Span,
    /// How long deliveries that were given up are kept to be replayed. Default `30d`.
    pub keep_dead: Span,
    /// Webhooks with `group` = `incident`: from the first change to its message. Default `10s`.
    pub group_wait: Span,
    /// From one message of an incident to the next. Default `1m`.
    pub group_interval: Span,
    /// From the last message of an incident to the same again, while something fires that nobody has taken. Default `4h`.
    pub repeat_interval: Span,
}

impl Default for WebhooksSection {
    fn default() -> Self {
        Self {
            allow_private: false,
            timeout: Span::seconds(15),
            keep_delivered: Span(Keep::default().delivered),
            keep_dead: Span(Keep::default().dead),
            group_wait: Span(Pauses::default().wait),
            group_interval: Span(Pauses::default().interval),
            repeat_interval: Span(Pauses::default().repeat),
        }
    }
}

/// `[alerts]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsSection {
    /// Files of rules, a `[[rules]]` each: paths, in whose last part one `*` may stand. Default none.
    pub rules: Vec<String>,
    /// Most rules. Default 10 000.
    pub max_rules: u64,
    /// Most open alerts of one rule; more do not begin, and one alert `rule full` says so. Default 10 000.
    pub max_open_per_rule: u64,
    /// Most open alerts of all rules. Default 100 000.
    pub max_open: u64,
    /// How long alerts that ended are kept, with their transitions. Default `90d`.
    pub keep: Span,
    /// Most alerts that ended; of more, the oldest are forgotten before their time. Default 1 000 000.
    pub max_ended: u64,
    /// `[alerts.incidents]`: what makes alerts of a group one incident.
    pub incidents: IncidentsSection,
    /// `[[alerts.mutes]]`: hours in which the rules that name them tell of no beginning.
    pub mutes: Vec<MuteSettings>,
    /// `[[alerts.inhibit]]`: alerts that keep others quiet.
    pub inhibit: Vec<InhibitSettings>,
}

impl Default for AlertsSection {
    fn default() -> Self {
        let (bounds, keep) = (Bounds::default(), Keep::default());
        Self {
            rules: Vec::new(),
            max_rules: bounds.rules,
            max_open_per_rule: bounds.open_of_rule,
            max_open: bounds.open,
            keep: Span(keep.ended_alerts),
            max_ended: keep.max_ended_alerts,
            incidents: IncidentsSection::default(),
            mutes: Vec::new(),
            inhibit: Vec::new(),
        }
    }
}

impl AlertsSection {
    /// How much the decisions database may hold.
    pub const fn bounds(&self) -> Bounds {
        Bounds {
            rules: self.max_rules,
            open_of_rule: self.max_open_per_rule,
            open: self.max_open,
        }
    }
}

/// `[console]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleSection {
    /// Heading of the page. Default `riskgrid`.
    pub title: String,
    /// A line that the page always shows, for example that the data are simulated. Default none.
    pub notice: Option<String>,
    /// Longitude and latitude that the map opens at. Default: where the data are.
    pub center: Option<[f64; 2]>,
    /// Zoom that the map opens with. Default: fits the data.
    pub zoom: Option<f64>,
    /// Layer that is shown first. Default: the one with most events.
    pub layer: Option<String>,
    /// GeoJSON file drawn below the hexagons. Default none.
    pub base_map: Option<PathBuf>,
}

impl Default for ConsoleSection {
    fn default() -> Self {
        Self {
            title: "riskgrid".to_owned(),
            notice: None,
            center: None,
            zoom: None,
            layer: None,
            base_map: None,
        }
    }
}
