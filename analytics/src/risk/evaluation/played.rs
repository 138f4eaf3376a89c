//! The risk surface of a period played again: events go into a grid of their own in the order of their times, and the
//! engine that a server has makes its surface at each origin.

use std::sync::Arc;
use std::time::Instant;

use riskgrid_ingest::grid::{
    EventLogLimits, GridPublisher, GridSettings, GridSnapshot, Heard, Partition, PartitionId,
};
use riskgrid_ingest::places::Places;
use riskgrid_ingest::{DAY, Event, EventTime, InvalidLayer, LIVE_DOMAIN, LayerSettings, LayerTable, MINUTE};

use crate::risk::RiskEngine;

/// Hours are kept for what a baseline looks back.
const HOURS_KEPT: i64 = 400 * DAY;

/// A grid that is fed by hand.
#[derive(Debug)]
pub struct PlayedGrid {
    engine: RiskEngine,
    layer: String,
    settings: GridSettings,
    layers: Arc<LayerTable>,
    partition: Partition,
    publisher: GridPublisher,
}

impl PlayedGrid {
    /// An empty one, for one layer of reports; `engine` is one that made no surface yet.
    ///
    /// # Errors
    /// [`InvalidLayer`] for settings of a layer that are no good.
    pub fn new(
        engine: RiskEngine,
        layer: LayerSettings,
        settings: GridSettings,
        places: &Arc<Places>,
    ) -> Result<Self, InvalidLayer> {
        let mut settings = GridSettings {
            // Neither raw events nor reports are asked for.
            events: EventLogLimits {
                age: MINUTE,
                bytes: 0,
            },
            max_reports: 1,
            ..settings
        };
        settings.retention.hours = settings.retention.hours.max(HOURS_KEPT);
        settings.retention.days = settings.retention.days.max(HOURS_KEPT);
        let id = layer.id.clone();
        let live = LayerSettings {
            domain: LIVE_DOMAIN.to_owned(),
            ..layer
        };
        let layers = Arc::new(LayerTable::new(&[live], 1)?);
        let partition = PartitionId {
            topic: "played".into(),
            partition: 0,
        };
        let resolution = engine.resolution();
        let publisher = GridPublisher::new(settings.calendar, resolution, Arc::clone(&layers), DAY);
        Ok(Self {
            engine: engine.without_classes(),
            layer: id,
            settings,
            partition: Partition::new(partition, LIVE_DOMAIN.into(), settings, 0),
            publisher: publisher.with_places(Arc::clone(places)),
            layers,
        })
    }

    /// Takes in an event of the layer.
    pub fn take(&mut self, event: &Event<'_>) {
        let own = Event {
            layer: self.layers.find(&self.layer),
            clock: event.time,
            ..event.clone()
        };
        self.partition.apply(&own, &self.layers);
    }

    fn snapshot(&mut self) -> Arc<GridSnapshot> {
        let now = Instant::now();
        let heard = Heard {
            view: self.partition.view(&self.settings.calendar),
            heard: Some(now),
        };
        self.publisher.publish(vec![heard], Arc::clone(&self.layers), now)
    }

    /// R of each cell of `domain` at an origin, of the events taken in, which are those before it; 0 where there is no row.
    pub fn risk_at(&mut self, domain: &[u64], origin: EventTime) -> Vec<f64> {
        let snapshot = self.snapshot();
        self.engine.risks_at(&snapshot, &self.layer, origin, domain)
    }
}
