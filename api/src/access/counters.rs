//! What access counts: there from the first scrape.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

/// Kinds of problems that access answers with.
const KINDS: [&str; 10] = [
    "unauthenticated",
    "too-many-failures",
    "credentials-in-url",
    "forbidden",
    "cross-site",
    "no-role",
    "forbidden-source",
    "too-many-requests",
    "quota",
    "identity-provider",
];

/// The counters.
#[derive(Clone, Debug)]
pub(super) struct AccessCounters {
    refused: IntCounterVec,
}

impl AccessCounters {
    /// Counters that stand at zero.
    ///
    /// # Errors
    /// When a name or label is not valid, which is a defect.
    pub(super) fn new() -> prometheus::Result<Self> {
        let refused = IntCounterVec::new(
            Opts::new(
                "riskgrid_access_refused_total",
                "requests that were refused for who asked, or how often, by kind of problem",
            ),
            &["kind"],
        )?;
        for kind in KINDS {
            refused.with_label_values(&[kind]).inc_by(0);
        }
        Ok(Self { refused })
    }

    pub(super) fn refuse(&self, kind: &'static str) {
        debug_assert!(KINDS.contains(&kind), "{kind}");
        self.refused.with_label_values(&[kind]).inc();
    }

    /// Puts them on a page, with how many keys are good and browsers signed in.
    pub(super) fn register(
        &self,
        registry: &Registry,
        keys: usize,
        sessions: usize,
    ) -> prometheus::Result<()> {
        registry.register(Box::new(self.refused.clone()))?;
        for (name, help, count) in [
            ("riskgrid_access_keys", "keys that let in", keys),
            (
                "riskgrid_access_sessions",
                "browsers that are signed in",
                sessions,
            ),
        ] {
            let gauge = IntGauge::new(name, help)?;
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            registry.register(Box::new(gauge))?;
        }
        Ok(())
    }
}
