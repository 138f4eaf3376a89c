//! How far reading is.

/// How much has been read of what was in the log when its partitions were taken up. Decided by positions against end
/// offsets, never by counting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    read: i64,
    all: i64,
}

impl Progress {
    /// Adds a partition that is read from offset `from`, stands at `next`, and had its end at `end`.
    pub fn add(&mut self, from: i64, next: i64, end: i64) {
        let all = (end - from).max(0);
        self.all += all;
        self.read += (next - from).clamp(0, all);
    }

    /// Percent; 100 where there was nothing to read.
    pub fn percent(self) -> f64 {
        if self.is_caught_up() {
            100.0
        } else {
            100.0 * self.read as f64 / self.all as f64
        }
    }

    /// Whether everything has been read that was there.
    pub const fn is_caught_up(self) -> bool {
        self.read >= self.all
    }
}

#[cfg(test)]
mod tests {
    use super::Progress;

    #[test]
    fn progress_is_of_what_was_there_at_first() {
        let mut progress = Progress::default();
        assert!(progress.is_caught_up() && (progress.percent() - 100.0).abs() < 1e-9);
        // Half read, not begun, read past what was there, and a log that is shorter than what was read.
        progress.add(10, 20, 30);
        progress.add(5, 0, 15);
        progress.add(0, 99, 10);
        progress.add(7, 7, 3);
        progress.add(0, 0, 0);
        assert!(!progress.is_caught_up() && (progress.percent() - 50.0).abs() < 1e-9);
    }
}
