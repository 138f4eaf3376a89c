//! What a request for a tile asks: which tile, which metric, which window of time.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use riskgrid_ingest::grid::Metric;
use riskgrid_ingest::words::Timespan;

use super::risk::RiskMetric;
use super::tile_id::{NoSuchTile, TileId};

/// The parameters that a tile's query may have.
const PARAMETERS: [&str; 4] = ["metric", "window", "at", "rev"];

/// The end of a tile's path.
const SUFFIX: &str = ".mvt";

/// One request for a tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileRequest {
    /// The tile.
    pub tile: TileId,
    /// The numbers it is to show.
    pub query: TileQuery,
}

/// A number that tiles show of each cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileMetric {
    /// Of the cells in the window. All merge, so any replica gives the same numbers.
    Cells(Metric),
    /// Of the risk surface, which is that of now: no window counts for it, and no time can be asked for.
    Risk(RiskMetric),
}

impl TileMetric {
    /// Its name in requests and tiles.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cells(metric) => metric.as_str(),
            Self::Risk(metric) => metric.as_str(),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let of_risk = || RiskMetric::parse(name).map(Self::Risk);
        Metric::parse(name).map(Self::Cells).or_else(of_risk)
    }

    fn names() -> Vec<&'static str> {
        let of_risk = RiskMetric::ALL.map(RiskMetric::as_str);
        Metric::ALL
            .map(Metric::as_str)
            .into_iter()
            .chain(of_risk)
            .collect()
    }
}

/// The numbers that a tile is to show: a metric over `[at - window, at)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileQuery {
    /// What is shown of each cell.
    pub metric: TileMetric,
    /// Length of the window, above zero.
    pub window: TimeDelta,
    /// End of the window in event time; `None` means the end of the newest bucket of the layer's clock domain.
    pub at: Option<DateTime<Utc>>,
    /// What the numbers are expected to be: their revision, as it was handed out.
    pub rev: Option<Revision>,
}

/// The number that stands for what all tiles of a metric and a window show: it changes when they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision(pub u128);

impl fmt::Display for Revision {
    /// 32 hexadecimal digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// Why a request for a tile is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileRequestError {
    /// There is nothing at this path: 404.
    #[error(transparent)]
    NoSuchTile(#[from] NoSuchTile),
    /// There is nothing at this path: 404.
    #[error("tiles are at /v1/tiles/{{layer}}/{{z}}/{{x}}/{{y}}{SUFFIX} with whole numbers, not at …/{path}")]
    NoSuchPath {
        /// The path after the layer.
        path: String,
    },
    /// A parameter is wrong: 400.
    #[error(transparent)]
    Query(#[from] InvalidTileQuery),
}

/// A parameter of the query is wrong; the message says what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTileQuery {
    /// Not one of the parameters.
    #[error("unknown parameter `{name}`; tiles know {}", listed(&PARAMETERS))]
    Unknown {
        /// The name given.
        name: String,
    },
    /// A parameter given more than once.
    #[error("parameter `{name}` is there more than once")]
    Repeated {
        /// The name.
        name: &'static str,
    },
    /// Not one of the metrics.
    #[error("unknown metric `{value}`; tiles know {}", listed(&TileMetric::names()))]
    Metric {
        /// The value given.
        value: String,
    },
    /// A time for the surface of now.
    #[error(
        "`{parameter}` does not go with the metric `{metric}`: the risk surface is that of now; leave it out"
    )]
    OnlyNow {
        /// The parameter.
        parameter: &'static str,
        /// The metric given.
        metric: &'static str,
    },
    /// Not a length of time.
    #[error("window `{value}` is not a whole number above 0 followed by m, h or d, as in 15m")]
    Window {
        /// The value given.
        value: String,
    },
    /// Longer than the grid remembers.
    #[error("window `{value}` is longer than the {longest_hours} h that are kept")]
    WindowTooLong {
        /// The value given.
        value: String,
        /// The retention in whole hours.
        longest_hours: i64,
    },
    /// Not a revision.
    #[error(
        "rev `{value}` is not 32 hexadecimal digits, as the header riskgrid-rev of the layer's TileJSON has them"
    )]
    Revision {
        /// The value given.
        value: String,
    },
    /// Not a time.
    #[error("at `{value}` is not a time as in RFC 3339 with its offset, as in 2026-11-22T08:00:00Z")]
    At {
        /// The value given.
        value: String,
    },
}

impl TileRequestError {
    /// Whether the answer is 404 rather than 400.
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NoSuchTile(_) | Self::NoSuchPath { .. })
    }
}

impl TileRequest {
    /// Reads the last three segments of the path, the last with its suffix, and the query without its `?`. `retention` is
    /// the longest window.
    pub fn parse(
        z: &str,
        x: &str,
        y: &str,
        query: &str,
        retention: TimeDelta,
    ) -> Result<Self, TileRequestError> {
        let number = |text: &str| {
            let is_plain =
                text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
            text.parse::<u32>().ok().filter(|_| is_plain)
        };
        let row = y.strip_suffix(SUFFIX).and_then(number);
        let (Some(zoom), Some(column), Some(row)) = (number(z), number(x), row) else {
            return Err(TileRequestError::NoSuchPath {
                path: format!("{z}/{x}/{y}"),
            });
        };
        let tile = TileId::new(u8::try_from(zoom).unwrap_or(u8::MAX), column, row)?;
        Ok(Self {
            tile,
            query: TileQuery::parse(query, retention)?,
        })
    }
}

impl TileQuery {
    /// Reads the query of a tile or of a layer's `TileJSON`, without its `?`.
    pub fn parse(query: &str, retention: TimeDelta) -> Result<Self, InvalidTileQuery> {
        let (mut metric, mut window, mut at, mut rev) = (None, None, None, None);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "metric" => set_once("metric", &mut metric, parse_metric(&value)?)?,
                "window" => set_once("window", &mut window, parse_window(&value, retention)?)?,
                "at" => set_once("at", &mut at, parse_at(&value)?)?,
                "rev" => set_once("rev", &mut rev, parse_revision(&value)?)?,
                _ => {
                    return Err(InvalidTileQuery::Unknown {
                        name: name.into_owned(),
                    });
                }
            }
        }
        let of_time = [("at", at.is_some()), ("rev", rev.is_some())];
        let of_time = of_time.into_iter().find(|(_, is_given)| *is_given);
        if let (Some(TileMetric::Risk(metric)), Some((parameter, _))) = (metric, of_time) {
            let metric = metric.as_str();
            return Err(InvalidTileQuery::OnlyNow { parameter, metric });
        }
        Ok(Self {
            metric: metric.unwrap_or(TileMetric::Cells(Metric::Count)),
            window: window.unwrap_or(TimeDelta::hours(1)),
            at,
            rev,
        })
    }
}

fn set_once<T>(name: &'static str, place: &mut Option<T>, value: T) -> Result<(), InvalidTileQuery> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(InvalidTileQuery::Repeated { name }),
    }
}

fn parse_metric(value: &str) -> Result<TileMetric, InvalidTileQuery> {
    TileMetric::parse(value).ok_or_else(|| InvalidTileQuery::Metric {
        value: value.to_owned(),
    })
}

fn parse_window(value: &str, retention: TimeDelta) -> Result<TimeDelta, InvalidTileQuery> {
    let window = Timespan::window(value).and_then(|window| TimeDelta::from_std(window.0).ok());
    let window = window.ok_or_else(|| InvalidTileQuery::Window {
        value: value.to_owned(),
    })?;
    if window > retention {
        let longest_hours = retention.num_hours();
        return Err(InvalidTileQuery::WindowTooLong {
            value: value.to_owned(),
            longest_hours,
        });
    }
    Ok(window)
}

fn parse_at(value: &str) -> Result<DateTime<Utc>, InvalidTileQuery> {
    // A `+` that the client did not escape arrives as a space; no time has one elsewhere.
    let time = DateTime::parse_from_rfc3339(&value.replace(' ', "+"));
    time.map(|time| time.to_utc()).map_err(|_| InvalidTileQuery::At {
        value: value.to_owned(),
    })
}

fn parse_revision(value: &str) -> Result<Revision, InvalidTileQuery> {
    let is_hex = value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(value, 16).ok().filter(|_| is_hex);
    number.map(Revision).ok_or_else(|| InvalidTileQuery::Revision {
        value: value.to_owned(),
    })
}

fn listed(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETENTION: TimeDelta = TimeDelta::days(1096);

    fn parse(path: &str, query: &str) -> Result<TileRequest, TileRequestError> {
        let segments: Vec<&str> = path.split('/').collect();
        TileRequest::parse(segments[0], segments[1], segments[2], query, RETENTION)
    }

    fn refusal(query: &str) -> String {
        let error = parse("0/0/0.mvt", query).expect_err(query);
        assert!(!error.is_not_found());
        error.to_string()
    }

    #[test]
    fn without_a_query_it_is_the_count_of_the_last_hour() {
        let request = parse("3/4/5.mvt", "").expect("valid");
        assert_eq!((request.tile.z(), request.tile.x(), request.tile.y()), (3, 4, 5));
        assert_eq!(
            request.query,
            TileQuery {
                metric: TileMetric::Cells(Metric::Count),
                window: TimeDelta::hours(1),
                at: None,
                rev: None,
            }
        );
    }

    #[test]
    fn all_parameters_are_read() {
        let request = parse(
            "3/4/5.mvt",
            "at=2026-11-22T16:00:00%2B08:00&metric=max&window=15m",
        )
        .expect("valid");
        let at = "2026-11-22T08:00:00Z".parse().expect("a time");
        assert_eq!(
            request.query,
            TileQuery {
                metric: TileMetric::Cells(Metric::Max),
                window: TimeDelta::minutes(15),
                at: Some(at),
                rev: None,
            }
        );
        let unescaped = parse("3/4/5.mvt", "at=2026-11-22T16:00:00+08:00").expect("valid");
        assert_eq!(unescaped.query.at, Some(at));
        let days = parse("3/4/5.mvt", "window=2d").expect("valid");
        assert_eq!(days.query.window, TimeDelta::hours(48));
    }

    #[test]
    fn paths_that_are_no_tile_are_not_found() {
        for path in [
            "0/0/1.mvt",
            "15/0/0.mvt",
            "300/0/0.mvt",
            "0/0/0.png",
            "0/0/0",
            "a/0/0.mvt",
            "0/-1/0.mvt",
            "0/+0/0.mvt",
            "0/0/00.mvt",
            "0/0/.mvt",
            "0/0/99999999999.mvt",
            "1/01/0.mvt",
        ] {
            let error = parse(path, "").expect_err(path);
            assert!(error.is_not_found(), "{path}: {error}");
        }
    }

    #[test]
    fn refusals_say_what_is_allowed() {
        assert_eq!(
            refusal("metrics=sum"),
            "unknown parameter `metrics`; tiles know `metric`, `window`, `at`, `rev`"
        );
        assert!(refusal("metric=mode").contains("`weight`"));
        assert!(refusal("metric=mode").contains("`risk_if_true`"));
        assert!(refusal("metric=risk&at=2026-11-22T08:00:00Z").contains("leave it out"));
        assert!(refusal("metric=sum&metric=sum").contains("more than once"));
        assert!(refusal("at=yesterday").contains("RFC 3339"));
        assert!(refusal("at=2026-11-22T08:00:00").contains("offset"));
        assert_eq!(
            refusal("window=9000d"),
            "window `9000d` is longer than the 26304 h that are kept"
        );
        for window in [
            "",
            "5",
            "m",
            "0m",
            "-5m",
            "+5m",
            "1.5h",
            "5s",
            "5 m",
            "99999999999999999999d",
            "9223372036854775807d",
            "5µ",
        ] {
            assert!(
                refusal(&format!("window={window}")).contains("whole number"),
                "{window}"
            );
        }
    }
}
