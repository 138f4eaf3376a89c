//! Events that came after their step was published: they are counted, and never shown.

use std::collections::BTreeMap;

use riskgrid_analytics::publication::PublishedLayer;
use riskgrid_ingest::grid::{GridSnapshot, SliceStart, StartsWithin};
use riskgrid_ingest::{EventTime, LayerIndex};

/// What a layer held when it was looked at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    published_to: EventTime,
    /// All its events.
    count: u64,
    /// Those of before the end of what is published.
    published: u64,
}

/// What was seen of all layers.
#[derive(Debug, Default)]
pub(super) struct LateEvents {
    looks: BTreeMap<String, Look>,
}

impl LateEvents {
    /// How many came since the last look at the layer, which had all partitions, too.
    pub(super) fn since(
        &mut self,
        snapshot: &GridSnapshot,
        (id, index): (&str, LayerIndex),
        layer: &PublishedLayer,
    ) -> u64 {
        let (Some(published_to), Some(totals)) = (layer.published_to(), snapshot.totals(index)) else {
            return 0;
        };
        let last = self.looks.get(id).copied();
        if last.is_some_and(|last| (last.published_to, last.count) == (published_to, totals.count)) {
            return 0;
        }
        let after = StartsWithin {
            first: SliceStart::at(published_to),
            ..StartsWithin::ALL
        };
        let slices = snapshot.slices(index, after);
        let parts = slices.iter().flat_map(|slices| &slices.parts);
        let after: u64 = parts.flat_map(|part| &part.slice.count).sum();
        let look = Look {
            published_to,
            count: totals.count,
            published: totals.count.saturating_sub(after),
        };
        self.looks.insert(id.to_owned(), look);
        // Where more was published since, what came in time is among it.
        last.filter(|last| last.published_to == published_to)
            .map_or(0, |last| look.published.saturating_sub(last.published))
    }

    /// Begins anew: partitions went or came.
    pub(super) fn forget(&mut self) {
        self.looks.clear();
    }
}
