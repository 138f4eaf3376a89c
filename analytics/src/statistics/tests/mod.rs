//! Claims about the whole chain: golden numbers, other software, slow obvious loops, false alarms, odd places.

mod edges;
mod false_alarms;
mod golden;
mod obvious;
mod reference;
