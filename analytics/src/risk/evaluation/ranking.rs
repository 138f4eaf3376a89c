//! How many of the events are in the cells that rank highest.

use std::cmp::Reverse;

/// Events in the `most` cells of the highest scores; of cells that tie at the end each counts for its share.
pub fn hits(scores: &[f64], counts: &[u32], most: usize) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let score = |at: usize| scores.get(at).copied().unwrap_or(f64::NEG_INFINITY);
    let count = |at: usize| f64::from(counts.get(at).copied().unwrap_or(0));
    order.sort_by(|a, b| score(*b).total_cmp(&score(*a)));
    let Some(last) = most.min(order.len()).checked_sub(1).and_then(|at| order.get(at)) else {
        return 0.0;
    };
    let limit = score(*last);
    let (mut above, mut ties) = ((0_usize, 0.0), (0_usize, 0.0));
    for at in order {
        let into = if score(at) > limit {
            &mut above
        } else if score(at) < limit {
            break;
        } else {
            &mut ties
        };
        into.0 += 1;
        into.1 += count(at);
    }
    let places = most.min(scores.len()).saturating_sub(above.0) as f64;
    above.1 + ties.1 * places / ties.0.max(1) as f64
}

/// Events in the `most` cells that had most of them: what nobody could do better.
pub fn best_hits(counts: &[u32], most: usize) -> f64 {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable_by_key(|count| Reverse(*count));
    sorted.iter().take(most).map(|count| f64::from(*count)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_shared_evenly() {
        let counts = [4, 2, 0, 6];
        assert_eq!(hits(&[9.0, 1.0, 1.0, 0.0], &counts, 1), 4.0);
        // One of the two cells that tie: half of their two events.
        assert_eq!(hits(&[9.0, 1.0, 1.0, 0.0], &counts, 2), 5.0);
        // Nothing is known: a quarter of the cells has a quarter of the events.
        assert_eq!(hits(&[0.0; 4], &counts, 1), 3.0);
        assert_eq!(hits(&[0.0; 4], &counts, 9), 12.0);
        assert_eq!(hits(&[], &[], 3), 0.0);
        assert_eq!(best_hits(&counts, 2), 10.0);
    }
}
