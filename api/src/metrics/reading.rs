//! A number of the page, as it is read from what is there.

use std::collections::HashMap;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::Seen;

/// Values, each with those of the labels.
pub(super) type Samples = Vec<(Vec<String>, f64)>;

/// One name, and how its values are read.
pub(super) struct Reading {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    kind: MetricType,
    read: fn(&Seen<'_>) -> Samples,
}

/// What only grows while the process runs.
pub(super) const fn counter(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    read: fn(&Seen<'_>) -> Samples,
) -> Reading {
    Reading {
        name,
        help,
        labels,
        kind: MetricType::COUNTER,
        read,
    }
}

/// What goes up and down.
pub(super) const fn gauge(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    read: fn(&Seen<'_>) -> Samples,
) -> Reading {
    Reading {
        name,
        help,
        labels,
        kind: MetricType::GAUGE,
        read,
    }
}

/// The only value of a name without labels.
pub(super) fn one(value: f64) -> Samples {
    vec![(Vec::new(), value)]
}

/// The same for a count.
pub(super) fn count(value: u64) -> Samples {
    one(value as f64)
}

/// The same for a size.
pub(super) fn size(value: usize) -> Samples {
    one(value as f64)
}

/// Values by the one label that they have.
pub(super) fn by<'a>(values: impl IntoIterator<Item = (&'a str, u64)>) -> Samples {
    values
        .into_iter()
        .map(|(label, value)| (vec![label.to_owned()], value as f64))
        .collect()
}

/// The readings of one subject, at one moment.
pub(super) struct Subject {
    descriptions: Vec<Desc>,
    families: Vec<MetricFamily>,
}

impl Subject {
    /// Reads them all.
    ///
    /// # Errors
    /// When a name or label is not valid, which is a defect.
    pub(super) fn read(readings: &[Reading], seen: &Seen<'_>) -> prometheus::Result<Self> {
        let descriptions = readings.iter().map(|reading| {
            let labels = reading.labels.iter().map(|&label| label.to_owned());
            Desc::new(
                reading.name.to_owned(),
                reading.help.to_owned(),
                labels.collect(),
                HashMap::new(),
            )
        });
        Ok(Self {
            descriptions: descriptions.collect::<Result<_, _>>()?,
            families: readings.iter().map(|reading| reading.family(seen)).collect(),
        })
    }
}

impl Collector for Subject {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.families.clone()
    }
}

impl Reading {
    fn family(&self, seen: &Seen<'_>) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(self.kind);
        let samples = (self.read)(seen).into_iter();
        family.set_metric(samples.map(|sample| self.metric(sample)).collect());
        family
    }

    fn metric(&self, (labels, value): (Vec<String>, f64)) -> Metric {
        let pairs = self.labels.iter().zip(labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value);
            pair
        });
        let mut metric = Metric::from_label(pairs.collect());
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    }
}
