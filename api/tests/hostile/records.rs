//! Records that would kill or fill the grid, and stay in the log.
