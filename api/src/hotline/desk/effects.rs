//! What a move does beside leading to a state: to the case, its clocks, its children.

use riskgrid_analytics::hotline::calendar::Amount;
use riskgrid_analytics::hotline::moves::{Move, Refusal, State, Targets};
use serde_json::{Value, json};

use super::body::{LONGEST_REASON, LONGEST_TEXT, MoveBody};
use super::clocks::{OF_OFFICE, newest};
use super::moving::{Asked, calls_in_vain, refused};
use super::work::{Actor, Entry, Work};
use crate::hotline::store::{CaseRow, case, children, moves_of, schedule_erasure, write_json};
use crate::problem::Problem;

/// Why a case may be paused.
const PAUSES: [&str; 3] = ["waiting_caller", "waiting_other", "force_majeure"];
/// What may be said of a case at its dispatch.
const MOST_LABELS: usize = 16;
/// Cases that may be merged into one.
const MOST_CHILDREN: usize = 1_000;

/// What a move leaves to be answered.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// By which the caller may say whether it is solved.
    pub(super) rating_token: Option<String>,
}

impl Work<'_> {
    /// Makes a move that nothing refuses any more but what it says.
    pub(super) async fn make(
        &mut self,
        case: &mut CaseRow,
        asked: &Asked<'_>,
        targets: Targets,
    ) -> Result<Effects, Problem> {
        let (body, actor, at) = (asked.body, asked.actor, self.now);
        let case_move = body.case_move;
        body.must_be_whole()?;
        let mut data = json!({});
        let to = self.content(case, asked, targets, &mut data).await?;
        let text = text_of(body)?;
        if case.paused_at.is_some() && (!to.is_with_an_office() || case_move == Move::Transfer) {
            self.resume(case, actor).await?;
        }
        let text_id = match text {
            Some((kind, text)) => {
                let (id, digest) = self.keep_text(&case.id, kind, text).await?;
                data["digest"] = json!(digest);
                Some(id)
            }
            None => None,
        };
        if case_move == Move::Resume {
            self.resume(case, actor).await?;
            return Ok(Effects::default());
        }
        let from = case.state()?;
        self.change(case, case_move, to, &mut data).await?;
        let entry = Entry {
            text_id,
            ..Entry::new(actor, case_move.as_str(), to, at).with(data)
        };
        self.append(case, entry).await?;
        self.turn_clocks(case, case_move, (from, to)).await?;
        self.keep_or_erase(case, to).await?;
        self.follow(case, case_move, asked).await
    }

    /// Looks at what the move says, and where it leads by that.
    async fn content(
        &mut self,
        case: &mut CaseRow,
        asked: &Asked<'_>,
        targets: Targets,
        data: &mut Value,
    ) -> Result<State, Problem> {
        let body = asked.body;
        let to = match targets {
            Targets::One(to) => to,
            Targets::Unreached { stays, ends } => {
                let is_reached = body.flag("reached");
                data["reached"] = json!(is_reached);
                if is_reached {
                    data["resolved"] = json!(body.one_of("resolved", &["yes", "partly", "no"])?);
                    data["rating"] = json!(body.rating()?);
                    ends
                } else {
                    for name in ["resolved", "rating"] {
                        if body.members().contains_key(name) {
                            return Err(Problem::unprocessable(format!(
                                "`{name}` is what a caller says who was reached; leave it out"
                            )));
                        }
                    }
                    let moves = moves_of(self.connection(), &case.id).await?;
                    let is_last = calls_in_vain(&moves) + 1 >= self.desk.settings.limits.calls;
                    if is_last { ends } else { stays }
                }
            }
        };
        match body.case_move {
            Move::Rate => {
                data["resolved"] = json!(body.one_of("resolved", &["yes", "partly", "no"])?);
                data["rating"] = json!(body.rating()?);
            }
            Move::Reply => {
                let result = body.one_of("result", &["resolved", "explained", "unfounded"])?;
                data["result"] = json!(result);
                case.result = Some(result.to_owned());
            }
            Move::Pause => data["reason"] = json!(body.one_of("reason", &PAUSES)?),
            Move::Transfer => {
                let office = body.name("office")?;
                data["from"] = json!(case.office);
                data["office"] = json!(office);
            }
            Move::Extend => self.read_extension(case, asked, data).await?,
            Move::Merge => {
                let parent = body.name("parent")?;
                if children(self.connection(), parent).await?.len()
                    + children(self.connection(), &case.id).await?.len()
                    >= MOST_CHILDREN
                {
                    return Err(Problem::unprocessable(format!(
                        "a case has at most {MOST_CHILDREN} children; merge this one into another"
                    )));
                }
                data["parent"] = json!(parent);
            }
            Move::Dispatch => {
                let labels = body.names("labels", MOST_LABELS)?;
                self.assign(case, data)?;
                if !labels.is_empty() {
                    data["labels"] = json!(labels);
                }
                case.labels = write_json("case", &labels)?;
            }
            Move::Locate => {
                let placed = self.desk.place_of(body.members())?;
                if placed.position.is_none() {
                    return Err(Problem::unprocessable(
                        "the place is not found, or not told from others; give `lon` and `lat`, or a `place` of \
                         GET /v1/geocode",
                    )
                    .with("place", placed.shown()));
                }
                data["lon"] = json!(placed.position.map(|position| position[0]));
                data["lat"] = json!(placed.position.map(|position| position[1]));
                data["quality"] = json!(placed.quality);
                placed.put(case);
            }
            Move::Split => self.split(case, asked, data).await?,
            _ => {}
        }
        Ok(to)
    }

    async fn read_extension(
        &mut self,
        case: &CaseRow,
        asked: &Asked<'_>,
        data: &mut Value,
    ) -> Result<(), Problem> {
        let clocks = self.clocks(&case.id).await?;
        let handle = newest(&clocks, "handle").filter(|clock| clock.is_open());
        let too_much = |state| refused(Refusal::ExtensionLimit, state, Move::Extend);
        let Some(handle) = handle else {
            return Err(too_much(case.state()?));
        };
        let rule = self.data.spec_of(handle)?.rule("handle")?;
        let text = asked.body.name("amount")?;
        let amount = Amount::parse(text).ok_or_else(|| {
            let shown: String = text.chars().take(32).collect();
            Problem::unprocessable(format!("`amount` is \"{shown}\"; allowed: {}", Amount::ALLOWED))
        })?;
        if amount.unit() != rule.term.unit() {
            return Err(Problem::unprocessable(format!(
                "`amount` is \"{text}\"; it must have the unit of the clock's term, `{}`",
                rule.term
            )));
        }
        if rule.extend.is_none_or(|most| amount.number() > most.number()) {
            return Err(too_much(case.state()?));
        }
        data["amount"] = json!(text);
        data["count"] = json!(amount.number());
        data["generation"] = json!(handle.generation);
        Ok(())
    }

    /// Runs a paused case on, by a row of its own.
    async fn resume(&mut self, case: &mut CaseRow, actor: &Actor) -> Result<(), Problem> {
        let (state, at) = (case.state()?, self.now);
        case.paused_at = None;
        self.append(case, Entry::new(actor, "resume", state, at)).await?;
        self.resume_clocks(case, at).await
    }

    /// What the move changes of the case itself.
    async fn change(
        &mut self,
        case: &mut CaseRow,
        case_move: Move,
        to: State,
        data: &mut Value,
    ) -> Result<(), Problem> {
        let at = self.now;
        match case_move {
            Move::Answer => case.office = Some(self.desk.settings.own_office.clone()),
            Move::Return => {
                let mut excluded = case.excluded_offices()?;
                excluded.extend(case.office.clone().filter(|office| !excluded.contains(office)));
                case.excluded = write_json("case", &excluded)?;
                case.returns += 1;
                data["office"] = json!(case.office);
            }
            Move::Transfer => {
                case.office = data["office"].as_str().map(str::to_owned);
                case.duty_rule = None;
                case.duty_version = None;
                let why =
                    json!({"version": null, "rule": null, "matched": {}, "fallback": false, "beaten": []});
                case.why = why.to_string();
            }
            Move::Pause => case.paused_at = Some(at),
            Move::Redo => {
                case.round += 1;
                case.result = None;
            }
            Move::Reopen => case.result = None,
            Move::Merge => self.take_children_along(case, data).await?,
            _ => {}
        }
        if matches!(case_move, Move::Redo | Move::Reopen | Move::Unmerge) {
            case.parent = None;
        }
        match to {
            State::Closed if matches!(case_move, Move::Close | Move::Follow) => case.closed_at = Some(at),
            State::Withdrawn | State::Declined if case_move != Move::Note => case.closed_at = Some(at),
            State::Accepted | State::Handling | State::Merged => case.closed_at = None,
            _ => {}
        }
        // What the hotline is to dispatch is nobody's.
        if to == State::Accepted && !matches!(case_move, Move::Note | Move::Locate | Move::Split) {
            case.office = None;
            case.duty_rule = None;
            case.duty_version = None;
        }
        Ok(())
    }

    /// Which clocks the move stops and starts.
    async fn turn_clocks(
        &mut self,
        case: &CaseRow,
        case_move: Move,
        (from, to): (State, State),
    ) -> Result<(), Problem> {
        let (id, at, stop) = (case.id.clone(), self.now, case_move.as_str());
        match case_move {
            Move::Note | Move::Locate | Move::Split | Move::Resume => return Ok(()),
            Move::Pause => return self.pause_clocks(case, at).await,
            Move::Extend => {
                let moves = moves_of(self.connection(), &id).await?;
                let newest = moves.last().and_then(|row| {
                    let data: Value = serde_json::from_str(&row.data).ok()?;
                    data.get("count")?.as_i64()
                });
                return self.extend_handle(case, newest.unwrap_or(0)).await;
            }
            _ => {}
        }
        if from == State::New && to != State::New {
            self.stop_clocks(&id, &["accept"], at, stop).await?;
        }
        if from == State::Accepted {
            self.stop_clocks(&id, &["dispatch"], at, stop).await?;
        }
        if case_move == Move::Start {
            self.stop_clocks(&id, &["respond"], at, stop).await?;
        }
        if from.is_with_an_office() && (!to.is_with_an_office() || case_move == Move::Transfer) {
            self.stop_clocks(&id, &OF_OFFICE, at, stop).await?;
        }
        if from == State::Closed && to != State::Closed {
            self.stop_clocks(&id, &["call_back"], at, stop).await?;
        }
        if matches!(
            case_move,
            Move::Reply | Move::Answer | Move::Decline | Move::Withdraw
        ) {
            self.stop_citizen(case, at, stop).await?;
        }
        let starts: &[&str] = match case_move {
            Move::Accept | Move::Return | Move::Unmerge => &["dispatch"],
            Move::Dispatch | Move::Transfer => &OF_OFFICE,
            Move::Redo => &["handle", "citizen"],
            Move::Reopen => &["dispatch", "citizen"],
            Move::Close => &["call_back"],
            Move::Follow if to == State::Closed => &["call_back"],
            _ => &[],
        };
        if matches!(case_move, Move::Redo | Move::Reopen) {
            self.stop_clocks(&id, &["citizen"], at, stop).await?;
        }
        self.start_clocks(case, starts, at).await
    }

    /// What people said is erased some time after a case ended.
    async fn keep_or_erase(&mut self, case: &CaseRow, to: State) -> Result<(), Problem> {
        let has_ended = matches!(to, State::Finished | State::Withdrawn | State::Declined);
        let erase_at = has_ended.then(|| self.now.saturating_add(self.desk.settings.erase_after));
        schedule_erasure(self.connection(), &case.id, erase_at).await?;
        // Were the transaction to fail after this, the time would be said again with the next move.
        self.desk.schedule_contact(&case.id, erase_at).await
    }

    /// What follows of a move for other cases, the log and the caller.
    async fn follow(
        &mut self,
        case: &CaseRow,
        case_move: Move,
        asked: &Asked<'_>,
    ) -> Result<Effects, Problem> {
        let mut effects = Effects::default();
        match case_move {
            Move::Close => {
                for child in children(self.connection(), &case.id).await? {
                    self.follow_parent(child, State::Merged, State::Closed, &case.id)
                        .await?;
                }
                self.end_event(case, "unknown").await?;
                effects.rating_token = self.new_rating_link(case).await?;
            }
            Move::Redo | Move::Reopen => {
                for child in children(self.connection(), &case.id).await? {
                    self.follow_parent(child, State::Closed, State::Merged, &case.id)
                        .await?;
                }
            }
            Move::Merge => {
                let parent = asked.body.name("parent")?;
                self.note_child(parent, &case.id).await?;
            }
            Move::Withdraw | Move::Decline => self.end_event(case, "unknown").await?,
            Move::Locate => self.open_event(case).await?,
            _ => {}
        }
        if asked.is_of_the_system() {
            // Nobody is there to be shown it.
            effects.rating_token = None;
        }
        Ok(effects)
    }

    async fn follow_parent(
        &mut self,
        mut child: CaseRow,
        from: State,
        to: State,
        parent: &str,
    ) -> Result<(), Problem> {
        if child.state()? != from {
            return Ok(());
        }
        let (actor, at) = (Actor::system(), self.now);
        let mut data = json!({"parent": parent});
        self.change(&mut child, Move::Follow, to, &mut data).await?;
        let entry = Entry::new(&actor, Move::Follow.as_str(), to, at).with(data);
        self.append(&mut child, entry).await?;
        self.turn_clocks(&child, Move::Follow, (from, to)).await?;
        if to == State::Closed {
            self.end_event(&child, "duplicate").await?;
        }
        Ok(())
    }

    /// The children of a case that is merged go where it goes: nothing is deeper than one.
    async fn take_children_along(&mut self, case: &mut CaseRow, data: &Value) -> Result<(), Problem> {
        let parent = data["parent"].as_str().map(str::to_owned);
        let (actor, at) = (Actor::system(), self.now);
        for mut child in children(self.connection(), &case.id).await? {
            child.parent.clone_from(&parent);
            let state = child.state()?;
            let entry = Entry::new(&actor, "note", state, at).with(json!({"parent": parent}));
            self.append(&mut child, entry).await?;
        }
        case.parent = parent;
        Ok(())
    }

    /// The parent of a case learns of it, so that its version tells.
    async fn note_child(&mut self, parent: &str, child: &str) -> Result<(), Problem> {
        let Some(mut parent) = case(self.connection(), parent).await? else {
            return Ok(());
        };
        let (actor, at, state) = (Actor::system(), self.now, parent.state()?);
        let entry = Entry::new(&actor, "note", state, at).with(json!({"child": child}));
        self.append(&mut parent, entry).await
    }
}

/// What a move says in free words, and what that is.
fn text_of(body: &MoveBody) -> Result<Option<(&'static str, &str)>, Problem> {
    let fields = body.case_move.fields();
    let has = |name: &str| fields.iter().any(|field| field.name == name);
    if has("text") {
        let kind = if body.case_move == Move::Note {
            "note"
        } else {
            "reply"
        };
        Ok(Some((kind, body.text("text", LONGEST_TEXT)?)))
    } else if has("reason") && body.case_move != Move::Pause {
        Ok(Some(("reason", body.text("reason", LONGEST_REASON)?)))
    } else {
        Ok(None)
    }
}
