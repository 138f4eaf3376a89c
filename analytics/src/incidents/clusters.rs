//! Clusters of one step and the open episodes of the step before: which goes on as which.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use h3o::CellIndex;
use riskgrid_ingest::EventTime;

/// An episode of a cluster that is open.
#[derive(Clone, Copy, Debug)]
pub struct ClusterEpisode<'a> {
    /// Id of the episode.
    pub id: &'a str,
    /// When it fired.
    pub fired_at: EventTime,
    /// Its cells at the step before.
    pub cells: &'a BTreeSet<CellIndex>,
}

/// What becomes of a cluster, or of an episode. Numbers are places in the lists that were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Following {
    /// The episode goes on as this cluster.
    Continues {
        /// Which cluster.
        cluster: usize,
        /// Which episode.
        episode: usize,
    },
    /// The cluster begins a new episode, beside one that it was a part of.
    SplitFrom {
        /// Which cluster.
        cluster: usize,
        /// Which episode.
        episode: usize,
    },
    /// The cluster begins a new episode, and nothing was there.
    New {
        /// Which cluster.
        cluster: usize,
    },
    /// The episode is over: it became part of this cluster.
    Merged {
        /// Which episode.
        episode: usize,
        /// Which cluster.
        cluster: usize,
    },
    /// The episode has no cluster any more.
    Absent {
        /// Which episode.
        episode: usize,
    },
}

/// Clusters and episodes that have something to do with each other, those that have most first.
type Pair<'a> = (Reverse<usize>, EventTime, &'a str, usize, usize);

/// What becomes of the clusters of a step, by rank, and then of the episodes that are left, in their order.
pub fn follow(
    episodes: &[ClusterEpisode<'_>],
    clusters: &[BTreeSet<CellIndex>],
    distance: u32,
) -> Vec<Following> {
    let pairs = pairs_of(episodes, clusters, distance);
    let (mut by_cluster, mut by_episode) = (vec![None; clusters.len()], vec![None; episodes.len()]);
    for (.., cluster, episode) in &pairs {
        let (Some(of_cluster), Some(of_episode)) =
            (by_cluster.get_mut(*cluster), by_episode.get_mut(*episode))
        else {
            continue;
        };
        if of_cluster.is_none() && of_episode.is_none() {
            (*of_cluster, *of_episode) = (Some(*episode), Some(*cluster));
        }
    }
    let new = by_cluster
        .into_iter()
        .enumerate()
        .map(|(cluster, taken)| match taken {
            Some(episode) => Following::Continues { cluster, episode },
            None => match pairs.iter().find(|(.., of, _)| *of == cluster) {
                Some((.., episode)) => Following::SplitFrom {
                    cluster,
                    episode: *episode,
                },
                None => Following::New { cluster },
            },
        });
    let left = by_episode.iter().enumerate().filter(|(_, taken)| taken.is_none());
    let old = left.map(|(episode, _)| {
        let of_it = pairs.iter().filter(|(.., of)| *of == episode);
        // Of several with as many common cells the one of the first rank.
        match of_it.min_by_key(|(common, _, _, cluster, _)| (*common, *cluster)) {
            Some((.., cluster, _)) => Following::Merged {
                episode,
                cluster: *cluster,
            },
            None => Following::Absent { episode },
        }
    });
    new.chain(old).collect()
}

/// Pairs with common cells, and near ones where neither side has any common cell.
fn pairs_of<'a>(
    episodes: &[ClusterEpisode<'a>],
    clusters: &[BTreeSet<CellIndex>],
    distance: u32,
) -> Vec<Pair<'a>> {
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    let mut has_common = (vec![false; clusters.len()], vec![false; episodes.len()]);
    for (cluster, cells) in clusters.iter().enumerate() {
        for (
            episode,
            ClusterEpisode {
                id,
                fired_at,
                cells: was,
            },
        ) in episodes.iter().enumerate()
        {
            let common = cells.intersection(was).count();
            if common > 0 {
                pairs.push((Reverse(common), *fired_at, id, cluster, episode));
                has_common.0[cluster] = true;
                has_common.1[episode] = true;
            }
        }
    }
    for (cluster, cells) in clusters.iter().enumerate().filter(|(n, _)| !has_common.0[*n]) {
        let disk: BTreeSet<CellIndex> = cells
            .iter()
            .flat_map(|cell| cell.grid_disk::<Vec<_>>(distance))
            .collect();
        let alone = episodes.iter().enumerate().filter(|(n, _)| !has_common.1[*n]);
        for (
            episode,
            ClusterEpisode {
                id,
                fired_at,
                cells: was,
            },
        ) in alone
        {
            if !disk.is_disjoint(was) {
                pairs.push((Reverse(0), *fired_at, id, cluster, episode));
            }
        }
    }
    pairs.sort_unstable();
    pairs
}
