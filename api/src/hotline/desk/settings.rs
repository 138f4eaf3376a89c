//! What the configuration says of the hotline.

use std::sync::Arc;

use chrono_tz::Tz;
use h3o::Resolution;
use riskgrid_analytics::hotline::duty::Order;
use riskgrid_analytics::hotline::geocoder::Gazetteer;
use riskgrid_analytics::hotline::moves::Limits;
use riskgrid_ingest::edge::Bounds;

/// Settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The shipped rules in force until others are put there.
    pub rules: String,
    /// The office of the hotline itself.
    pub own_office: String,
    /// The calendar by which duty tells open from closed hours, and assessments are frozen.
    pub duty_calendar: String,
    /// Where no calendar says another.
    pub zone: Tz,
    /// Of the grid.
    pub resolution: Resolution,
    /// Where events are let in.
    pub bounds: Option<Bounds>,
    /// How much later than its opening an event of a case is still let in, in microseconds.
    pub event_horizon: i64,
    /// Of moves.
    pub limits: Limits,
    /// After so many returns a case goes to a fallback.
    pub max_returns: u32,
    /// Which condition of duty is looked at first.
    pub order: Order,
    /// How long callers are called back.
    pub call_back: String,
    /// A case is paused no longer, in microseconds.
    pub longest_pause: i64,
    /// Working dates after the last one until the supervision unit is told.
    pub supervision_after: u32,
    /// Stopped clocks that tell of risk, in microseconds.
    pub risk_window: i64,
    /// How long a rating link is good, in microseconds.
    pub rating_link: i64,
    /// How long after a case ended texts and contacts are kept, in microseconds.
    pub erase_after: i64,
    /// Open311 lists requests for everybody.
    pub is_open311_public: bool,
    /// The jurisdictions of Open311; none: requests name none.
    pub jurisdictions: Vec<String>,
    /// How long answers to idempotency keys are kept, in microseconds.
    pub keys_kept: i64,
    /// The working date of the next month at which a month is frozen.
    pub freeze_on: u32,
    /// What addresses are looked up in.
    pub gazetteer: Arc<Gazetteer>,
}
