//! What refuses a move that the table allows, as far as the case itself tells: asked in the order in which the table names it.

use riskgrid_ingest::EventTime;

use super::refusal::Refusal;
use super::state::State;
use super::table::{Move, Targets};

/// How often and how long something may be done; the constants of `[hotline]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How often a case is redone at most.
    pub redos: u32,
    /// How long after it was closed it may be redone or reopened, in microseconds.
    pub window: i64,
    /// How often a caller who was not reached is called: the last time ends the case.
    pub calls: u32,
}

impl Default for Limits {
    /// What the hotline ships with: expert settings.
    fn default() -> Self {
        Self {
            redos: 2,
            window: 30 * riskgrid_ingest::DAY,
            calls: 3,
        }
    }
}

/// The case that another one is to be merged into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its state.
    pub state: State,
    /// It is merged into a third one.
    pub is_child: bool,
    /// It is the case itself.
    pub is_itself: bool,
    /// Another system decides it.
    pub is_mirrored: bool,
}

impl Parent {
    /// Whether it may have children.
    pub const fn is_good(self) -> bool {
        self.state.is_open() && !self.is_child && !self.is_itself && !self.is_mirrored
    }
}

/// What guards look at: the case as it is when the move is asked for. What a move does not ask for need not be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Circumstances {
    /// The case's state.
    pub state: State,
    /// Another system decides it.
    pub is_mirrored: bool,
    /// Other cases are merged into it.
    pub has_children: bool,
    /// 1, and 1 more for each `redo`.
    pub round: u32,
    /// It is paused.
    pub is_paused: bool,
    /// When it was closed, withdrawn or declined the last time.
    pub closed_at: Option<EventTime>,
    /// The caller was reached, or rated, in this round.
    pub is_answered: bool,
    /// Who moves it works in the case's office, and that is not the hotline itself.
    pub is_own_work: bool,
    /// The office has it as the fallback.
    pub by_fallback: bool,
    /// Until when it may be returned; `None` where the rule gives no such time.
    pub return_until: Option<EventTime>,
    /// Due of `handle`, while that runs.
    pub handle_due: Option<EventTime>,
    /// How many extensions the rule still gives.
    pub extensions_left: u32,
    /// Of `merge`: where it would go.
    pub parent: Option<Parent>,
}

impl Circumstances {
    /// A case in this state of which nothing else is known.
    pub const fn of(state: State) -> Self {
        Self {
            state,
            is_mirrored: false,
            has_children: false,
            round: 1,
            is_paused: false,
            closed_at: None,
            is_answered: false,
            is_own_work: false,
            by_fallback: false,
            return_until: None,
            handle_due: None,
            extensions_left: 0,
            parent: None,
        }
    }

    /// Where the move leads, if nothing refuses it.
    ///
    /// # Errors
    /// The first [`Refusal`]: mirrors, then the table, then what the table names beside the move.
    pub fn judge(&self, case_move: Move, now: EventTime, limits: &Limits) -> Result<Targets, Refusal> {
        if self.is_mirrored {
            return Err(Refusal::Mirrored);
        }
        let targets = case_move.from(self.state).ok_or(Refusal::IllegalMove)?;
        match case_move {
            Move::Decline | Move::Withdraw => refuse_if(self.has_children, Refusal::HasChildren)?,
            Move::Close => refuse_if(self.is_own_work, Refusal::OwnWork)?,
            Move::Rate => refuse_if(self.is_answered, Refusal::AlreadyRated)?,
            Move::Return => {
                let is_in_time = self.return_until.is_some_and(|until| now < until);
                refuse_if(!is_in_time, Refusal::ReturnTooLate)?;
                refuse_if(self.by_fallback, Refusal::NoReturn)?;
            }
            Move::Extend => {
                refuse_if(self.extensions_left == 0, Refusal::ExtensionLimit)?;
                refuse_if(self.is_overdue(now), Refusal::Overdue)?;
            }
            Move::Pause => {
                refuse_if(self.is_overdue(now), Refusal::Overdue)?;
                refuse_if(self.is_paused, Refusal::Paused)?;
            }
            Move::Resume => refuse_if(!self.is_paused, Refusal::NotPaused)?,
            Move::Redo => {
                refuse_if(self.is_window_over(now, limits), Refusal::WindowOver)?;
                refuse_if(self.round > limits.redos, Refusal::RedoLimit)?;
            }
            Move::Reopen => refuse_if(self.is_window_over(now, limits), Refusal::WindowOver)?,
            Move::Merge => refuse_if(!self.parent.is_some_and(Parent::is_good), Refusal::BadParent)?,
            _ => {}
        }
        Ok(targets)
    }

    fn is_overdue(&self, now: EventTime) -> bool {
        self.handle_due.is_some_and(|due| due <= now)
    }

    /// What was replied and not yet closed has no window.
    fn is_window_over(&self, now: EventTime, limits: &Limits) -> bool {
        self.state != State::Replied
            && self
                .closed_at
                .is_some_and(|closed| closed.plus(limits.window) <= now)
    }
}

fn refuse_if(refused: bool, refusal: Refusal) -> Result<(), Refusal> {
    if refused { Err(refusal) } else { Ok(()) }
}
