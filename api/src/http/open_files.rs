//! How many files, connections among them, the process may have open.

use rlimit::Resource;

/// Kept for what is not a connection of a client: checkpoints, databases, feeds, brokers, webhooks.
const KEPT: u64 = 512;

/// Raises the limit of open files as far as the system lets a process do so itself. Returns it.
pub(crate) fn raise_open_files() -> u64 {
    rlimit::increase_nofile_limit(u64::MAX).unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files stays as it is");
        Resource::NOFILE.get_soft().unwrap_or(KEPT)
    })
}

/// How many of `wanted` connections may be open so that at least half of `files`, or as many as are needed, stay for others.
pub(crate) fn connections_within(files: u64, wanted: usize) -> usize {
    let room = files - KEPT.min(files / 2);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_files() {
        assert_eq!(connections_within(1 << 20, 4096), 4096);
        assert_eq!(connections_within(4096, 4096), 3584);
        assert_eq!(connections_within(1024, 4096), 512);
        assert_eq!(connections_within(256, 4096), 128);
        assert_eq!(connections_within(0, 4096), 1);
        assert_eq!(connections_within(u64::MAX, 10), 10);
    }
}
