//! Publishes each step of each suppressed layer once it is complete.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use riskgrid_analytics::publication::{
    LayerRule, Publication, PublishedLayer, PublishedStep, Publishing, RoundingKey, bands,
};
use riskgrid_analytics::risk::Surface;
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::{Calendar, GridSnapshot, Step};

use super::late::LateEvents;
use super::log::{Entry, PublicationLog};
use super::pages::{PagePlace, PublicationError};
use crate::database::Standing;

/// Steps of a layer that are published at once: a year of days is caught up with in a few looks.
const STEPS_AT_ONCE: usize = 200;

/// What is published now.
pub type Published = Arc<ArcSwap<Publication>>;

/// What the configuration says.
#[derive(Clone, Debug)]
pub struct PublisherSettings {
    /// How each suppressed layer is published.
    pub layers: BTreeMap<String, LayerRule>,
    /// How long after its end a step is waited for, in microseconds.
    pub delay: i64,
    /// How long steps are kept, in microseconds of event time behind the newest.
    pub keep: i64,
}

/// The one that publishes on this node.
#[derive(Debug)]
pub struct Publisher {
    settings: PublisherSettings,
    key: RoundingKey,
    log: PublicationLog,
    rules: BTreeMap<String, Vec<LayerRule>>,
    layers: BTreeMap<String, PublishedLayer>,
    published: Published,
    late: LateEvents,
    late_total: Arc<AtomicU64>,
}

impl Publisher {
    /// Reads what was published, and writes down what the configuration says anew. A change waits for the next local midnight after
    /// `now`; the first configuration of a layer is for all its steps.
    ///
    /// # Errors
    /// A log that cannot be read or written.
    pub fn open(
        place: PagePlace,
        reporter_key: &[u8],
        settings: PublisherSettings,
        calendar: &Calendar,
        now: EventTime,
    ) -> Result<Self, PublicationError> {
        let mut publisher = Self {
            settings,
            key: RoundingKey::of(reporter_key),
            log: PublicationLog::new(place),
            rules: BTreeMap::new(),
            layers: BTreeMap::new(),
            published: Published::default(),
            late: LateEvents::default(),
            late_total: Arc::default(),
        };
        publisher.write(|publisher| publisher.new_rules(calendar, now))?;
        publisher.show();
        Ok(publisher)
    }

    /// What is published; it changes while this publishes.
    pub fn published(&self) -> Published {
        Arc::clone(&self.published)
    }

    /// How many events came after their step was published; it grows while this publishes.
    pub fn late_total(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.late_total)
    }

    /// Partitions went or came: what is counted as late begins anew.
    pub fn has_not_all(&mut self) {
        self.late.forget();
    }

    /// Publishes what is complete in `snapshot`, which has all partitions; the layers of which something was published.
    /// `surface` has the newest risk.
    ///
    /// # Errors
    /// A log that cannot be written: then nothing is published, and the next look tries again.
    pub fn publish(
        &mut self,
        snapshot: &GridSnapshot,
        surface: &Surface,
    ) -> Result<Vec<String>, PublicationError> {
        self.count_late(snapshot);
        let written = self.write(|publisher| publisher.due(snapshot, surface))?;
        let layers = self.shown(written);
        // What was late for a step that is published only now is no news at the next look.
        self.count_late(snapshot);
        Ok(layers)
    }

    /// Reads what another node published meanwhile, and publishes nothing; the layers of which there was something.
    ///
    /// # Errors
    /// A log that cannot be read.
    pub fn follow(&mut self) -> Result<Vec<String>, PublicationError> {
        let written = self.write(|_| Vec::new())?;
        Ok(self.shown(written))
    }

    /// From now on it publishes as long as the lease is held.
    pub fn stand(&mut self, standing: Standing) {
        self.log.stand(standing);
    }

    /// Lets readers see what was written; the layers of which steps were.
    fn shown(&mut self, written: Vec<Entry>) -> Vec<String> {
        let mut layers: Vec<String> = written
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::Step { layer, .. } | Entry::Purged { layer, .. } => Some(layer),
                Entry::Rule { .. } => None,
            })
            .collect();
        layers.dedup();
        if !layers.is_empty() {
            self.show();
        }
        layers
    }

    fn count_late(&mut self, snapshot: &GridSnapshot) {
        for (id, layer) in &self.layers {
            let Some(index) = snapshot.layers.find(id) else {
                continue;
            };
            let late = self.late.since(snapshot, (id, index), layer);
            self.late_total.fetch_add(late, Ordering::Relaxed);
        }
    }

    /// Writes the entries that are called for once all that others wrote is known; these and those of others.
    fn write(&mut self, called_for: impl Fn(&Self) -> Vec<Entry>) -> Result<Vec<Entry>, PublicationError> {
        let mut all = Vec::new();
        loop {
            for entry in self.log.read_on()? {
                self.take(entry.clone());
                all.push(entry);
            }
            let entries = called_for(self);
            if entries.is_empty() {
                return Ok(all);
            }
            if self.log.append(&entries)? {
                for entry in &entries {
                    self.take(entry.clone());
                }
                all.extend(entries);
                return Ok(all);
            }
        }
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Rule { layer, rule } => self.rules.entry(layer).or_default().push(rule),
            Entry::Step { layer, step } => self.layers.entry(layer).or_default().add(step),
            Entry::Purged { layer, before } => {
                let layer = self.layers.entry(layer).or_default();
                layer.forget(EventTime::from_micros(before));
            }
        }
    }

    fn new_rules(&self, calendar: &Calendar, now: EventTime) -> Vec<Entry> {
        let rules = self.settings.layers.iter().filter_map(|(layer, rule)| {
            let known = self.rules.get(layer).and_then(|rules| rules.last());
            let from = match known {
                Some(known) if known.says_the_same(rule) => return None,
                Some(_) => Some(calendar.span(Step::Day, now).end.micros()),
                None => None,
            };
            Some(Entry::Rule {
                layer: layer.clone(),
                rule: LayerRule { from, ..rule.clone() },
            })
        });
        rules.collect()
    }

    fn due(&self, snapshot: &GridSnapshot, surface: &Surface) -> Vec<Entry> {
        let none = PublishedLayer::default();
        let of_layers = self.settings.layers.keys().flat_map(|layer| {
            let mut steps: Vec<PublishedStep> = match (self.rules.get(layer), snapshot.layers.find(layer)) {
                (Some(rules), Some(index)) => {
                    let publishing = Publishing {
                        rules,
                        published: self.layers.get(layer).unwrap_or(&none),
                        delay: self.settings.delay,
                    };
                    publishing.due(snapshot, index, &self.key, STEPS_AT_ONCE)
                }
                _ => Vec::new(),
            };
            // The risk is that of now, and not of steps that are caught up with.
            if let Some(newest) = steps.last_mut() {
                newest.risk = bands(surface, layer, newest);
            }
            steps.into_iter().map(|step| Entry::Step {
                layer: layer.clone(),
                step,
            })
        });
        of_layers.collect()
    }

    /// Lets readers see what was published of the layers that are to be seen.
    fn show(&mut self) {
        let keep = self.settings.keep;
        let mut publication = Publication::default();
        for id in self.settings.layers.keys() {
            let layer = self.layers.entry(id.clone()).or_default();
            if let Some(newest) = layer.newest().map(|step| step.span().end) {
                layer.forget(newest.plus(-keep));
            }
            publication.layers.insert(id.clone(), Arc::new(layer.clone()));
        }
        self.published.store(Arc::new(publication));
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use riskgrid_analytics::publication::PublicStep;
    use riskgrid_ingest::checkpoint::Files;
    use riskgrid_ingest::{DAY, MINUTE};

    use super::*;

    fn rule(k: u64) -> LayerRule {
        LayerRule {
            resolution: 7,
            step: PublicStep::Day,
            k,
            min_sources: 3,
            from: None,
        }
    }

    fn open(folder: &std::path::Path, rule: LayerRule, now: i64) -> Publisher {
        let settings = PublisherSettings {
            layers: BTreeMap::from([("noise".to_owned(), rule)]),
            delay: 0,
            keep: 1000 * DAY,
        };
        let calendar = Calendar::new(MINUTE, Tz::UTC);
        let place = PagePlace::Files(Files::open_folder(folder).unwrap());
        Publisher::open(place, &[7; 32], settings, &calendar, EventTime::from_micros(now)).unwrap()
    }

    #[test]
    fn the_first_rule_is_for_all_steps_and_a_change_waits_for_midnight() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(open(folder.path(), rule(5), DAY / 2).rules["noise"], [rule(5)]);
        // The same again changes nothing, also for another node.
        assert_eq!(open(folder.path(), rule(5), 3 * DAY).rules["noise"], [rule(5)]);
        let changed = open(folder.path(), rule(6), 4 * DAY + 1);
        let from = LayerRule {
            from: Some(5 * DAY),
            ..rule(6)
        };
        assert_eq!(changed.rules["noise"], [rule(5), from]);
    }

    #[test]
    fn of_two_nodes_the_first_one_publishes_and_the_other_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let (mut one, mut other) = (open(folder.path(), rule(5), 0), open(folder.path(), rule(5), 0));
        let step = |count| PublishedStep {
            start: 0,
            seconds: 86_400,
            resolution: 7,
            cells: vec![(7, count)],
            rests: Vec::new(),
            risk: None,
        };
        let entry = |count| Entry::Step {
            layer: "noise".to_owned(),
            step: step(count),
        };
        let once = |publisher: &Publisher, count| {
            let is_new = publisher
                .layers
                .get("noise")
                .is_none_or(|layer| layer.newest().is_none());
            if is_new { vec![entry(count)] } else { Vec::new() }
        };
        assert_eq!(one.write(|publisher| once(publisher, 5)).unwrap(), [entry(5)]);
        assert_eq!(other.write(|publisher| once(publisher, 10)).unwrap(), [entry(5)]);
        other.show();
        let published = other.published().load_full();
        assert_eq!(**published.layers["noise"].newest().unwrap(), step(5));
    }
}
