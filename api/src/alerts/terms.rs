//! What happens by a clock, without traffic: acknowledgements, silences, mutes and emergencies end, incidents close, and what
//! still fires is told again.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use riskgrid_ingest::EventTime;

use super::Alerting;
use super::domain_clocks::DomainClocks;
use super::store::DecisionsError;

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An alert may be stored this much later than the time that it was held at, µs.
const STORED_WITHIN: i64 = 10_000_000;
/// µs.
const MINUTE: i64 = 60_000_000;

/// Does so until alerting ends.
pub(super) async fn watch_terms(alerting: Weak<Alerting>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // What was held before the start is looked at once in any case.
    let mut seen = Seen {
        released_to: i64::MIN,
        ..Seen::default()
    };
    let mut clocks = DomainClocks::default();
    loop {
        ticks.tick().await;
        let Some(alerting) = alerting.upgrade() else {
            return;
        };
        match look(&alerting, &seen).await {
            Ok(now) => seen = now,
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "acknowledgements, and what holds alerts back, last longer than they should"
            ),
        }
        let snapshot = alerting.snapshot();
        let domains = snapshot.as_ref().map_or(&[][..], |snapshot| &snapshot.domains);
        clocks.look(domains, (alerting.clock)(), Instant::now());
        if let Err(error) = alerting
            .decisions
            .close_incidents(|domain| clocks.now_of(domain))
            .await
        {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "incidents that are over stay open for now"
            );
        }
    }
}

/// What was seen at a look.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// Ends of silences from then on are to be looked at next, µs.
    released_to: i64,
    minute: i64,
    ends: u64,
    /// Areas in emergency; `None` before the first look.
    emergency: Option<Arc<BTreeSet<String>>>,
}

/// Answers what was seen, so that the next look does only what is new.
async fn look(alerting: &Alerting, seen: &Seen) -> Result<Seen, DecisionsError> {
    let now = (alerting.clock)();
    loop {
        let given_back = alerting.decisions.end_acknowledgements(now).await?;
        if given_back.is_empty() {
            break;
        }
        for alert in given_back {
            alerting.tell(alert);
        }
    }
    let is_first = seen.released_to == i64::MIN;
    let (minute, ends) = (now.div_euclid(MINUTE), alerting.decisions.ends());
    // What a mute held may be free with each minute, what an alert kept quiet with each end.
    let is_other_minute = alerting.decisions.has_mutes() && seen.minute != minute;
    let may_be_free = is_first
        || is_other_minute
        || seen.ends != ends
        || alerting
            .decisions
            .has_silence_ended(
                EventTime::from_micros(seen.released_to),
                EventTime::from_micros(now),
            )
            .await?;
    let mut queued = 0;
    if may_be_free {
        queued += alerting.decisions.release_held(now).await?;
    }
    alerting.decisions.look_at_modes(now).await?;
    let emergency = Some(alerting.decisions.areas_in_emergency());
    if seen.emergency != emergency {
        alerting.update_open(None).await?;
    }
    queued += alerting.decisions.repeat_messages(now).await?;
    if queued > 0 {
        alerting.deliveries.wake();
    }
    Ok(Seen {
        released_to: now.saturating_sub(STORED_WITHIN),
        minute,
        ends,
        emergency,
    })
}
