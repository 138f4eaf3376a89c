//! A partition that this node has: its checkpoints are written here, and old ones removed.

use std::collections::VecDeque;

use super::files::Files;
use super::manifest::{
    CLAIM, Claim, Manifest, ManifestFile, Step, epoch_of, folder_name, hash_of, newest_epoch, read_manifests,
};
use super::state::PartitionState;
use super::store::create_claim;
use super::{CheckpointError, FORMAT};

/// Manifests kept beside the newest, with their files.
const OLD_MANIFESTS: usize = 2;
/// Steps smaller than this are not worth keeping apart.
const SMALL_STEP: u64 = 4 << 10;

/// A partition of this node.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) epoch: u64,
    /// The claim of the epoch is in the folder.
    pub(super) is_claimed: bool,
    newest: Option<Manifest>,
    /// The manifests that are kept, newest first, once the folder was cleared of all others.
    kept: Option<VecDeque<Manifest>>,
    /// The number of the last try, so that what a failed one left behind is in no later one's way.
    tried: u64,
    /// Bytes of the last step that held one generation.
    usual_step: u64,
}

impl Held {
    pub(super) const fn since_epoch(epoch: u64, newest: Option<Manifest>) -> Self {
        Self {
            epoch,
            is_claimed: false,
            newest,
            kept: None,
            tried: 0,
            usual_step: 0,
        }
    }

    /// The generation after which the next state must hold all changes.
    pub(super) fn since(&self) -> u64 {
        let newest = self.newest.as_ref();
        newest.map_or(0, |newest| worth_keeping(&newest.steps, self.usual_step))
    }

    /// Writes a state as the newest checkpoint.
    pub(super) fn write(
        &mut self,
        files: &Files,
        node: &Claim,
        state: PartitionState,
    ) -> Result<(), CheckpointError> {
        let folder = folder_name(state.id());
        self.ensure_claimed(files, &folder, node)?;
        // Steps of an older epoch stay: their files are whole, and names carry the epoch.
        let mut steps = match &self.newest {
            Some(newest) => newest.steps.clone(),
            None => Vec::new(),
        };
        let (since, generation) = (state.since(), state.generation());
        steps.retain(|step| step.generation <= since);
        let number = self.newest.as_ref().map_or(0, |manifest| manifest.number);
        let number = number.max(self.tried) + 1;
        self.tried = number;
        let mut manifest = Manifest {
            format: FORMAT,
            epoch: self.epoch,
            number,
            topic: state.id().topic.to_string(),
            partition: state.id().partition,
            next_offset: state.next_offset(),
            steps,
        };
        let mut written = Vec::new();
        let done = write_files(files, &folder, &manifest, state, &mut written).and_then(|()| {
            let step = Step {
                generation,
                files: written.clone(),
            };
            if since + 1 == generation {
                self.usual_step = step.bytes();
            }
            manifest.steps.push(step);
            write_manifest(files, &folder, &manifest)
        });
        if let Err(error) = done {
            // In no manifest, and every later try would leave more on a disk that is full.
            for file in &written {
                files.remove(&folder, &file.name);
            }
            self.kept = None;
            return Err(error);
        }
        self.newest = Some(manifest.clone());
        self.remove_old(files, &folder, manifest);
        Ok(())
    }

    /// Only while nobody has claimed the partition since; the first time with a claim.
    fn ensure_claimed(&mut self, files: &Files, folder: &str, node: &Claim) -> Result<(), CheckpointError> {
        let fenced = |epoch| CheckpointError::Fenced {
            folder: files.place(folder),
            epoch,
        };
        let newest = newest_epoch(&files.names(folder)?);
        if newest > self.epoch {
            return Err(fenced(newest));
        }
        if !self.is_claimed {
            if !create_claim(files, folder, self.epoch, node)? {
                return Err(fenced(self.epoch));
            }
            self.is_claimed = true;
        }
        Ok(())
    }

    /// Removes what only manifests name that are too old now. The first time after a claim, and after a try that failed,
    /// the folder is looked through for all that is in nobody's use.
    fn remove_old(&mut self, files: &Files, folder: &str, newest: Manifest) {
        let Some(kept) = &mut self.kept else {
            self.kept = clear(files, folder, self.epoch);
            return;
        };
        kept.push_front(newest);
        while kept.len() > 1 + OLD_MANIFESTS
            && let Some(old) = kept.pop_back()
        {
            files.remove(folder, &old.file_name());
            let is_named = |file: &ManifestFile| kept.iter().any(|manifest| manifest.names(&file.name));
            for file in old.files().filter(|file| !is_named(file)) {
                files.remove(folder, &file.name);
            }
        }
    }
}

/// The generation of the newest step that stays as it is. Younger ones that are together at least as large as the one
/// before them are written anew as one: so there are few steps, and what is in them is written again a few times only,
/// each time with as much again beside it.
fn worth_keeping(steps: &[Step], usual_step: u64) -> u64 {
    let mut together = usual_step.max(SMALL_STEP);
    let mut kept = steps;
    while let Some((last, before)) = kept.split_last()
        && last.bytes() <= together
    {
        together += last.bytes();
        kept = before;
    }
    kept.last().map_or(0, |step| step.generation)
}

fn write_files(
    files: &Files,
    folder: &str,
    manifest: &Manifest,
    state: PartitionState,
    written: &mut Vec<ManifestFile>,
) -> Result<(), CheckpointError> {
    state.into_files(|bytes| {
        let name = manifest.state_name(written.len());
        create_new(files, folder, &name, bytes)?;
        written.push(ManifestFile {
            name,
            bytes: bytes.len() as u64,
            hash: hash_of(bytes),
        });
        Ok(())
    })
}

fn write_manifest(files: &Files, folder: &str, manifest: &Manifest) -> Result<(), CheckpointError> {
    let json = serde_json::to_vec_pretty(manifest).map_err(|error| CheckpointError::Io {
        action: "encoding the manifest of",
        place: files.place(folder),
        error: error.into(),
    })?;
    create_new(files, folder, &manifest.file_name(), &json)
}

fn create_new(files: &Files, folder: &str, name: &str, bytes: &[u8]) -> Result<(), CheckpointError> {
    if files.create(folder, name, bytes)? {
        return Ok(());
    }
    let place = files.place_of(folder, name);
    Err(CheckpointError::Taken { place })
}

/// Removes all manifests but the newest few, which it returns, the files that none of those names, and claims but the
/// newest. What bears a higher epoch is another node's, which may be about to name it. What cannot be removed now is found
/// again the next time; `None`: nothing could be looked through.
fn clear(files: &Files, folder: &str, epoch: u64) -> Option<VecDeque<Manifest>> {
    let names = files.names(folder).ok()?;
    let mut manifests = read_manifests(files, folder, &names).ok()?;
    manifests.truncate(1 + OLD_MANIFESTS);
    let claim = names.iter().rfind(|name| name.ends_with(CLAIM));
    let is_kept = |name: &String| {
        let is_named = |manifest: &Manifest| *name == manifest.file_name() || manifest.names(name);
        Some(name) == claim || manifests.iter().any(is_named)
    };
    for name in &names {
        if epoch_of(name).is_some_and(|other| other <= epoch) && !is_kept(name) {
            files.remove(folder, name);
        }
    }
    Some(manifests.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(generation: u64, bytes: u64) -> Step {
        Step {
            generation,
            files: vec![ManifestFile {
                name: generation.to_string(),
                bytes,
                hash: String::new(),
            }],
        }
    }

    #[test]
    fn there_are_few_steps_and_little_is_written_again() {
        const STEP: u64 = 100 << 10;
        let (mut steps, mut written, mut most) = (Vec::new(), 0, 0);
        for generation in 1..=1000 {
            let since = worth_keeping(&steps, STEP);
            steps.retain(|step: &Step| step.generation <= since);
            let bytes = STEP * (generation - since);
            written += bytes;
            steps.push(step(generation, bytes));
            most = most.max(steps.len());
            assert_eq!(steps.iter().map(Step::bytes).sum::<u64>(), STEP * generation);
        }
        // Each of 1000 is written at most once for each doubling.
        assert!(most <= 10, "{most} steps");
        assert!(written <= 10 * 1000 * STEP, "{written} bytes");
    }
}
