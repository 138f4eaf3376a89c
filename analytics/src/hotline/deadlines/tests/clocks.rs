//! Which rows start and stop which clocks: along all ways through the table.

use proptest::prelude::*;

use super::*;
use crate::hotline::moves::{Move, State, Targets};

fn rows_of(moves: &[(usize, bool)]) -> Vec<Row> {
    let mut rows = vec![Row {
        case_move: None,
        from: None,
        to: State::New,
    }];
    let mut state = State::New;
    for (number, ends) in moves {
        let case_move = Move::ALL[*number];
        let to = match case_move.from(state) {
            None => continue,
            Some(Targets::One(to)) => to,
            Some(Targets::Unreached { stays, ends: end }) => {
                if *ends {
                    end
                } else {
                    stays
                }
            }
        };
        rows.push(Row {
            case_move: Some(case_move),
            from: Some(state),
            to,
        });
        state = to;
    }
    rows
}

fn runs_after(clock: ClockName, rows: &[Row]) -> bool {
    rows.iter().fold(false, |runs, row| {
        clock.is_started_by(*row) || (runs && !clock.is_stopped_by(*row))
    })
}

proptest! {
    #[test]
    fn clocks_run_in_the_states_that_they_are_about(moves in prop::collection::vec((0usize..24, any::<bool>()), 0..80)) {
        let rows = rows_of(&moves);
        let state = rows.last().unwrap().to;
        let runs = |clock| runs_after(clock, &rows);
        prop_assert_eq!(runs(ClockName::Accept), state == State::New);
        prop_assert_eq!(runs(ClockName::Dispatch), state == State::Accepted);
        prop_assert_eq!(runs(ClockName::Handle), state.is_with_an_office());
        prop_assert_eq!(runs(ClockName::Respond), state == State::Dispatched);
        if runs(ClockName::Return) {
            prop_assert!(state.is_with_an_office());
        }
        if matches!(state, State::Replied | State::Withdrawn | State::Declined) {
            prop_assert!(!runs(ClockName::Citizen));
        }
    }
}

#[test]
fn a_redo_gives_the_office_and_the_caller_a_new_term() {
    let redo = Row {
        case_move: Some(Move::Redo),
        from: Some(State::Closed),
        to: State::Handling,
    };
    let started: Vec<&str> = ClockName::ALL
        .into_iter()
        .filter(|clock| clock.is_started_by(redo))
        .map(ClockName::as_str)
        .collect();
    assert_eq!(started, ["handle", "citizen"]);
    assert!(ClockName::CallBack.is_stopped_by(redo));
    for clock in ClockName::ALL {
        assert_eq!(ClockName::from_name(clock.as_str()), Some(clock));
    }
}
