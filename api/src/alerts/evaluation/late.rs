//! Late data: what came to spans of time that were complete, and so changes what was said of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use riskgrid_ingest::grid::{GridSnapshot, SliceStart, StartsWithin, TimedSlice, Version};
use riskgrid_ingest::{EventTime, LayerIndex};

/// What is known of one span of a layer.
#[derive(Debug)]
struct Counted {
    end: EventTime,
    /// What it was counted in: while it is the same, so is the number.
    parts: Vec<Weak<TimedSlice>>,
    events: u64,
}

/// The spans of one layer as they were looked at last.
#[derive(Debug)]
struct Seen {
    version: Version,
    complete_to: EventTime,
    reach: i64,
    spans: BTreeMap<EventTime, Counted>,
}

/// The layers as they were looked at last. Only what came since is late: rules are judged anew from the start of a process
/// on, as far as they are at all, for what came while nobody looked.
#[derive(Debug, Default)]
pub(super) struct LateData {
    layers: HashMap<LayerIndex, Seen>,
}

impl LateData {
    /// The beginning of the first span that was complete at the last look and that has more events now, of those that begin
    /// less than `reach` (µs) before `complete_to`.
    pub(super) fn look(
        &mut self,
        snapshot: &GridSnapshot,
        layer: LayerIndex,
        complete_to: EventTime,
        reach: i64,
    ) -> Option<EventTime> {
        let before = self.layers.remove(&layer);
        if let Some(seen) = before
            .as_ref()
            .filter(|seen| seen.version == snapshot.version && seen.reach == reach)
        {
            let complete_to = seen.complete_to.max(complete_to);
            self.layers
                .extend(before.map(|seen| (layer, Seen { complete_to, ..seen })));
            return None;
        }
        let spans = counted(snapshot, layer, complete_to.plus(-reach), before.as_ref());
        let changed = before.as_ref().and_then(|before| first_changed(before, &spans));
        let seen = Seen {
            version: snapshot.version,
            complete_to,
            reach,
            spans,
        };
        self.layers.insert(layer, seen);
        changed
    }
}

fn counted(
    snapshot: &GridSnapshot,
    layer: LayerIndex,
    from: EventTime,
    before: Option<&Seen>,
) -> BTreeMap<EventTime, Counted> {
    let starts = StartsWithin {
        first: SliceStart::at(from),
        ..StartsWithin::ALL
    };
    let slices = snapshot.slices(layer, starts);
    let counted = slices.into_iter().map(|slices| {
        let known = before.and_then(|before| before.spans.get(&slices.span.start));
        let is_same = |known: &&Counted| {
            known.end == slices.span.end
                && known.parts.len() == slices.parts.len()
                && known
                    .parts
                    .iter()
                    .zip(&slices.parts)
                    .all(|(known, part)| known.as_ptr() == Arc::as_ptr(part))
        };
        let events = known.filter(is_same).map_or_else(
            || {
                let rows = slices.parts.iter().flat_map(|part| part.slice.rows());
                rows.map(|(_, aggregate)| aggregate.count).sum()
            },
            |known| known.events,
        );
        let counted = Counted {
            end: slices.span.end,
            parts: slices.parts.iter().map(Arc::downgrade).collect(),
            events,
        };
        (slices.span.start, counted)
    });
    counted.collect()
}

/// Spans that became one, as minutes become hours, have what they had together.
fn first_changed(before: &Seen, now: &BTreeMap<EventTime, Counted>) -> Option<EventTime> {
    let looked_at_from = before.complete_to.plus(-before.reach);
    let changed = now.iter().find(|(start, span)| {
        let was_complete = **start >= looked_at_from && span.end <= before.complete_to;
        let had: u64 = before
            .spans
            .range(**start..span.end)
            .map(|(_, span)| span.events)
            .sum();
        was_complete && span.events > had
    });
    changed.map(|(start, _)| *start)
}
