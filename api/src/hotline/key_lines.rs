//! Files of secret keys of this installation: a line each, its number and 64 hex digits. The last one is used for what is new, all
//! are for what is old.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::access::read_private_file;
use crate::digest::hex;

/// The keys of one file.
#[derive(Clone)]
pub struct KeyLines {
    keys: Vec<(u8, [u8; 32])>,
}

impl std::fmt::Debug for KeyLines {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<u8> = self.keys.iter().map(|(number, _)| *number).collect();
        formatter
            .debug_struct("KeyLines")
            .field("numbers", &numbers)
            .finish()
    }
}

/// Why a file of keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct InvalidKeyLines {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and what to do.
    pub problem: String,
}

impl KeyLines {
    /// Reads the file; makes it, with one key, where there is none.
    ///
    /// # Errors
    /// It cannot be read or made, others may read it, or a line of it is no key.
    pub fn read_or_make(path: &Path) -> Result<Self, InvalidKeyLines> {
        let failed = |problem: String| InvalidKeyLines {
            path: path.to_owned(),
            problem,
        };
        if let Err(error) = std::fs::metadata(path) {
            if error.kind() != ErrorKind::NotFound {
                return Err(failed(error.to_string()));
            }
            make(path).map_err(|error| failed(error.to_string()))?;
        }
        let text = read_private_file(path)
            .map_err(|problem| failed(format!("{problem}; or put it back from a backup")))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Option<Vec<_>> = lines.map(read_line).collect();
        let keys = keys.filter(|keys| !keys.is_empty()).ok_or_else(|| {
            failed(
                "each line is a number from 1 to 255 and a key of 64 hex digits, as `1 00ff…`; put it back from a backup".to_owned(),
            )
        })?;
        Ok(Self { keys })
    }

    /// These.
    #[cfg(test)]
    pub(crate) fn of(keys: Vec<(u8, [u8; 32])>) -> Self {
        Self { keys }
    }

    /// That for what is new.
    pub fn newest(&self) -> (u8, &[u8; 32]) {
        // There is at least one.
        self.keys
            .last()
            .map_or((0, &[0; 32]), |(number, key)| (*number, key))
    }

    /// That of a number.
    pub fn get(&self, number: u8) -> Option<&[u8; 32]> {
        self.keys
            .iter()
            .find(|(one, _)| *one == number)
            .map(|(_, key)| key)
    }
}

fn make(path: &Path) -> std::io::Result<()> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(std::io::Error::other)?;
    let mut file = std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "1 {}", hex(&key))?;
    file.sync_all()
}

fn read_line(line: &str) -> Option<(u8, [u8; 32])> {
    let (number, digits) = line.split_once(' ')?;
    let number: u8 = number.parse().ok().filter(|number| *number > 0)?;
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    let mut key = [0; 32];
    for (place, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some((number, key))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_made_once_for_its_owner_alone_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contact.key");
        let made = KeyLines::read_or_make(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = KeyLines::read_or_make(&path).unwrap();
        assert_eq!(made.newest(), again.newest());
        assert_eq!(made.newest().0, 1);
        // A second one is for what is new.
        let text = std::fs::read_to_string(&path).unwrap() + &format!("2 {}\n", "ab".repeat(32));
        std::fs::write(&path, text).unwrap();
        let two = KeyLines::read_or_make(&path).unwrap();
        assert_eq!(two.newest(), (2, &[0xab; 32]));
        assert_eq!(two.get(1), Some(made.newest().1));
        assert_eq!(two.get(3), None);
        assert!(!format!("{two:?}").contains("171"));
    }

    #[test]
    fn what_is_no_key_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "1", "0 00", "1 zz", "x 00"] {
            let path = folder.path().join("bad.key");
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(KeyLines::read_or_make(&path).is_err(), "{text}");
        }
    }
}
