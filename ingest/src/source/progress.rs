//! How far reading is.

/// The offsets of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// Where reading began.
    pub from: i64,
    /// What is read next.
    pub next: i64,
    /// Where it ended when it was taken up.
    pub end: i64,
}

/// How much has been read of what was in the log when its partitions were taken up. Decided by positions against end
/// offsets, never by counting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    read: i64,
    all: i64,
}

impl Progress {
    /// Adds a partition.
    pub fn add(&mut self, Stand { from, next, end }: Stand) {
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
    use super::{Progress, Stand};

    #[test]
    fn progress_is_of_what_was_there_at_first() {
        let mut progress = Progress::default();
        assert!(progress.is_caught_up() && (progress.percent() - 100.0).abs() < 1e-9);
        // Half read, not begun, read past what was there, and a log that is shorter than what was read.
        let mut add = |from, next, end| progress.add(Stand { from, next, end });
        add(10, 20, 30);
        add(5, 0, 15);
        add(0, 99, 10);
        add(7, 7, 3);
        add(0, 0, 0);
        assert!(!progress.is_caught_up() && (progress.percent() - 50.0).abs() < 1e-9);
    }
}
