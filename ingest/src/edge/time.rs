//! The time of an event, and whether it is one that its feed and its partition still take, or take already.

use super::{Edge, FeedRules, short};
use crate::words::{CandidateTime, EventTime, PartitionClock, Refusal, RefusalReason};

#[inline]
pub(super) fn read(time: CandidateTime<'_>) -> Result<EventTime, Refusal> {
    let invalid = |detail: String| Refusal::new(RefusalReason::InvalidTime, detail);
    match time {
        CandidateTime::Missing => Err(Refusal::missing("time")),
        CandidateTime::Resolved(time) => Ok(time),
        CandidateTime::Invalid(why) => Err(invalid(why)),
        CandidateTime::Rfc3339(text) => EventTime::parse_rfc3339(&text).ok_or_else(|| {
            invalid(format!(
                "time `{}` is not RFC 3339 with an offset, like 2026-11-22T08:00:00Z",
                short(&text)
            ))
        }),
    }
}

impl Edge {
    #[inline]
    pub(super) fn check_clock(
        &self,
        time: EventTime,
        received: EventTime,
        feed: &FeedRules,
        clock: PartitionClock,
    ) -> Result<(), Refusal> {
        let refuse = |reason, detail| Err(Refusal::new(reason, detail));
        match feed.valid {
            None if time > received.plus(self.future_skew) => {
                return refuse(
                    RefusalReason::InFuture,
                    format!(
                        "time {time} is ahead of its record, received {received}, by more than is allowed"
                    ),
                );
            }
            Some((_, to)) if time > to => {
                return refuse(
                    RefusalReason::InFuture,
                    format!("time {time} is after the feed's valid_to {to}"),
                );
            }
            _ => {}
        }
        if let Some((from, _)) = feed.valid
            && time < from
        {
            return refuse(
                RefusalReason::TooLate,
                format!("time {time} is before the feed's valid_from {from}"),
            );
        }
        if let Some(oldest) = clock.oldest_admitted
            && time < oldest
        {
            return refuse(
                RefusalReason::TooLate,
                format!("time {time} is before {oldest}, the oldest that its partition still admits"),
            );
        }
        Ok(())
    }
}
