//! Where an event is in the log, and what a worker is at.

use super::tries::Subject;
use crate::words::EventTime;

/// Where an event is in its partition, and when its record was received.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) offset: i64,
    pub(super) index: u32,
    pub(super) received: EventTime,
}

/// What the worker is at, so that a panic can be told apart.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) offset: i64,
    pub(super) index: u32,
    /// The replay that it is, when it is one.
    pub(super) replay: Option<u64>,
    /// The partition's state is being changed.
    pub(super) is_changing: bool,
}

impl Progress {
    pub(super) fn subject(self) -> Subject {
        self.replay
            .map_or(Subject::Event(self.offset, self.index), Subject::Replay)
    }
}
