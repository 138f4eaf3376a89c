//! Who this node is among those that share checkpoints. Its id is state: under another one it would pass over what it
//! wrote itself.

use std::io::ErrorKind;
use std::path::Path;

use crate::checkpoint::{CheckpointError, Files, owners};

/// The file of the id, in the folder of the node's state. By it Kafka's group knows the node too, so that a restart has
/// its partitions back at once.
const FILE: &str = "kafka-instance-id";
const PREFIX: &str = "riskgrid-";
const DIGITS: usize = 16;
/// Folders that a node makes only once it has an id.
const MADE_LATER: [&str; 2] = ["journal", "dead-letters"];

/// Why the node's id is not known.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The storage refused.
    #[error(transparent)]
    Storage(#[from] CheckpointError),
    /// The file is missing or is not what was written.
    #[error("{place}: {problem}. It says which checkpoints are this node's. Nothing was changed; {remedy}")]
    Lost {
        /// The file.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        remedy: String,
    },
}

/// The id of the node whose state lies in `data_dir`, with its own checkpoints in `own`. A node without any state is given
/// one, durably.
///
/// # Errors
/// It was lost or damaged although there is state: says what to do.
pub fn node_id(data_dir: &Path, own: &Files) -> Result<String, IdentityError> {
    let files = Files::open_folder(data_dir)?;
    let problem = match files.read("", FILE) {
        Ok(bytes) => {
            let id = String::from_utf8_lossy(&bytes).trim().to_owned();
            // One that somebody chose is known by what was written under it.
            if is_made_here(&id) || (!id.is_empty() && owners(own)?.contains(&id)) {
                return Ok(id);
            }
            if id.is_empty() {
                "it is empty".to_owned()
            } else {
                format!("it does not hold an id, {PREFIX} and {DIGITS} hexadecimal digits")
            }
        }
        Err(CheckpointError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => {
            let has_state =
                !owners(own)?.is_empty() || MADE_LATER.iter().any(|folder| data_dir.join(folder).exists());
            if !has_state {
                let id = fresh_id(&files)?;
                if files.create("", FILE, id.as_bytes())? {
                    return Ok(id);
                }
            }
            "it is missing".to_owned()
        }
        Err(CheckpointError::Io { error, .. }) => format!("it cannot be read: {error}"),
        Err(error) => return Err(error.into()),
    };
    let place = files.place_of("", FILE);
    let owners: Vec<String> = owners(own)?.into_iter().collect();
    let remedy = match owners.as_slice() {
        [] => format!(
            "restore it from a backup; or, as no checkpoint in this folder depends on it, give the node a new one: echo {} > {place}",
            fresh_id(&files)?
        ),
        [owner] => format!(
            "restore it from a backup, or write the id that its checkpoints bear: echo {owner} > {place}"
        ),
        several => format!(
            "restore it from a backup; the checkpoints in this folder bear the ids {}",
            several.join(", ")
        ),
    };
    Err(IdentityError::Lost {
        place,
        problem,
        remedy,
    })
}

fn is_made_here(id: &str) -> bool {
    id.strip_prefix(PREFIX)
        .is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

fn fresh_id(files: &Files) -> Result<String, CheckpointError> {
    let mut bytes = [0; DIGITS / 2];
    getrandom::fill(&mut bytes).map_err(|error| CheckpointError::Io {
        action: "no random number for",
        place: files.place_of("", FILE),
        error: error.into(),
    })?;
    Ok(format!("{PREFIX}{:016x}", u64::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn node(folder: &Path) -> Result<String, IdentityError> {
        node_id(folder, &Files::open_folder(&folder.join("checkpoints")).unwrap())
    }

    #[test]
    fn a_node_without_state_is_given_an_id_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let id = node(folder.path()).unwrap();
        assert!(is_made_here(&id), "{id}");
        assert_eq!(node(folder.path()).unwrap(), id);
    }

    #[test]
    fn an_id_that_was_lost_is_told_with_what_to_do_and_none_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let id = node(folder.path()).unwrap();
        let file = folder.path().join(FILE);
        let claims = folder.path().join("checkpoints/journal@0");
        fs::create_dir_all(&claims).unwrap();
        let claim = format!("{{\"owner\": \"{id}\", \"writer\": 1}}");
        fs::write(claims.join("00000001-claim.json"), claim).unwrap();
        for contents in [
            None,
            Some(""),
            Some(&id[..id.len() / 2]),
            Some("\u{0}\u{7}garbage"),
        ] {
            match contents {
                None => fs::remove_file(&file).unwrap(),
                Some(text) => fs::write(&file, text).unwrap(),
            }
            let said = node(folder.path()).unwrap_err().to_string();
            assert!(said.contains(&format!("echo {id} > ")), "{said}");
            assert_eq!(fs::read_to_string(&file).ok().as_deref(), contents);
        }
        // As told.
        fs::write(&file, format!("{id}\n")).unwrap();
        assert_eq!(node(folder.path()).unwrap(), id);
        // One that an operator chose, once checkpoints bear it.
        fs::write(&file, "rivers-1").unwrap();
        assert!(node(folder.path()).is_err());
        fs::write(claims.join("00000002-claim.json"), "{\"owner\": \"rivers-1\"}").unwrap();
        assert_eq!(node(folder.path()).unwrap(), "rivers-1");
    }

    #[test]
    fn without_checkpoints_a_lost_id_is_told_too() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("journal")).unwrap();
        let said = node(folder.path()).unwrap_err().to_string();
        assert!(
            said.contains("it is missing") && said.contains("echo riskgrid-"),
            "{said}"
        );
        assert!(!folder.path().join(FILE).exists());
    }
}
