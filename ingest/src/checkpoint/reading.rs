//! Finding the newest whole checkpoint of a partition, and reading it by several threads.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{available_parallelism, scope};

use super::CheckpointError;
use super::files::Files;
use super::item::Part;
use super::manifest::{Manifest, ManifestFile, hash_of, newest_manifest, read_manifests};
use super::restore::{Restored, restore};
use crate::grid::GridSettings;
use crate::words::LayerTable;

/// Threads that read at least: an object store takes longer to answer than a processor to read.
const LEAST_READERS: usize = 4;

/// What is read of a folder: its newest checkpoint; none when its first one was never finished.
pub(super) type ReadNewest = Result<Option<(Restored, Manifest)>, CheckpointError>;

/// The newest checkpoints of folders, in their order.
pub(super) fn read_all(
    folders: &[(Files, String, Vec<String>)],
    settings: GridSettings,
    layers: &LayerTable,
) -> Vec<ReadNewest> {
    by_several(folders, |(files, folder, names)| {
        read_newest(files, folder, names, settings, layers)
    })
}

/// The newest checkpoint of a folder whose files are all whole; `None` when its first one was never finished.
pub(super) fn read_newest(
    files: &Files,
    folder: &str,
    names: &[String],
    settings: GridSettings,
    layers: &LayerTable,
) -> ReadNewest {
    if newest_manifest(names).is_none() {
        return Ok(None);
    }
    let whole = read_manifests(files, folder, names)?
        .into_iter()
        .find_map(|manifest| Some((read_chain(files, folder, &manifest)?, manifest)));
    let Some((chain, manifest)) = whole else {
        return Err(CheckpointError::NoneWhole {
            folder: files.place(folder),
        });
    };
    let restored = restore(chain, settings, layers).map_err(|error| CheckpointError::State {
        folder: files.place(folder),
        error,
    })?;
    Ok(Some((restored, manifest)))
}

/// The steps of a manifest, each with the parts of its files; `None` when a file is missing, torn or damaged.
pub(super) fn read_chain(files: &Files, folder: &str, manifest: &Manifest) -> Option<Vec<Vec<Part>>> {
    let named: Vec<&ManifestFile> = manifest.files().collect();
    let mut parts = by_several(&named, |file| read_part(files, folder, file)).into_iter();
    let steps = manifest.steps.iter();
    steps
        .map(|step| parts.by_ref().take(step.files.len()).collect())
        .collect()
}

fn read_part(files: &Files, folder: &str, file: &ManifestFile) -> Option<Part> {
    let problem = match files.read(folder, &file.name) {
        Err(error) => error.to_string(),
        Ok(bytes) if bytes.len() as u64 != file.bytes || hash_of(&bytes) != file.hash => {
            "its size or hash is not that of the manifest".to_owned()
        }
        Ok(bytes) => match Part::read(&bytes) {
            Ok(part) => return Some(part),
            Err(damage) => damage.to_string(),
        },
    };
    let path = files.place_of(folder, &file.name);
    tracing::warn!(
        path,
        problem,
        "a checkpoint file is not whole; an older checkpoint is used"
    );
    None
}

/// What `work` makes of each, in their order, by as many threads as there are processors, and a few.
fn by_several<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = available_parallelism().map_or(1, NonZero::get).max(LEAST_READERS);
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(one) = all.get(index) else {
                return done;
            };
            done.push((index, work(one)));
        }
    };
    let mut done: Vec<(usize, R)> = scope(|scope| {
        let others: Vec<_> = (1..threads.min(all.len())).map(|_| scope.spawn(take)).collect();
        let mut done = take();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                // As if it had been done on this thread.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
