//! Cases and the log: reports that come by it become cases, exactly once, and cases that were posted here put their events into it.

mod from_alerts;
mod into_log;
mod observer;

pub use observer::CaseObserver;
