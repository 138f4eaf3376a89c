//! riskgrid
fn main() {}
