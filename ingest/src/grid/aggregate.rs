//! What one cell keeps of one layer in one bucket. Everything merges, in any order, to the same bits.

use serde::Serialize;

use crate::words::{Event, LayerKind};

/// The aggregate of the events of one (layer, cell, bucket). The default value is the neutral element of [`merge`].
///
/// [`merge`]: CellAggregate::merge
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CellAggregate {
    /// How many events.
    pub count: u64,
    /// Sum of severities of reports; the count of observations.
    pub weight: u64,
    /// Linear-counting bitmap of the sources' keyed hashes: bit `hash & 63`.
    pub sources: u64,
    /// Reports only: byte = channel class, bit `(hash >> 6) & 7` of the source's keyed hash.
    pub channels: u64,
    /// What observations keep of their values, in whole units of the layer's resolution.
    pub values: ValueAggregate,
}

/// Exact integers in units of the layer's resolution. |value| < 2^50, so the sum of squares holds 2^27 extreme readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueAggregate {
    /// Sum of values.
    pub sum: i128,
    /// Sum of squared values.
    pub sum_squares: i128,
    /// Least value.
    pub min: i64,
    /// Greatest value.
    pub max: i64,
    /// The value of the newest event, by `(time, event hash)`.
    pub last: i64,
    /// Its time, in microseconds.
    pub last_time: i64,
    /// Its event hash.
    pub last_hash: u128,
}

impl Default for ValueAggregate {
    fn default() -> Self {
        Self {
            sum: 0,
            sum_squares: 0,
            min: i64::MAX,
            max: i64::MIN,
            last: 0,
            last_time: i64::MIN,
            last_hash: 0,
        }
    }
}

impl CellAggregate {
    /// The aggregate of one event that counts.
    pub fn of(event: &Event<'_>) -> Self {
        let hash = event.source_hash;
        let values = event
            .value
            .map_or_else(ValueAggregate::default, |value| ValueAggregate {
                sum: i128::from(value),
                sum_squares: i128::from(value) * i128::from(value),
                min: value,
                max: value,
                last: value,
                last_time: event.time.micros(),
                last_hash: event.hash.0,
            });
        let channels = match event.kind {
            crate::words::EventKind::Report => 1 << (8 * event.channel as u64 + ((hash >> 6) & 7)),
            _ => 0,
        };
        Self {
            count: 1,
            weight: u64::from(event.weight),
            sources: 1 << (hash & 63),
            channels,
            values,
        }
    }

    /// Adds `other`. Associative and commutative.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.weight += other.weight;
        self.sources |= other.sources;
        self.channels |= other.channels;
        let (mine, theirs) = (&mut self.values, &other.values);
        mine.sum += theirs.sum;
        mine.sum_squares = mine.sum_squares.saturating_add(theirs.sum_squares);
        mine.min = mine.min.min(theirs.min);
        mine.max = mine.max.max(theirs.max);
        if (theirs.last_time, theirs.last_hash) > (mine.last_time, mine.last_hash) {
            (mine.last, mine.last_time, mine.last_hash) = (theirs.last, theirs.last_time, theirs.last_hash);
        }
    }

    /// About how many distinct sources there were: 64·ln(64/zero bits) (linear counting, Whang, Vander-Zanden and
    /// Taylor 1990). A full bitmap says 64·ln 128, "at least about 310".
    pub fn estimated_sources(sources: u64) -> f64 {
        let zeros = f64::from(sources.count_zeros()).max(0.5);
        64.0 * (64.0 / zeros).ln()
    }
}

/// A number of a cell that maps, rules and statistics show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Number of events.
    Count,
    /// Sum of severities (reports), number of events (observations).
    Weight,
    /// Sum of values.
    Sum,
    /// Mean of values.
    Mean,
    /// Least value.
    Min,
    /// Greatest value.
    Max,
    /// Newest value.
    Last,
    /// Estimated number of distinct sources.
    Sources,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Count,
        Self::Weight,
        Self::Sum,
        Self::Mean,
        Self::Min,
        Self::Max,
        Self::Last,
        Self::Sources,
    ];

    /// Its name in requests and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Weight => "weight",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::Last => "last",
            Self::Sources => "sources",
        }
    }

    /// The metric called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == name)
    }

    /// Whether a layer of `kind` has it: reports carry no values.
    pub const fn applies_to(self, kind: LayerKind) -> bool {
        match self {
            Self::Count | Self::Weight | Self::Sources => true,
            Self::Sum | Self::Mean | Self::Min | Self::Max | Self::Last => {
                matches!(kind, LayerKind::Observation)
            }
        }
    }

    /// Whether an absent cell has the value 0 (else it is missing).
    pub const fn is_additive(self) -> bool {
        matches!(self, Self::Count | Self::Weight | Self::Sum | Self::Sources)
    }

    /// Whether its values are whole numbers whatever the layer.
    pub const fn is_whole(self) -> bool {
        matches!(self, Self::Count | Self::Weight)
    }
}
