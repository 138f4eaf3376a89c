//! A unit of assessment: one office's turn at a case.

use riskgrid_ingest::EventTime;

/// What stopped the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The office replied.
    Replied,
    /// The case left the office by one of these.
    Left(OutReason),
}

/// Why a unit is not counted, if it was so before due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutReason {
    /// The office gave it back.
    Return,
    /// It went to another office.
    Transfer,
    /// It became part of another case.
    Merge,
    /// The caller took it back.
    Withdraw,
}

impl OutReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Return, Self::Transfer, Self::Merge, Self::Withdraw];

    /// The name of the move.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Return => "return",
            Self::Transfer => "transfer",
            Self::Merge => "merge",
            Self::Withdraw => "withdraw",
        }
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// What the caller said of the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// It is done.
    Yes,
    /// Some of it.
    Partly,
    /// It is not.
    No,
}

impl Resolved {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Yes, Self::Partly, Self::No];

    /// The name in requests and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Partly => "partly",
            Self::No => "no",
        }
    }

    /// The answer of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resolved| resolved.as_str() == name)
    }
}

/// A generation of `handle`, as its rows tell it at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitFacts {
    /// The case.
    pub case: String,
    /// Which turn.
    pub generation: u32,
    /// Whose.
    pub office: String,
    /// By when.
    pub due: EventTime,
    /// When and by what it was stopped; `None` while it runs.
    pub stopped: Option<(EventTime, Stop)>,
    /// When the office started; the time of the redo, where a `redo` began the unit; `None` if it never did.
    pub started: Option<EventTime>,
    /// Due of its `respond`, where the rule has one.
    pub respond_due: Option<EventTime>,
    /// The last answer of the round, if this unit replied last before it: what, and of 1 to 5.
    pub answer: Option<(Resolved, u8)>,
}

/// A row of `case_assessed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssessedUnit {
    /// The case.
    pub case: String,
    /// Which turn.
    pub generation: u32,
    /// Whose.
    pub office: String,
    /// By when.
    pub due: EventTime,
    /// Why it is not counted.
    pub out: Option<OutReason>,
    /// The office started, and where there is a term for that, within it.
    pub responded: bool,
    /// When it replied.
    pub replied_at: Option<EventTime>,
    /// What the caller said.
    pub resolved: Option<Resolved>,
    /// How they rated it.
    pub rating: Option<u8>,
}

impl AssessedUnit {
    /// Judges a unit: what left its office before due is out, what left it later counts as late.
    pub fn of(facts: UnitFacts) -> Self {
        let (mut out, mut replied_at) = (None, None);
        match facts.stopped {
            Some((at, Stop::Left(reason))) if at < facts.due => out = Some(reason),
            Some((at, Stop::Replied)) => replied_at = Some(at),
            _ => {}
        }
        let answer = facts.answer.filter(|_| replied_at.is_some());
        let responded = facts
            .started
            .is_some_and(|at| facts.respond_due.is_none_or(|due| at < due));
        Self {
            case: facts.case,
            generation: facts.generation,
            office: facts.office,
            due: facts.due,
            out,
            responded,
            replied_at,
            resolved: answer.map(|(resolved, _)| resolved),
            rating: answer.map(|(_, rating)| rating),
        }
    }

    /// It replied before due.
    pub fn is_timely(&self) -> bool {
        self.replied_at.is_some_and(|at| at < self.due)
    }
}
