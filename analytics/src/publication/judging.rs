//! Which atoms of a step are shown, and what becomes of the others.

use std::collections::BTreeMap;

use h3o::Resolution;
use riskgrid_ingest::grid::{Span, parent_of};

use super::rounding::{Place, RoundingKey};

/// How many resolutions a rest lies above what it is of.
const COARSER: u8 = 2;

/// What is needed to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Events; at least 3.
    pub k: u64,
    /// Bits of the bitmap of sources.
    pub min_sources: u32,
}

/// What happened in one cell in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Atom {
    /// The cell, of the layer's public resolution.
    pub cell: u64,
    /// Events.
    pub count: u64,
    /// Bitmap of their sources.
    pub sources: u64,
}

/// A step as it may be shown. Each atom with an event is in one row of it, or in none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Atoms: cell and rounded count, by cell.
    pub cells: Vec<(u64, u64)>,
    /// What hidden atoms come to together: the cell that holds them (none: the whole layer) and the rounded count.
    pub rests: Vec<(Option<u64>, u64)>,
    /// Events that are in no row.
    pub unpublished: u64,
}

/// Judges the atoms, which are of `resolution`, of one step of a layer.
pub fn judge(
    key: &RoundingKey,
    threshold: Threshold,
    layer: &str,
    span: Span,
    (resolution, atoms): (Resolution, impl IntoIterator<Item = Atom>),
) -> Judged {
    let shown = |atom: &Atom| -> Option<u64> {
        let is_shown = atom.count >= threshold.k && atom.sources.count_ones() >= threshold.min_sources;
        let place = Place {
            layer,
            cell: atom.cell,
            start: span.start.micros(),
            seconds: u32::try_from(span.seconds()).unwrap_or(u32::MAX),
        };
        is_shown.then(|| key.rounded(place, atom.count, threshold.k))
    };
    let mut judged = Judged::default();
    let mut hidden: BTreeMap<u64, Atom> = BTreeMap::new();
    for atom in atoms.into_iter().filter(|atom| atom.count > 0) {
        match shown(&atom) {
            Some(count) => judged.cells.push((atom.cell, count)),
            None => add(&mut hidden, atom),
        }
    }
    judged.cells.sort_unstable();
    let mut level = u8::from(resolution);
    while !hidden.is_empty() {
        let coarser = level.checked_sub(COARSER);
        let holder = |cell: u64| match coarser.and_then(|level| Resolution::try_from(level).ok()) {
            Some(coarser) => parent_of(cell, coarser),
            // The whole layer.
            None => 0,
        };
        let mut groups: BTreeMap<u64, Atom> = BTreeMap::new();
        for atom in hidden.into_values() {
            let cell = holder(atom.cell);
            add(&mut groups, Atom { cell, ..atom });
        }
        hidden = BTreeMap::new();
        for (cell, group) in groups {
            match (shown(&group), coarser) {
                (Some(count), _) => judged.rests.push((Some(cell).filter(|cell| *cell != 0), count)),
                (None, Some(_)) => add(&mut hidden, group),
                (None, None) => judged.unpublished += group.count,
            }
        }
        level = coarser.unwrap_or_default();
    }
    judged.rests.sort_unstable();
    judged
}

fn add(atoms: &mut BTreeMap<u64, Atom>, atom: Atom) {
    let empty = Atom {
        cell: atom.cell,
        count: 0,
        sources: 0,
    };
    let known = atoms.entry(atom.cell).or_insert(empty);
    known.count += atom.count;
    known.sources |= atom.sources;
}
