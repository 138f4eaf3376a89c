//! Benches of riskgrid, one question a file. The questions are in `README.md` of this folder.
