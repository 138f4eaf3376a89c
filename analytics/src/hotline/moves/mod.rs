//! The states of a case and the moves between them: one table, and what may refuse a move that the table allows.
//!
//! | what | where |
//! |---|---|
//! | the ten states | [`State`] |
//! | the moves, their table, who may make them, which need a reason | [`Move`] |
//! | who people are to a case | [`Duty`] |
//! | what refuses a move, by name | [`Refusal`], [`Circumstances`] |
//! | the members that the body of a move has | [`Field`] |
//! | the state that a row of moves comes to | [`fold`] |

mod duty;
mod fields;
mod fold;
mod guards;
mod refusal;
mod state;
mod table;
#[cfg(test)]
mod tests;

pub use duty::Duty;
pub use fields::Field;
pub use fold::{Fold, FoldError, Mode, OPEN, fold};
pub use guards::{Circumstances, Limits, Parent};
pub use refusal::Refusal;
pub use state::State;
pub use table::{Move, Targets};
