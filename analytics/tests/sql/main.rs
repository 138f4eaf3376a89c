//! The SQL engine from outside: what it answers, what it refuses, and that every query ends.

mod answers;
mod endings;
mod formats;
mod golden;
mod named_arguments;
mod refusals;
mod tables;
