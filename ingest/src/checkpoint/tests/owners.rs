//! Nodes that share checkpoints: each partition has one owner, and what another one still writes is in nobody's way.

use super::super::manifest::CLAIM;
use super::*;

/// A node among those that share a place: it takes the partition over as it finds it.
fn take_over(place: &Place, node: &str) -> Run {
    let mut run = Run::start_as(place, node).unwrap();
    match run.store.claim(&id(), run.settings, &run.layers).unwrap() {
        Claimed::Restored(restored) => run.partition = restored.partition,
        Claimed::New => assert_eq!(run.partition.next_offset(), 0),
        Claimed::Held => panic!("{node} had it already"),
    }
    run
}

#[test]
fn a_partition_goes_from_node_to_node_and_who_had_it_can_write_no_more() {
    for place in Place::all() {
        let totals = saved(&Place::in_folder());
        let mut first = take_over(&place, "first");
        first.read_to(SAVED[0]);
        first.write().unwrap();
        // Read on, and not saved: the other node reads it again.
        first.read_to(150);

        let mut second = take_over(&place, "second");
        assert_eq!(second.partition.next_offset(), SAVED[0]);
        second.read_to(SAVED[1]);
        second.write().unwrap();
        second.read_to(SAVED[1] + 50);

        let before = place.contents();
        for _ in 0..2 {
            let error = first.write().unwrap_err();
            assert!(
                matches!(error, CheckpointError::Fenced { epoch: 2, .. }),
                "{error}"
            );
        }
        assert!(place.contents() == before, "the one that was fenced wrote");
        second.write().unwrap();

        // Back to the first, which has nothing of its own of it.
        let mut third = take_over(&place, "first");
        assert_eq!(third.partition.next_offset(), SAVED[1] + 50);
        third.read_to(END);
        assert_eq!(third.totals(), totals);
        third.write().unwrap();
        assert!(matches!(
            second.write(),
            Err(CheckpointError::Fenced { epoch: 3, .. })
        ));
        assert_eq!(place.names(CLAIM).len(), 1);

        // A restart has what it had last, and only that.
        let other = Run::start_as(&place, "second").unwrap();
        assert_eq!(other.partition.next_offset(), 0);
        let mut again = Run::start_as(&place, "first").unwrap();
        assert_eq!((again.partition.next_offset(), again.totals()), (END, totals));
    }
}

/// The one that was fenced is in the middle of writing when the other claims and reads.
#[test]
fn what_a_fenced_node_still_writes_is_in_nobodys_way() {
    for place in Place::all() {
        let totals = saved(&Place::in_folder());
        let mut first = take_over(&place, "first");
        first.read_to(SAVED[0]);
        first.write().unwrap();
        first.read_to(150);
        let mut second = take_over(&place, "second");
        // It had looked for newer claims before that one was made.
        let claim = place.newest(CLAIM);
        let hidden = place.read(&claim);
        place.remove(&claim);
        first.write().unwrap();
        place.write(&claim, &hidden);

        for end in [180, 240, 260, 280, END] {
            second.read_to(end);
            second.write().unwrap();
        }
        assert_eq!(second.totals(), totals);
        let mut third = take_over(&place, "third");
        assert_eq!((third.partition.next_offset(), third.totals()), (END, totals));
    }
}

/// Of many that claim at one moment one has the partition.
#[test]
fn of_nodes_that_claim_at_once_each_epoch_has_one_owner() {
    const NODES: usize = 6;
    for place in Place::all() {
        saved(&place);
        let claimed: Vec<u64> = std::thread::scope(|scope| {
            let nodes: Vec<_> = (0..NODES)
                .map(|node| {
                    let mut run = Run::start_as(&place, &format!("node-{node}")).unwrap();
                    scope.spawn(move || {
                        run.store.claim(&id(), run.settings, &run.layers).unwrap();
                        run.store.epoch_of(&id()).unwrap()
                    })
                })
                .collect();
            nodes.into_iter().map(|node| node.join().unwrap()).collect()
        });
        let epochs: std::collections::BTreeSet<u64> = claimed.iter().copied().collect();
        assert_eq!(epochs.len(), NODES, "{claimed:?}");
    }
}
