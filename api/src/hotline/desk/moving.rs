//! Moving a case: what is asked is looked at in one order, and the first that is wrong is the answer; a refusal changes nothing.

use riskgrid_analytics::hotline::moves::{Circumstances, Duty, Move, Parent, Refusal, State, Targets};
use riskgrid_ingest::EventTime;
use serde_json::{Value, json};

use super::body::MoveBody;
use super::clocks::newest;
use super::effects::Effects;
use super::once::Once;
use super::who::Officer;
use super::work::{Actor, Entry, Work};
use super::{Desk, shown_clock};
use crate::hotline::store::{CaseRow, ClockRow, MoveRow, case, has_children, moves_of};
use crate::problem::{Kind, Problem};

/// What became of a move.
#[derive(Clone, Debug)]
pub struct Moved {
    /// The case's version now.
    pub version: i64,
    /// The answer.
    pub body: Value,
    /// It is the answer that was given before.
    pub is_replay: bool,
}

/// A request to move a case.
pub struct MoveRequest<'a> {
    /// Who asks.
    pub officer: &'a Officer,
    /// Which case.
    pub id: &'a str,
    /// What.
    pub body: &'a MoveBody,
    /// At which version it must be: `Err` if the request says nothing of that, `Ok(None)` if any will do.
    pub expected: Result<Option<i64>, Problem>,
    /// The key by which it is answered once.
    pub once: Option<Once>,
}

impl Desk {
    /// Moves a case as somebody asks.
    ///
    /// # Errors
    /// Why not.
    pub async fn make_move(&self, request: MoveRequest<'_>) -> Result<Moved, Problem> {
        let MoveRequest {
            officer,
            id,
            body,
            expected,
            once,
        } = request;
        // Noted before it waits for others, and told when it is the turn of that.
        let running = once.as_ref().map(|once| self.run_alone(officer.who(), once));
        let running = running.transpose();
        let mut work = Work::begin(self).await?;
        let found = case(work.connection(), id).await?;
        let mut case = found.filter(|case| officer.sees(case)).ok_or_else(no_such_case)?;
        let clocks = work.clocks(&case.id).await?;
        let self_service = work.data.is_self_service(newest(&clocks, "handle"))?;
        let duty = officer.made_as(body.case_move, self_service)?;
        let _running = running?;
        if let Some(once) = &once
            && let Some(answered) = work.answered(officer.who(), once).await?
        {
            return Ok(Moved {
                version: answered.version,
                body: serde_json::from_str(&answered.body).unwrap_or_default(),
                is_replay: true,
            });
        }
        if let Some(expected) = expected?
            && expected != case.version
        {
            let detail = "the case is at another version; read it again and decide anew";
            return Err(Problem::new(Kind::PreconditionFailed, detail)
                .with("state", case.state.clone())
                .with("version", case.version));
        }
        let actor = Actor {
            who: officer.who().to_owned(),
            duty,
        };
        let asked = Asked {
            actor: &actor,
            body,
            officer: Some(officer),
        };
        let effects = work.move_case(&mut case, &asked, &clocks).await?;
        let mut answer = work.answer(&case).await?;
        if let Some(once) = &once {
            work.note(officer.who(), once, 200, case.version, &answer).await?;
        }
        work.commit().await?;
        // Shown this once, and kept nowhere.
        if let Some(token) = effects.rating_token {
            answer["rating_link"] = json!(token);
        }
        Ok(Moved {
            version: case.version,
            body: answer,
            is_replay: false,
        })
    }

    /// Moves a case as riskgrid itself does; nothing, if the move is not there any more.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn move_by_itself(&self, id: &str, case_move: Move) -> Result<bool, Problem> {
        let mut work = Work::begin(self).await?;
        let Some(mut case) = case(work.connection(), id).await? else {
            return Ok(false);
        };
        let clocks = work.clocks(id).await?;
        let (actor, body) = (Actor::system(), MoveBody::of_the_system(case_move));
        let asked = Asked {
            actor: &actor,
            body: &body,
            officer: None,
        };
        if work.judge(&case, &asked, &clocks).await.is_err() {
            return Ok(false);
        }
        work.move_case(&mut case, &asked, &clocks).await?;
        work.commit().await?;
        Ok(true)
    }
}

impl Desk {
    /// Notes what another system says of a case, once: the number of the row; none, if there is no such case.
    ///
    /// # Errors
    /// The database's.
    pub async fn note_update(
        &self,
        officer: &Officer,
        id: &str,
        update: &str,
        text: &str,
    ) -> Result<Option<i64>, Problem> {
        let mut work = Work::begin(self).await?;
        let found = case(work.connection(), id)
            .await?
            .filter(|case| officer.sees(case));
        let Some(mut case) = found else { return Ok(None) };
        let moves = moves_of(work.connection(), id).await?;
        let known = moves
            .iter()
            .find(|row| data_of(row).get("update").and_then(Value::as_str) == Some(update));
        if let Some(known) = known {
            return Ok(Some(known.seq));
        }
        let duty = officer.made_as(Move::Note, false)?;
        let actor = Actor {
            who: officer.who().to_owned(),
            duty,
        };
        let (text_id, digest) = work.keep_text(id, "note", text).await?;
        let (state, now) = (case.state()?, work.now);
        let entry = Entry {
            text_id: Some(text_id),
            ..Entry::new(&actor, Move::Note.as_str(), state, now)
                .with(json!({"digest": digest, "update": update}))
        };
        work.append(&mut case, entry).await?;
        work.commit().await?;
        Ok(Some(case.version))
    }
}

/// There is none, or none that is seen.
pub(super) fn no_such_case() -> Problem {
    Problem::not_found("there is no case of this id; GET /v1/cases lists them")
}

/// A move, by whom.
pub(super) struct Asked<'a> {
    pub(super) actor: &'a Actor,
    pub(super) body: &'a MoveBody,
    /// None, where riskgrid itself moves.
    pub(super) officer: Option<&'a Officer>,
}

impl Work<'_> {
    /// Whether the table and the guards let it be, and where it leads.
    pub(super) async fn judge(
        &mut self,
        case: &CaseRow,
        asked: &Asked<'_>,
        clocks: &[ClockRow],
    ) -> Result<Targets, Problem> {
        let case_move = asked.body.case_move;
        let circumstances = self.circumstances(case, asked, clocks).await?;
        let now = EventTime::from_micros(self.now);
        circumstances
            .judge(case_move, now, &self.desk.settings.limits)
            .map_err(|refusal| refused(refusal, circumstances.state, case_move))
    }

    async fn circumstances(
        &mut self,
        case: &CaseRow,
        asked: &Asked<'_>,
        clocks: &[ClockRow],
    ) -> Result<Circumstances, Problem> {
        let case_move = asked.body.case_move;
        let mut seen = Circumstances::of(case.state()?);
        seen.is_mirrored = case.is_mirrored();
        seen.round = u32::try_from(case.round).unwrap_or(u32::MAX);
        seen.is_paused = case.paused_at.is_some();
        seen.closed_at = case.closed_at.map(EventTime::from_micros);
        let own_office = &self.desk.settings.own_office;
        seen.is_own_work = asked.officer.is_some_and(|officer| {
            let office = case.office.as_deref().filter(|office| office != own_office);
            office.is_some_and(|office| officer.works_in(office))
        });
        seen.by_fallback = serde_json::from_str::<Value>(&case.why)
            .ok()
            .and_then(|why| why.get("fallback")?.as_bool())
            .unwrap_or(false);
        let window = newest(clocks, "return").filter(|clock| clock.is_open());
        seen.return_until = window.map(|clock| EventTime::from_micros(clock.due_at));
        let handle = newest(clocks, "handle").filter(|clock| clock.is_open());
        seen.handle_due = handle
            .filter(|clock| clock.state == "running")
            .map(|clock| EventTime::from_micros(clock.due_at));
        match case_move {
            Move::Decline | Move::Withdraw => {
                seen.has_children = has_children(self.connection(), &case.id).await?;
            }
            Move::Rate => {
                let moves = moves_of(self.connection(), &case.id).await?;
                seen.is_answered = is_answered(&moves);
            }
            Move::Extend => {
                if let Some(handle) = handle {
                    let rule = self.data.spec_of(handle)?.rule("handle")?;
                    let given = if rule.extend.is_some() { rule.extensions } else { 0 };
                    let moves = moves_of(self.connection(), &case.id).await?;
                    let used = extensions_of(&moves, handle.generation);
                    seen.extensions_left = given.saturating_sub(used);
                }
            }
            Move::Merge => {
                let parent = asked.body.members().get("parent").and_then(Value::as_str);
                seen.parent = match parent {
                    Some(parent) => self.parent(case, parent, asked.officer).await?,
                    None => None,
                };
            }
            _ => {}
        }
        Ok(seen)
    }

    async fn parent(
        &mut self,
        child: &CaseRow,
        id: &str,
        officer: Option<&Officer>,
    ) -> Result<Option<Parent>, Problem> {
        let parent = case(self.connection(), id).await?;
        let Some(parent) = parent.filter(|parent| officer.is_none_or(|officer| officer.sees(parent))) else {
            return Ok(None);
        };
        Ok(Some(Parent {
            state: parent.state()?,
            is_child: parent.parent.is_some(),
            is_itself: parent.id == child.id,
            is_mirrored: parent.is_mirrored(),
        }))
    }

    /// Judges the move, and makes it.
    pub(super) async fn move_case(
        &mut self,
        case: &mut CaseRow,
        asked: &Asked<'_>,
        clocks: &[ClockRow],
    ) -> Result<Effects, Problem> {
        let targets = self.judge(case, asked, clocks).await?;
        self.make(case, asked, targets).await
    }

    /// The answer to a move.
    pub(super) async fn answer(&mut self, case: &CaseRow) -> Result<Value, Problem> {
        let clocks = self.clocks(&case.id).await?;
        let open = clocks.iter().filter(|clock| clock.is_open());
        let shown = open.map(|clock| {
            let mut shown = shown_clock(self.desk, &self.data, clock);
            if let Some(members) = shown.as_object_mut() {
                members.retain(|name, _| matches!(name.as_str(), "name" | "due" | "card" | "provisional"));
            }
            shown
        });
        Ok(json!({
            "id": case.id, "state": case.state, "version": case.version, "clocks": shown.collect::<Vec<_>>(),
        }))
    }
}

/// Whether the caller has said whether it is solved, since the case was done anew.
fn is_answered(moves: &[MoveRow]) -> bool {
    let round = moves
        .iter()
        .rev()
        .take_while(|row| !matches!(row.r#move.as_str(), "redo" | "reopen"));
    let mut answers = round.filter(|row| match row.r#move.as_str() {
        "rate" => true,
        "call_back" => data_of(row).get("reached").and_then(Value::as_bool) == Some(true),
        _ => false,
    });
    answers.next().is_some()
}

fn extensions_of(moves: &[MoveRow], generation: i64) -> u32 {
    let of_it = moves.iter().filter(|row| {
        row.r#move == "extend" && data_of(row).get("generation").and_then(Value::as_i64) == Some(generation)
    });
    u32::try_from(of_it.count()).unwrap_or(u32::MAX)
}

/// How often the caller was not reached since the case was closed.
pub(super) fn calls_in_vain(moves: &[MoveRow]) -> u32 {
    let since_closed = moves
        .iter()
        .rev()
        .take_while(|row| row.r#move != "close" && row.r#move != "follow");
    let calls = since_closed.filter(|row| row.r#move == "call_back");
    u32::try_from(calls.count()).unwrap_or(u32::MAX)
}

fn data_of(row: &MoveRow) -> Value {
    serde_json::from_str(&row.data).unwrap_or_default()
}

/// The problem of a refusal.
pub(super) fn refused(refusal: Refusal, state: State, case_move: Move) -> Problem {
    let kind = match refusal {
        Refusal::IllegalMove => Kind::IllegalMove,
        Refusal::Mirrored => Kind::Mirrored,
        Refusal::HasChildren => Kind::HasChildren,
        Refusal::NoOffice => Kind::NoOffice,
        Refusal::OwnWork => Kind::OwnWork,
        Refusal::AlreadyRated => Kind::AlreadyRated,
        Refusal::ReturnTooLate => Kind::ReturnTooLate,
        Refusal::NoReturn => Kind::NoReturn,
        Refusal::ExtensionLimit => Kind::ExtensionLimit,
        Refusal::Overdue => Kind::Overdue,
        Refusal::Paused => Kind::Paused,
        Refusal::NotPaused => Kind::NotPaused,
        Refusal::WindowOver => Kind::WindowOver,
        Refusal::RedoLimit => Kind::RedoLimit,
        Refusal::BadParent => Kind::BadParent,
    };
    let legal: Vec<&str> = Move::legal(state).map(Move::as_str).collect();
    Problem::new(kind, refusal.detail())
        .with("state", state.as_str())
        .with("move", case_move.as_str())
        .with("legal", legal)
}

impl Asked<'_> {
    /// Whether riskgrid itself moves.
    pub(super) fn is_of_the_system(&self) -> bool {
        self.actor.duty == Duty::System
    }
}
