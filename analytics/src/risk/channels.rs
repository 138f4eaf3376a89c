//! Who tells of a hazard in and round each cell, by class of channel.

use super::corroboration::CLASSES;
use super::spread::{CellGraph, Place};

/// Bits of a class.
const BITS_OF_CLASS: usize = 8;
/// What a bit counts one ring away.
const NEXT_RING: f64 = 0.5;
/// How far it is heard.
pub const RINGS: u32 = 1;

/// A bit of a cell, and the next of the same cell.
#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    bit: u8,
    fresh: f64,
}

/// The bits of the channels of a hazard group, by place in the graph of neighbours.
#[derive(Debug, Default)]
pub struct Channels {
    /// The first link of each place, plus one; 0 for none.
    first: Vec<u32>,
    links: Vec<Link>,
}

impl Channels {
    /// Adds a bit of a place that is so fresh.
    pub fn add(&mut self, place: Place, bit: u8, fresh: f64) {
        let place = place as usize;
        if self.first.len() <= place {
            self.first.resize(place + 1, 0);
        }
        if let Some(first) = self.first.get_mut(place) {
            self.links.push(Link {
                next: *first,
                bit,
                fresh,
            });
            *first = self.links.len() as u32;
        }
    }

    /// x of each class in a cell: over its bits, the freshest of the cell and those around it, which count half.
    pub fn heard_at(&self, graph: &mut CellGraph, place: Place) -> [f64; CLASSES] {
        let mut freshest = [0.0_f64; CLASSES * BITS_OF_CLASS];
        let mut heard_bits = 0_u64;
        for (near, ring) in graph.around(place) {
            let share = if *ring == 0 { 1.0 } else { NEXT_RING };
            let mut link = self.first.get(*near as usize).copied().unwrap_or(0);
            while let Some(found) = (link as usize).checked_sub(1).and_then(|at| self.links.get(at)) {
                if let Some(freshest) = freshest.get_mut(usize::from(found.bit)) {
                    *freshest = freshest.max(share * found.fresh);
                    heard_bits |= 1 << (found.bit & 63);
                }
                link = found.next;
            }
        }
        // Ascending, as if all were added up.
        let mut heard = [0.0; CLASSES];
        while heard_bits != 0 {
            let bit = heard_bits.trailing_zeros() as usize;
            heard_bits &= heard_bits - 1;
            if let (Some(heard), Some(fresh)) = (heard.get_mut(bit / BITS_OF_CLASS), freshest.get(bit)) {
                *heard += fresh;
            }
        }
        heard
    }
}
