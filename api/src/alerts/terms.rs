//! What ends by a clock, without traffic: acknowledgements with an end, silences, and incidents.

use std::sync::Weak;
use std::time::{Duration, Instant};

use super::Alerting;
use super::domain_clocks::DomainClocks;
use super::store::DecisionsError;

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An alert may be stored this much later than the time that it was held at, µs.
const STORED_WITHIN: i64 = 10_000_000;

/// Gives back what was taken for a time, tells what silences held back, and closes incidents, until alerting ends.
pub(super) async fn watch_terms(alerting: Weak<Alerting>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // What was held before the start is looked at once in any case.
    let mut released_to = i64::MIN;
    let mut clocks = DomainClocks::default();
    loop {
        ticks.tick().await;
        let Some(alerting) = alerting.upgrade() else {
            return;
        };
        match look(&alerting, released_to).await {
            Ok(now) => released_to = now,
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "acknowledgements and silences that are over last for now"
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

/// Answers from when on ends of silences are to be looked at next.
async fn look(alerting: &Alerting, released_to: i64) -> Result<i64, DecisionsError> {
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
    let is_first = released_to == i64::MIN;
    let is_any = is_first || alerting.decisions.has_silence_ended(released_to, now).await?;
    if is_any && alerting.decisions.release_held(now).await? > 0 {
        alerting.deliveries.wake();
    }
    Ok(now.saturating_sub(STORED_WITHIN))
}
