//! Room on the disk of a node's state. Every writer asks for it before it writes, and each stops while there is still some
//! for those that must go on longer: first what comes in, then what is kept of refused records, then checkpoints, last
//! what alerts and webhooks decide. So a full disk tears no write, and what is known can be saved to the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Events over HTTP, accepted or refused.
    Intake,
    /// Refused records of the log, and what is replayed of them.
    DeadLetters,
    /// Checkpoints, learnt layers, identities.
    Checkpoints,
    /// Rules, alerts, webhooks, the audit.
    Decisions,
}

impl Writer {
    /// All, those that stop first at the front.
    pub const ALL: [Self; 4] = [
        Self::Intake,
        Self::DeadLetters,
        Self::Checkpoints,
        Self::Decisions,
    ];

    /// In metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::DeadLetters => "dead_letters",
            Self::Checkpoints => "checkpoints",
            Self::Decisions => "decisions",
        }
    }

    /// The part of the reserve that it leaves free: one in so many.
    const fn leaves(self) -> u64 {
        match self {
            Self::Intake => 1,
            Self::DeadLetters => 2,
            Self::Checkpoints => 8,
            Self::Decisions => 16,
        }
    }
}

/// There is no room for this writer now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk of {} has {available} bytes left, and {reserve} are kept in reserve (storage.min_free); make room",
    folder.display()
)]
pub struct NoRoom {
    /// A folder on that disk.
    pub folder: PathBuf,
    /// Free bytes.
    pub available: u64,
    /// Bytes that this writer leaves free.
    pub reserve: u64,
}

#[derive(Debug)]
struct Disk {
    folder: PathBuf,
    reserve: u64,
    refused: [AtomicU64; Writer::ALL.len()],
}

/// The room on one disk. Copies are the same.
#[derive(Clone, Debug)]
pub struct Room(Arc<Disk>);

impl Room {
    /// The disk of a folder, of which `reserve` bytes stay free, or a tenth where the disk is small.
    pub fn new(folder: &Path, reserve: u64) -> Self {
        Self(Arc::new(Disk {
            folder: folder.to_owned(),
            reserve,
            refused: Default::default(),
        }))
    }

    /// Whether there is room for so many bytes of a writer; how many more there are. A disk that does not say is taken for
    /// one with room: the write itself tells.
    ///
    /// # Errors
    /// There is none: nothing should be written now.
    pub fn ask(&self, writer: Writer, bytes: u64) -> Result<u64, NoRoom> {
        let disk = &self.0;
        let (Ok(available), Ok(total)) = (fs4::available_space(&disk.folder), fs4::total_space(&disk.folder))
        else {
            return Ok(u64::MAX);
        };
        // A small disk cannot spare the whole reserve.
        let reserve = disk.reserve.min(total / 10) / writer.leaves();
        available
            .checked_sub(reserve)
            .and_then(|room| room.checked_sub(bytes.max(1)))
            .ok_or_else(|| {
                if let Some(refused) = disk.refused.get(writer as usize) {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
                NoRoom {
                    folder: disk.folder.clone(),
                    available,
                    reserve,
                }
            })
    }

    /// How often a writer was told that there is none.
    pub fn refused(&self, writer: Writer) -> u64 {
        let refused = self.0.refused.get(writer as usize);
        refused.map_or(0, |refused| refused.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_must_go_on_longest_has_room_longest() {
        let folder = tempfile::tempdir().unwrap();
        let total = fs4::total_space(folder.path()).unwrap();
        let available = fs4::available_space(folder.path()).unwrap();
        let room = Room::new(folder.path(), u64::MAX);
        // As many bytes as leave the disk with a fraction of the reserve that lies between two writers'.
        let asked = |part: u64| available.saturating_sub(total / 10 / part);
        for (part, with_room) in [(3, 2), (10, 1), (32, 0)] {
            let room_for = Writer::ALL.map(|writer| room.ask(writer, asked(part)).is_ok());
            let expected: Vec<bool> = (0..4).map(|index| index >= 4 - with_room).collect();
            assert_eq!(room_for.as_slice(), expected, "a {part}th of the reserve is left");
        }
        let refused = Writer::ALL.map(|writer| room.refused(writer));
        assert_eq!(refused, [3, 3, 2, 1]);
        assert!(Room::new(folder.path(), 0).ask(Writer::Intake, 1).is_ok());
    }
}
