//! Cases and all that hangs on them, as rows of the decisions database. What belongs together is written in the transaction of
//! whoever calls: functions take its connection.

mod assessed;
mod case;
mod case_id;
mod clocks;
mod data;
mod events;
mod idempotency;
mod lines;
mod list;
mod moves;
mod numbers;
mod outbox;
mod texts;

pub use assessed::{
    FrozenMonth, assessed_of, begin_month, cases_due_within, end_month, frozen_month, insert_assessed,
    moves_of_all, next_due,
};
pub use case::{
    CaseRow, case, case_of_report, cases_around, children, has_children, insert_case, splits_of, update_case,
};
pub use case_id::{case_id, raw_case_id};
pub use clocks::{ClockRow, clocks_of, clocks_to_look_at, insert_clock, stopped_shares, update_clock};
pub use data::{Datum, insert_datum, newest_data};
pub use events::{PendingEvent, add_event, event_is_in_log, pending_events};
pub use idempotency::{Answered, answered, forget_answers, note_answer};
pub use lines::{AssessedRow, Line, PAGE, cases_of, clocks_of_all, lines};
pub use list::{CaseFilter, CasePlace, list_cases};
pub use moves::{MoveRow, NewMove, append_move, first_hash, moves_between, moves_of};
pub use numbers::next_number;
pub use outbox::{CaseTold, queue_told};
pub use texts::{StoredText, add_text, erase_texts, schedule_erasure, texts_of};

use crate::database::DatabaseError;

/// Why a row could not be read or written.
pub type StoreError = DatabaseError;
/// A connection of a transaction, or one that only reads.
pub type Connection = crate::database::Connection;

pub(crate) fn read_json<T: serde::de::DeserializeOwned>(
    what: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::unreadable(what, &error))
}

pub(crate) fn write_json<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::unreadable(what, &error))
}

/// 128 random bits in hex.
pub(crate) fn random_id() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
