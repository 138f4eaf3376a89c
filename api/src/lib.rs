//! The riskgrid server: routes, tiles, alerts, delivery and the console.

pub mod console;
pub mod tiles;
