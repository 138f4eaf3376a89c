//! Keys in files: of their owner alone.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::key::Key;

/// A file of a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner can read it.
    #[error(
        "{} holds a secret, and others than its owner can read it (mode {mode:04o}); set its rights with chmod 600, and make \
         another if somebody may have read it",
        path.display()
    )]
    ReadByOthers {
        /// Which one.
        path: PathBuf,
        /// Its rights.
        mode: u32,
    },
    /// It holds no key.
    #[error(
        "{} holds no key; write what `riskgrid keys new` or `riskgrid keys create` prints, and nothing else",
        path.display()
    )]
    NoKey {
        /// Which one.
        path: PathBuf,
    },
}

/// Reads a file that holds a key and nothing else.
///
/// # Errors
/// It cannot be read; others than its owner can read it; it holds no key.
pub fn read_key_file(path: &Path) -> Result<Key, PrivateFileError> {
    let text = read_private_file(path)?;
    Key::parse(text.trim()).ok_or_else(|| PrivateFileError::NoKey {
        path: path.to_owned(),
    })
}

/// Reads a file that holds a secret.
///
/// # Errors
/// It cannot be read; others than its owner can read it.
pub fn read_private_file(path: &Path) -> Result<String, PrivateFileError> {
    let failed = |source| PrivateFileError::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::ReadByOthers {
            path: path.to_owned(),
            mode,
        });
    }
    std::fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_key_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(read_key_file(&path).unwrap_err().to_string().contains("key"));
        let key = Key::random().unwrap();
        std::fs::write(&path, format!("{}\n", key.reveal())).unwrap();
        let set = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o644, 0o640, 0o604] {
            set(mode);
            let error = read_key_file(&path).unwrap_err().to_string();
            assert!(
                error.contains("chmod 600") && !error.contains(key.reveal()),
                "{error}"
            );
        }
        set(0o600);
        assert_eq!(read_key_file(&path).unwrap().reveal(), key.reveal());
        std::fs::write(&path, "secret").unwrap();
        let error = read_key_file(&path).unwrap_err().to_string();
        assert!(error.contains("keys new") && !error.contains("secret"), "{error}");
    }
}
