//! Whether a hotspot was solved: reports before and after it was dealt with, beside those of the rest of its district, and of the
//! rings around it, where it may have gone.
//!
//! The relative incidence rate ratio (Wilson 2021) with a dispersion of weekly counts, Student's law and, for few counts, Fisher's
//! exact test; the weighted displacement quotient (Bowers and Johnson 2003); the total net effect (Guerette 2009).

mod fisher;
mod outcome;
mod ratio;
mod student;
#[cfg(test)]
mod tests;

pub use fisher::fisher_p;
pub use outcome::{Outcome, Verdict, WeeklyCounts, outcome};
pub use ratio::{RateRatio, rate_ratio};
pub use student::student_p;
