//! One transaction of the hotline: rows are written in it, and what they tell is told once it is committed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use riskgrid_analytics::hotline::moves::{Duty, State};
use serde_json::{Value, json};

use super::assessing::PAST;
use super::data::HotlineData;
use super::{CaseChange, Desk};
use crate::database::Transaction;
use crate::hotline::store::{
    CaseRow, CaseTold, Connection, NewMove, add_text, append_move, insert_case, queue_told, update_case,
};
use crate::problem::{Kind, Problem};

/// Who makes a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// As the audit names them.
    pub who: String,
    /// As what.
    pub duty: Duty,
}

impl Actor {
    /// riskgrid itself.
    pub fn system() -> Self {
        Self {
            who: "system".to_owned(),
            duty: Duty::System,
        }
    }
}

/// A row about to be written.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    pub(super) actor: &'a Actor,
    /// The move.
    pub(super) name: &'a str,
    /// Where it leads.
    pub(super) to: State,
    /// When it was.
    pub(super) at: i64,
    pub(super) text_id: Option<String>,
    pub(super) data: Value,
}

impl<'a> Entry<'a> {
    /// A row of nothing but itself.
    pub(super) fn new(actor: &'a Actor, name: &'a str, to: State, at: i64) -> Self {
        Self {
            actor,
            name,
            to,
            at,
            text_id: None,
            data: json!({}),
        }
    }

    #[must_use]
    pub(super) fn with(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

/// The transaction.
pub(super) struct Work<'a> {
    pub(super) desk: &'a Desk,
    pub(super) data: Arc<HotlineData>,
    transaction: Transaction,
    pub(super) now: i64,
    changes: Vec<CaseChange>,
    queued: usize,
    has_events: bool,
    moves: u64,
    cards: [u64; 2],
    is_of_the_past: bool,
}

impl<'a> Work<'a> {
    pub(super) async fn begin(desk: &'a Desk) -> Result<Self, Problem> {
        let transaction = desk.database.begin().await?;
        // After the wait for others: what they wrote is not from the future.
        let now = (desk.clock)();
        Ok(Self {
            desk,
            data: desk.data(),
            transaction,
            now,
            changes: Vec::new(),
            queued: 0,
            has_events: false,
            moves: 0,
            cards: [0, 0],
            is_of_the_past: false,
        })
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.transaction
    }

    /// Writes it all, then tells of it.
    pub(super) async fn commit(self) -> Result<(), Problem> {
        self.transaction
            .commit()
            .await
            .map_err(crate::hotline::store::StoreError::from)?;
        if self.is_of_the_past {
            self.desk.past_came_at.store(self.now, Ordering::Relaxed);
        }
        let counts = &self.desk.counts;
        counts.moves.fetch_add(self.moves, Ordering::Relaxed);
        counts.yellow.fetch_add(self.cards[0], Ordering::Relaxed);
        counts.red.fetch_add(self.cards[1], Ordering::Relaxed);
        if self.queued > 0 {
            self.desk.wake_deliveries();
        }
        for change in self.changes {
            // An error means that nobody follows.
            let _ = self.desk.changes.send(Arc::new(change));
        }
        if self.has_events {
            self.desk.events_wait.notify_one();
        }
        Ok(())
    }

    /// Something of the case is to be put into the log after the commit.
    pub(super) const fn has_events(&mut self) {
        self.has_events = true;
    }

    /// Stores what somebody said, and what a row tells of it.
    pub(super) async fn keep_text(
        &mut self,
        case_id: &str,
        kind: &str,
        text: &str,
    ) -> Result<(String, String), Problem> {
        Ok(add_text(self.connection(), case_id, kind, text).await?)
    }

    /// Writes a row of a case, and the case as it is then. One that has no row yet is made by it.
    pub(super) async fn append(&mut self, case: &mut CaseRow, entry: Entry<'_>) -> Result<(), Problem> {
        let (from, version) = (std::mem::take(&mut case.state), case.version);
        case.version = version + 1;
        entry.to.as_str().clone_into(&mut case.state);
        case.updated_at = entry.at;
        if version == 0 {
            insert_case(self.connection(), case).await?;
        } else if !update_case(self.connection(), case, version).await? {
            let detail = "somebody moved the case meanwhile; read it again and decide anew";
            return Err(Problem::new(Kind::PreconditionFailed, detail).with("state", from));
        }
        let new = NewMove {
            case_id: &case.id,
            seq: case.version,
            r#move: entry.name,
            from_state: if version == 0 { "" } else { &from },
            to_state: &case.state,
            at: entry.at,
            actor: &entry.actor.who,
            duty: entry.actor.duty.as_str(),
            office: case.office.as_deref(),
            text_id: entry.text_id.as_deref(),
            data: &entry.data,
        };
        append_move(&mut self.transaction, &new).await?;
        self.is_of_the_past |= self.now.saturating_sub(entry.at) > PAST;
        self.moves += 1;
        self.tell_move(case, entry.name, entry.at).await
    }

    async fn tell_move(&mut self, case: &CaseRow, name: &str, at: i64) -> Result<(), Problem> {
        let mut data = json!({
            "id": case.id, "number": case.number, "version": case.version, "move": name, "state": case.state,
        });
        self.changes.push(CaseChange::of("case", case, data.clone()));
        if case.is_mirrored() {
            return Ok(());
        }
        place_in(&mut data, case);
        let key = case.version.to_string();
        self.queue("case.moved", case, &key, at, None, &data).await
    }

    /// Tells of a card.
    pub(super) async fn tell_card(
        &mut self,
        case: &CaseRow,
        card: &CardTold<'_>,
        at: i64,
    ) -> Result<(), Problem> {
        let mut data = json!({
            "id": case.id, "clock": card.clock, "card": card.card, "due": self.data.local(self.desk, card.due),
        });
        if card.kind == "case.card" {
            self.cards[usize::from(card.card == "red")] += 1;
        }
        self.changes.push(CaseChange::of("card", case, data.clone()));
        if case.is_mirrored() {
            return Ok(());
        }
        place_in(&mut data, case);
        data["step"] = json!(card.step);
        data["to"] = json!(card.to);
        self.queue(card.kind, case, card.key, at, Some(card.card), &data)
            .await
    }

    async fn queue(
        &mut self,
        kind: &str,
        case: &CaseRow,
        key: &str,
        at: i64,
        card: Option<&str>,
        data: &Value,
    ) -> Result<(), Problem> {
        let told = CaseTold {
            kind,
            case_id: &case.id,
            key,
            at,
            layer: &case.layer,
            office: case.office.as_deref(),
            card,
            data,
        };
        let now = self.now;
        self.queued += queue_told(&mut self.transaction, &told, now).await?;
        Ok(())
    }
}

/// A card to be told of.
pub(super) struct CardTold<'a> {
    /// `case.card`, `case.card_withdrawn`.
    pub(super) kind: &'a str,
    pub(super) clock: &'a str,
    pub(super) card: &'a str,
    pub(super) step: &'a str,
    /// Who is to know.
    pub(super) to: &'a [&'a str],
    pub(super) due: i64,
    /// Of the step, within the case.
    pub(super) key: &'a str,
}

fn place_in(data: &mut Value, case: &CaseRow) {
    data["layer"] = json!(case.layer);
    data["office"] = json!(case.office);
    data["cell"] = json!(case.cell.map(|cell| format!("{:x}", cell.cast_unsigned())));
}
