//! The table as the contract prints it, and what refuses moves.

use std::collections::BTreeSet;

use proptest::prelude::*;
use riskgrid_ingest::{DAY, EventTime, SECOND};

use super::*;

/// The contract's table, a line a move: who, then what each state leads to.
const TABLE: &str = "
accept|op|A|||||||||
decline|op|X|X||||||||
answer|op||P||||||||
dispatch|di||D||||||||
start|ha|||H|||||||
reply|ha||||P||||||
close|re|||||C|||||
call_back|op||||||CF||||
rate|ca||||||F|F|||
lapse|sy||||||F||||
return|ha|||A|A||||||
transfer|di|||D|D||||||
extend|su|||D|H||||||
pause|su|||D|H||||||
resume|su|||D|H||||||
redo|re|||||H|H|H|||
reopen|ca||||||A|A||A|A
merge|op|M|M|M|M||||||
unmerge|op||||||||A||
follow|sy||||||M||C||
split|op di||A|D|H||||||
withdraw|ca|W|W|W|W|W|||W||
locate|op|N|A|D|H|P|||||
note|all|N|A|D|H|P|C|F|M|W|X
";

fn letter(state: State) -> char {
    match state {
        State::Replied => 'P',
        State::Declined => 'X',
        other => other.as_str().to_uppercase().chars().next().unwrap(),
    }
}

fn targets(targets: Option<Targets>) -> String {
    match targets {
        None => String::new(),
        Some(Targets::One(state)) => letter(state).to_string(),
        Some(Targets::Unreached { stays, ends }) => format!("{}{}", letter(stays), letter(ends)),
    }
}

#[test]
fn the_table_is_the_contracts() {
    let rows: Vec<Vec<&str>> = TABLE
        .trim()
        .lines()
        .map(|line| line.split('|').collect())
        .collect();
    assert_eq!(rows.len(), Move::ALL.len());
    let mut legal = 0;
    for (row, case_move) in rows.iter().zip(Move::ALL) {
        assert_eq!(row[0], case_move.as_str());
        for (cell, state) in row[2..].iter().zip(State::ALL) {
            assert_eq!(
                *cell,
                targets(case_move.from(state)),
                "{} from {}",
                row[0],
                state.as_str()
            );
            legal += usize::from(!cell.is_empty());
        }
    }
    assert_eq!((legal, Move::ALL.len() * State::ALL.len()), (60, 240));
}

#[test]
#[expect(
    clippy::match_same_arms,
    reason = "in the order in which the contract says it"
)]
fn who_may_move_is_the_contracts() {
    for (row, case_move) in TABLE.trim().lines().zip(Move::ALL) {
        let who = row.split('|').nth(1).unwrap();
        for duty in Duty::ALL {
            let expected = match (who, duty) {
                ("all", _) => true,
                ("sy", duty) => duty == Duty::System,
                (_, Duty::Supervisor) => true,
                (_, Duty::System) => case_move == Move::Resume,
                ("ca", duty) => matches!(duty, Duty::Caller | Duty::Operator),
                (who, duty) => who.split(' ').any(|word| duty.as_str().starts_with(word)),
            };
            assert_eq!(case_move.may(duty, false), expected, "{row} {duty:?}");
            let by_themselves =
                duty == Duty::Handler && matches!(case_move, Move::Extend | Move::Pause | Move::Resume);
            assert_eq!(
                case_move.may(duty, true),
                expected || by_themselves,
                "{row} {duty:?}"
            );
        }
    }
    let both = [Duty::Handler, Duty::Reviewer];
    assert_eq!(Move::Close.made_as(&both, false), Some(Duty::Reviewer));
    assert_eq!(Move::Dispatch.made_as(&both, false), None);
}

#[test]
fn every_state_is_reached_and_leads_to_the_end() {
    let steps: Vec<(State, State)> = State::ALL
        .into_iter()
        .flat_map(|from| Move::ALL.map(|case_move| (from, case_move.from(from))))
        .flat_map(|(from, targets)| {
            State::ALL
                .into_iter()
                .filter(move |to| targets.is_some_and(|targets| targets.has(*to)))
                .map(move |to| (from, to))
        })
        .collect();
    let (mut reached, mut ending) = (BTreeSet::from([State::New]), BTreeSet::from([State::Finished]));
    for _ in State::ALL {
        for (from, to) in &steps {
            if reached.contains(from) {
                reached.insert(*to);
            }
            if ending.contains(to) {
                ending.insert(*from);
            }
        }
    }
    assert_eq!((reached.len(), ending.len()), (10, 10));
}

#[test]
fn legal_moves_are_in_the_tables_order_and_none_is_the_systems() {
    let legal: Vec<&str> = Move::legal(State::Closed).map(Move::as_str).collect();
    assert_eq!(legal, ["call_back", "rate", "redo", "reopen", "note"]);
    let legal: Vec<&str> = Move::legal(State::Merged).map(Move::as_str).collect();
    assert_eq!(legal, ["unmerge", "withdraw", "note"]);
}

#[test]
fn names_are_read_back() {
    for state in State::ALL {
        assert_eq!(State::from_name(state.as_str()), Some(state));
        assert_eq!(
            serde_json::to_value(state).unwrap().as_str(),
            Some(state.as_str())
        );
    }
    for case_move in Move::ALL {
        assert_eq!(Move::from_name(case_move.as_str()), Some(case_move));
        assert_eq!(
            serde_json::to_value(case_move).unwrap().as_str(),
            Some(case_move.as_str())
        );
    }
    for duty in Duty::ALL {
        assert_eq!(Duty::from_name(duty.as_str()), Some(duty));
        assert_eq!(serde_json::to_value(duty).unwrap().as_str(), Some(duty.as_str()));
    }
    let names: BTreeSet<&str> = Refusal::ALL.map(Refusal::as_str).into();
    assert_eq!(names.len(), Refusal::ALL.len());
}

#[test]
fn these_moves_say_why() {
    let with_reason: Vec<&str> = Move::ALL
        .into_iter()
        .filter(|case_move| case_move.needs_reason())
        .map(Move::as_str)
        .collect();
    assert_eq!(
        with_reason,
        [
            "decline", "return", "transfer", "extend", "pause", "redo", "split", "withdraw"
        ]
    );
}

const NOW: EventTime = EventTime::from_micros(1_772_000_000_000_000);

fn judged(case_move: Move, circumstances: &Circumstances) -> Result<Targets, Refusal> {
    circumstances.judge(case_move, NOW, &Limits::default())
}

fn refused(case_move: Move, state: State, set: impl FnOnce(&mut Circumstances)) -> Option<Refusal> {
    let mut circumstances = Circumstances::of(state);
    set(&mut circumstances);
    judged(case_move, &circumstances).err()
}

#[test]
fn each_refusal_has_its_cause() {
    use State::{Closed, Dispatched, Finished, Handling, Merged, New, Replied, Withdrawn};
    let later = NOW.plus(SECOND);
    let is = |case_move, state, set: fn(&mut Circumstances), refusal| {
        assert_eq!(refused(case_move, state, set), refusal, "{case_move:?} {state:?}");
    };
    is(Move::Start, New, |_| {}, Some(Refusal::IllegalMove));
    is(
        Move::Start,
        Dispatched,
        |case| case.is_mirrored = true,
        Some(Refusal::Mirrored),
    );
    is(
        Move::Note,
        Dispatched,
        |case| case.is_mirrored = true,
        Some(Refusal::Mirrored),
    );
    is(
        Move::Decline,
        New,
        |case| case.has_children = true,
        Some(Refusal::HasChildren),
    );
    is(Move::Withdraw, Merged, |_| {}, None);
    is(
        Move::Close,
        Replied,
        |case| case.is_own_work = true,
        Some(Refusal::OwnWork),
    );
    is(
        Move::Rate,
        Finished,
        |case| case.is_answered = true,
        Some(Refusal::AlreadyRated),
    );
    is(Move::Rate, Finished, |_| {}, None);
    is(Move::Return, Handling, |_| {}, Some(Refusal::ReturnTooLate));
    is(
        Move::Return,
        Handling,
        |case| case.return_until = Some(NOW),
        Some(Refusal::ReturnTooLate),
    );
    assert_eq!(
        refused(Move::Return, Handling, |case| case.return_until = Some(later)),
        None
    );
    assert_eq!(
        refused(Move::Return, Handling, |case| {
            case.return_until = Some(later);
            case.by_fallback = true;
        }),
        Some(Refusal::NoReturn)
    );
    is(Move::Extend, Handling, |_| {}, Some(Refusal::ExtensionLimit));
    is(
        Move::Extend,
        Handling,
        |case| (case.extensions_left, case.handle_due) = (1, Some(NOW)),
        Some(Refusal::Overdue),
    );
    is(
        Move::Pause,
        Handling,
        |case| case.handle_due = Some(NOW),
        Some(Refusal::Overdue),
    );
    is(
        Move::Pause,
        Handling,
        |case| case.is_paused = true,
        Some(Refusal::Paused),
    );
    is(Move::Resume, Handling, |_| {}, Some(Refusal::NotPaused));
    is(
        Move::Resume,
        Handling,
        |case| (case.is_paused, case.handle_due) = (true, Some(NOW)),
        None,
    );
    is(
        Move::Redo,
        Replied,
        |case| case.closed_at = Some(NOW.plus(-90 * DAY)),
        None,
    );
    is(
        Move::Redo,
        Closed,
        |case| case.closed_at = Some(NOW.plus(-30 * DAY)),
        Some(Refusal::WindowOver),
    );
    is(
        Move::Redo,
        Closed,
        |case| case.closed_at = Some(NOW.plus(1 - 30 * DAY)),
        None,
    );
    is(Move::Redo, Closed, |case| case.round = 2, None);
    is(
        Move::Redo,
        Closed,
        |case| case.round = 3,
        Some(Refusal::RedoLimit),
    );
    is(
        Move::Reopen,
        Withdrawn,
        |case| case.closed_at = Some(NOW.plus(-30 * DAY)),
        Some(Refusal::WindowOver),
    );
}

#[test]
fn a_parent_is_open_no_child_and_another_case() {
    let good = Parent {
        state: State::Replied,
        is_child: false,
        is_itself: false,
        is_mirrored: false,
    };
    let merge = |parent| refused(Move::Merge, State::New, |case| case.parent = parent);
    assert_eq!(merge(Some(good)), None);
    assert_eq!(merge(None), Some(Refusal::BadParent));
    for state in State::ALL {
        let is_good = "NADHP".contains(letter(state));
        assert_eq!(merge(Some(Parent { state, ..good })).is_none(), is_good);
    }
    for bad in [
        Parent {
            is_child: true,
            ..good
        },
        Parent {
            is_itself: true,
            ..good
        },
        Parent {
            is_mirrored: true,
            ..good
        },
    ] {
        assert_eq!(merge(Some(bad)), Some(Refusal::BadParent));
    }
}

#[test]
fn rows_that_no_case_can_have_are_named() {
    let rows = [("open", "", "new"), ("accept", "new", "accepted")];
    assert_eq!(
        fold(Mode::Own, rows),
        Ok(Fold {
            state: State::Accepted,
            version: 2
        })
    );
    assert_eq!(fold(Mode::Own, []), Err(FoldError::Empty));
    let broken: [&[(&str, &str, &str)]; 5] = [
        &[("accept", "new", "accepted")],
        &[("open", "", "accepted")],
        &[("open", "", "new"), ("accept", "new", "dispatched")],
        &[("open", "", "new"), ("note", "accepted", "accepted")],
        &[("open", "", "new"), ("open", "", "new")],
    ];
    for rows in broken {
        let folded = fold(Mode::Own, rows.iter().copied());
        assert!(matches!(folded, Err(FoldError::Illegal { .. })), "{rows:?}");
    }
    let mirrored = [
        ("open", "", "handling"),
        ("note", "handling", "handling"),
        ("close", "handling", "finished"),
    ];
    assert_eq!(
        fold(Mode::Mirror, mirrored).map(|fold| fold.state),
        Ok(State::Finished)
    );
    assert!(fold(Mode::Own, mirrored).is_err());
    // A case that was split off another one is accepted from the beginning, and goes on as any.
    let split = [
        ("open", "", "accepted"),
        ("dispatch", "accepted", "dispatched"),
        ("start", "dispatched", "handling"),
    ];
    assert_eq!(
        fold(Mode::Split, split).map(|fold| fold.state),
        Ok(State::Handling)
    );
    assert!(fold(Mode::Split, rows).is_err());
}

proptest! {
    /// Whatever is tried: the state is what the moves that were made come to.
    #[test]
    fn the_state_is_the_fold_of_the_moves(tried in prop::collection::vec((0usize..24, any::<bool>()), 0..60)) {
        let mut state = State::New;
        let mut rows = vec![(OPEN, "", state.as_str())];
        for (number, ends_now) in tried {
            let Some(targets) = Move::ALL[number].from(state) else { continue };
            let next = match targets {
                Targets::One(next) => next,
                Targets::Unreached { stays, ends } => if ends_now { ends } else { stays },
            };
            rows.push((Move::ALL[number].as_str(), state.as_str(), next.as_str()));
            state = next;
        }
        let version = rows.len() as u64;
        prop_assert_eq!(fold(Mode::Own, rows), Ok(Fold { state, version }));
    }
}
