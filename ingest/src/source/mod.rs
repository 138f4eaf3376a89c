//! Where records come from: the embedded journal, Kafka, files.

pub mod journal;
