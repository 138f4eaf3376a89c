//! What happens when a time comes: cards turn, callers are no longer called back, pauses end, months are frozen, and what people said is
//! erased.

use std::sync::Arc;
use std::time::Duration;

use riskgrid_analytics::hotline::moves::Move;

use crate::hotline::desk::Desk;
use crate::problem::Problem;

/// How often times are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How often what is old is looked for.
const ERASE_EVERY: Duration = Duration::from_mins(1);
/// How often months are looked at.
const FREEZE_EVERY: Duration = Duration::from_secs(5);
/// Clocks, and pauses, of one look: others can write between two.
const AT_ONCE: i64 = 200;
/// Rows of one transaction that takes what is old away.
const PIECE: i64 = 500;

/// Sweeps until the runtime ends.
pub async fn sweep(desk: Arc<Desk>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut erased = tokio::time::Instant::now();
    loop {
        ticks.tick().await;
        if let Err(problem) = sweep_once(&desk).await {
            tracing::error!(why = problem.detail(), "clocks of cases are looked at again");
        }
        if erased.elapsed() >= ERASE_EVERY {
            erased = tokio::time::Instant::now();
            if let Err(problem) = desk.erase_old(PIECE).await {
                tracing::error!(why = problem.detail(), "what is to be erased stays for now");
            }
        }
    }
}

/// Freezes months as their time comes, until the runtime ends: apart from clocks, which are not to wait for it.
pub async fn keep_freezing(desk: Arc<Desk>) {
    let mut ticks = tokio::time::interval(FREEZE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(problem) = desk.freeze_months().await {
            tracing::error!(why = problem.detail(), "a month is frozen later");
        }
    }
}

/// One look at all that is due now, in the order in which it fell due.
///
/// # Errors
/// The database's: the rest is looked at again.
pub async fn sweep_once(desk: &Desk) -> Result<(), Problem> {
    loop {
        let turned = desk.turn_due_clocks(AT_ONCE).await?;
        for id in &turned.to_lapse {
            desk.move_by_itself(id, Move::Lapse).await?;
        }
        if turned.clocks < AT_ONCE as usize {
            break;
        }
    }
    for id in desk.paused_too_long(AT_ONCE).await? {
        desk.move_by_itself(&id, Move::Resume).await?;
    }
    Ok(())
}
