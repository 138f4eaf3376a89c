//! Defects on purpose, for tests of what a defect does. A release build has none of it.
//!
//! A debug build reads `RISKGRID_TEST_DEFECT`, which names a place, what happens there and the id of the event, as in
//! `before_applying:panic:river-7`.

/// Where a defect strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defect {
    /// Before an event changes anything.
    BeforeApplying,
    /// While it does.
    WhileApplying,
}

#[cfg(not(debug_assertions))]
#[inline]
pub(super) const fn strike(_: Defect, _: &str) {}

/// Does what the environment says of an event.
#[cfg(debug_assertions)]
#[allow(clippy::panic, reason = "a defect on purpose, in debug builds only")]
pub(super) fn strike(place: Defect, id: &str) {
    use std::sync::LazyLock;

    static ASKED: LazyLock<Option<(Defect, bool, String)>> = LazyLock::new(|| {
        let asked = std::env::var("RISKGRID_TEST_DEFECT").ok()?;
        let mut parts = asked.splitn(3, ':');
        let place = match parts.next()? {
            "before_applying" => Defect::BeforeApplying,
            "while_applying" => Defect::WhileApplying,
            _ => return None,
        };
        Some((place, parts.next()? == "abort", parts.next()?.to_owned()))
    });
    if let Some((at, is_abort, of)) = &*ASKED
        && *at == place
        && of == id
    {
        if *is_abort {
            std::process::abort();
        }
        panic!("a defect on purpose");
    }
}
