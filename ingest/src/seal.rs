//! What the embedded stores looked like when the node stopped. They take a log that ends early for one that was cut off by
//! a crash, and go on with less, without a word. After a stop that went well nothing may be missing: the next start
//! compares, and says what is.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

use crate::checkpoint::{CheckpointError, Files};
use crate::disk::state_folder::sync_folder;

const FORMAT: u32 = 1;
const FILE: &str = "sealed.json";
/// What a seal becomes that was broken: the start that broke it may be refused before anything changed.
const BROKEN: &str = "opened.json";
/// The folders of the stores.
const STORES: [&str; 2] = ["journal", "dead-letters"];
/// By which a store says that it is open.
const LOCK: &str = "lock";
/// Closed by now, its two side files are gone, and all is in the file itself.
const DATABASE: &str = "decisions.sqlite";
/// A file is known by its size and by so many pieces of it, so that a large one takes no time.
const PIECES: u64 = 64;
const PIECE: u64 = 16 << 10;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why a start is refused.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A file is not as it was left.
    #[error(
        "{} is not as riskgrid left it when it last stopped: {problem}. Nothing was changed; restore {} from a backup; or, to \
         go on with what is there and without what is missing, remove {}",
        file.display(), what.display(), seal.display()
    )]
    Changed {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What belongs together.
        what: PathBuf,
        /// What says so.
        seal: PathBuf,
    },
    /// The seal itself cannot be read.
    #[error("{}: {problem}; whether the state is whole is not known. Remove the file to start with what is there", seal.display())]
    Unreadable {
        /// The file.
        seal: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// On which file.
        path: PathBuf,
        /// What it said.
        #[source]
        error: io::Error,
    },
    /// It could not be written.
    #[error(transparent)]
    Storage(#[from] CheckpointError),
}

#[derive(Serialize, Deserialize)]
struct Seal {
    format: u32,
    files: Vec<SealedFile>,
}

#[derive(Serialize, Deserialize)]
struct SealedFile {
    /// Below the folder of the node's state.
    name: String,
    bytes: u64,
    /// XXH3-128 of its pieces, hexadecimal.
    hash: String,
}

/// Compares the stores with the seal, where there is one, and breaks it: from now on they change.
///
/// # Errors
/// Something is missing or other than it was: the seal stays, and so does all else.
pub fn break_seal(data_dir: &Path) -> Result<(), SealError> {
    let path = data_dir.join(FILE);
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| SealError::Io { path, error }
    };
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // The one before did not stop well: its state is as it was left, whole or not.
            let broken = data_dir.join(BROKEN);
            return match fs::remove_file(&broken) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(io(&broken)(error)),
                _ => Ok(()),
            };
        }
        Err(error) => return Err(io(&path)(error)),
    };
    let unreadable = |problem: String| SealError::Unreadable {
        seal: path.clone(),
        problem,
    };
    let seal: Seal = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    if seal.format != FORMAT {
        return Err(unreadable(format!(
            "format {}, this riskgrid reads {FORMAT}",
            seal.format
        )));
    }
    for sealed in &seal.files {
        let file = data_dir.join(&sealed.name);
        let problem = match fs::metadata(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => Some("it is missing".to_owned()),
            Err(error) => return Err(io(&file)(error)),
            Ok(metadata) if metadata.len() != sealed.bytes => {
                Some(format!("it has {} bytes of {}", metadata.len(), sealed.bytes))
            }
            Ok(_) => {
                let hash = hash_of(&file, sealed.bytes).map_err(io(&file))?;
                (hash != sealed.hash).then(|| "it holds something else".to_owned())
            }
        };
        if let Some(problem) = problem {
            let store = sealed.name.split('/').next().unwrap_or_default();
            return Err(SealError::Changed {
                what: data_dir.join(store),
                file,
                problem,
                seal: path.clone(),
            });
        }
    }
    fs::rename(&path, data_dir.join(BROKEN))
        .and_then(|()| sync_folder(data_dir))
        .map_err(io(&path))
}

/// Whether a start that was refused had found a seal and broken it: then what was whole is sealed again.
pub fn was_sealed(data_dir: &Path) -> bool {
    data_dir.join(BROKEN).exists()
}

/// Writes down how the stores are, once they are closed. `false`: they were not within `patience`, and there is no seal; or
/// there is one already.
///
/// # Errors
/// The seal cannot be written: the next start compares nothing.
pub fn seal(data_dir: &Path, patience: Duration) -> Result<bool, SealError> {
    let began = Instant::now();
    let Some(_closed) = locks(data_dir, patience) else {
        return Ok(false);
    };
    // Closed on a thread of its own.
    while data_dir.join(format!("{DATABASE}-wal")).exists() {
        if began.elapsed() >= patience {
            return Ok(false);
        }
        std::thread::park_timeout(LOOK_AGAIN);
    }
    let mut files = Vec::new();
    for store in STORES {
        add(data_dir, store, &mut files)?;
    }
    add(data_dir, DATABASE, &mut files)?;
    // The same files make the same seal, whatever order the system lists them in.
    files.sort_by(|one, other| one.name.cmp(&other.name));
    let seal = Seal {
        format: FORMAT,
        files,
    };
    let path = data_dir.join(FILE);
    let json = serde_json::to_vec_pretty(&seal).map_err(|error| SealError::Unreadable {
        seal: path,
        problem: error.to_string(),
    })?;
    let files = Files::open_folder(data_dir)?;
    let is_sealed = files.create("", FILE, &json)?;
    files.remove("", BROKEN);
    Ok(is_sealed)
}

/// The locks of all stores that are there.
fn locks(data_dir: &Path, patience: Duration) -> Option<Vec<File>> {
    let began = Instant::now();
    let mut locks = Vec::new();
    for store in STORES {
        let Ok(file) = File::open(data_dir.join(store).join(LOCK)) else {
            continue;
        };
        while file.try_lock().is_err() {
            if began.elapsed() >= patience {
                return None;
            }
            std::thread::park_timeout(LOOK_AGAIN);
        }
        locks.push(file);
    }
    Some(locks)
}

/// Adds a file, or all files of a folder but its lock.
fn add(data_dir: &Path, name: &str, files: &mut Vec<SealedFile>) -> Result<(), SealError> {
    let path = data_dir.join(name);
    let io = |error| SealError::Io {
        path: path.clone(),
        error,
    };
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    if metadata.is_dir() {
        for entry in fs::read_dir(&path).map_err(io)? {
            let below = entry.map_err(io)?.file_name();
            if below != LOCK {
                add(data_dir, &format!("{name}/{}", below.to_string_lossy()), files)?;
            }
        }
        return Ok(());
    }
    files.push(SealedFile {
        name: name.to_owned(),
        bytes: metadata.len(),
        hash: hash_of(&path, metadata.len()).map_err(io)?,
    });
    Ok(())
}

/// Of pieces that are spread over the file, the first and the last among them.
fn hash_of(path: &Path, bytes: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = XxHash3_128::new();
    let mut piece = Vec::new();
    let last = bytes.saturating_sub(PIECE);
    let pieces = bytes.div_ceil(PIECE).clamp(1, PIECES);
    for number in 0..pieces {
        let start = if pieces == 1 {
            0
        } else {
            last / (pieces - 1) * number
        };
        let start = if number + 1 == pieces { last } else { start };
        file.seek(SeekFrom::Start(start))?;
        piece.clear();
        (&mut file).take(PIECE).read_to_end(&mut piece)?;
        hasher.write(&piece);
    }
    Ok(format!("{:032x}", hasher.finish_128()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_happens_to_a_sealed_file_is_told_and_the_seal_stays() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        fs::create_dir_all(data.join("journal/keyspaces")).unwrap();
        let files = ["journal/0.jnl", "journal/keyspaces/current", "decisions.sqlite"];
        let write = || {
            for (index, name) in files.iter().enumerate() {
                fs::write(data.join(name), vec![7; 5 + 300_000 * index]).unwrap();
            }
        };
        write();
        fs::write(data.join("journal/lock"), "").unwrap();
        assert!(seal(data, Duration::ZERO).unwrap());
        for name in files {
            let path = data.join(name);
            let whole = fs::read(&path).unwrap();
            let mut garbled = whole.clone();
            *garbled.last_mut().unwrap() = 8;
            for damaged in [
                None,
                Some(vec![]),
                Some(whole[..whole.len() / 2].to_vec()),
                Some(garbled),
            ] {
                match damaged {
                    None => fs::remove_file(&path).unwrap(),
                    Some(bytes) => fs::write(&path, bytes).unwrap(),
                }
                let said = break_seal(data).unwrap_err().to_string();
                assert!(said.contains(name) && said.contains("sealed.json"), "{said}");
                assert!(data.join(FILE).exists());
                write();
            }
        }
        // A lock is nobody's state.
        fs::remove_file(data.join("journal/lock")).unwrap();
        break_seal(data).unwrap();
        assert!(!data.join(FILE).exists() && was_sealed(data));
        // Nothing is known of what was not stopped well.
        break_seal(data).unwrap();
        assert!(!was_sealed(data));
    }

    #[test]
    fn what_is_open_is_not_sealed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("journal")).unwrap();
        let lock = File::create(folder.path().join("journal/lock")).unwrap();
        lock.try_lock().unwrap();
        assert!(!seal(folder.path(), LOOK_AGAIN).unwrap());
        drop(lock);
        assert!(seal(folder.path(), LOOK_AGAIN).unwrap());
    }
}
