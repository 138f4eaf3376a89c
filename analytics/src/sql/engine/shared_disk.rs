//! The disk of what does not fit into memory: so much a query, and so much of all together.
//!
//! What is left is shared evenly between the queries that may use it, again and again while they run: what they may
//! write together never passes what all may, however unevenly they write.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use datafusion::common::Result;
use datafusion::execution::disk_manager::{DiskManager, DiskManagerBuilder, DiskManagerMode};

use super::limits::Spill;

/// How often what is left is shared anew while a query runs.
const SHARED_EVERY: Duration = Duration::from_millis(250);

/// The folder, and who writes there.
#[derive(Debug)]
pub(super) struct SharedDisk {
    folder: PathBuf,
    /// Bytes of all queries.
    bytes: u64,
    queries: Mutex<Vec<OfQuery>>,
}

#[derive(Debug)]
struct OfQuery {
    disk: Weak<DiskManager>,
    most: u64,
}

impl SharedDisk {
    /// The folder: empty, and nobody else's.
    pub(super) fn open(spill: &Spill) -> Result<Self> {
        if spill.folder.exists() {
            std::fs::remove_dir_all(&spill.folder)?;
        }
        let mut folder = std::fs::DirBuilder::new();
        folder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        folder.create(&spill.folder)?;
        Ok(Self {
            folder: spill.folder.clone(),
            bytes: spill.bytes,
            queries: Mutex::default(),
        })
    }

    /// The disk of one more query, until it is dropped: at most so many bytes.
    pub(super) fn of_query(&self, most: u64) -> Result<Arc<DiskManager>> {
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![self.folder.clone()]))
            .with_max_temp_directory_size(0)
            .build()?;
        let disk = Arc::new(disk);
        let of_query = OfQuery {
            disk: Arc::downgrade(&disk),
            most,
        };
        self.queries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(of_query);
        self.share();
        Ok(disk)
    }

    /// Shares anew until it is dropped.
    pub(super) async fn keep_sharing(&self) {
        loop {
            tokio::time::sleep(SHARED_EVERY).await;
            self.share();
        }
    }

    fn share(&self) {
        let mut queries = self.queries.lock().unwrap_or_else(PoisonError::into_inner);
        queries.retain(|query| query.disk.strong_count() > 0);
        let disks: Vec<(Arc<DiskManager>, u64)> = queries
            .iter()
            .filter_map(|query| Some((query.disk.upgrade()?, query.most)))
            .collect();
        let used: u64 = disks.iter().map(|(disk, _)| disk.used_disk_space()).sum();
        let left = self.bytes.saturating_sub(used) / (disks.len() as u64).max(1);
        for (disk, most) in disks {
            let share = disk.used_disk_space().saturating_add(left).min(most);
            // It is refused only where nothing can be written at all.
            let _ = disk.set_max_temp_directory_size(share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_may_write_is_shared_by_those_that_run_and_none_has_more_than_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let disk = SharedDisk::open(&Spill {
            folder: folder.path().join("spill"),
            bytes: 900,
        })
        .unwrap();
        let first = disk.of_query(700).unwrap();
        assert_eq!(first.max_temp_directory_size(), 700);
        let (second, third) = (disk.of_query(700).unwrap(), disk.of_query(100).unwrap());
        let most = [&first, &second, &third].map(|disk| disk.max_temp_directory_size());
        assert_eq!(most, [300, 300, 100]);
        drop((second, third));
        disk.share();
        assert_eq!(first.max_temp_directory_size(), 700);
    }
}
