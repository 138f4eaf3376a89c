//! What HTTP counts: each limit that was hit, there from the first scrape.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Why requests were refused before a route saw them.
const REFUSED: [&str; 9] = [
    "bad_host",
    "misdirected",
    "cross_site",
    "body_too_large",
    "body_packing",
    "body_corrupt",
    "body_memory",
    "body_timeout",
    "body_broken",
];
/// Why connections were closed by this side.
const CLOSED: [&str; 4] = ["header_timeout", "write_timeout", "for_a_newer_one", "no_room"];

/// The counters of one server.
#[derive(Clone, Debug)]
pub struct HttpCounters {
    /// Requests refused before a route saw them, by reason.
    pub(crate) refused: IntCounterVec,
    /// Connections closed by this side, by reason.
    pub(crate) closed: IntCounterVec,
    /// Open connections.
    pub(crate) connections: IntGauge,
    /// Most that may be open.
    pub(crate) most_connections: IntGauge,
    /// Times that the system gave no connection.
    pub(crate) accept_errors: IntCounter,
    /// Refused events that answers counted without naming them.
    pub(crate) untold: IntCounter,
}

impl HttpCounters {
    /// Counters that stand at zero.
    ///
    /// # Errors
    /// When a name or label is not valid, which is a defect.
    pub fn new() -> prometheus::Result<Self> {
        let refused = IntCounterVec::new(
            Opts::new(
                "riskgrid_http_refused_total",
                "requests that were refused before a route saw them, by reason",
            ),
            &["reason"],
        )?;
        let closed = IntCounterVec::new(
            Opts::new(
                "riskgrid_http_connections_closed_total",
                "connections that were closed because of a limit, by reason",
            ),
            &["reason"],
        )?;
        for reason in REFUSED {
            refused.with_label_values(&[reason]).inc_by(0);
        }
        for reason in CLOSED {
            closed.with_label_values(&[reason]).inc_by(0);
        }
        Ok(Self {
            refused,
            closed,
            connections: IntGauge::new("riskgrid_http_connections", "open connections")?,
            most_connections: IntGauge::new(
                "riskgrid_http_connections_most",
                "connections that may be open: server.max_connections, or less where the system allows fewer open files",
            )?,
            accept_errors: IntCounter::new(
                "riskgrid_http_accept_errors_total",
                "times that the system gave no connection; the log says why",
            )?,
            untold: IntCounter::new(
                "riskgrid_http_events_untold_total",
                "refused events beyond those that one answer names; their bytes are with the dead letters",
            )?,
        })
    }

    /// Puts them on a page, with the bytes of bodies that are in memory now.
    ///
    /// # Errors
    /// When a name is there already, which is a defect.
    pub fn register(&self, registry: &Registry, body_bytes: usize) -> prometheus::Result<()> {
        registry.register(Box::new(self.refused.clone()))?;
        registry.register(Box::new(self.closed.clone()))?;
        registry.register(Box::new(self.connections.clone()))?;
        registry.register(Box::new(self.most_connections.clone()))?;
        registry.register(Box::new(self.accept_errors.clone()))?;
        registry.register(Box::new(self.untold.clone()))?;
        let bodies = IntGauge::new(
            "riskgrid_http_body_bytes",
            "bytes of bodies in memory; server.body_memory bounds them",
        )?;
        bodies.set(i64::try_from(body_bytes).unwrap_or(i64::MAX));
        registry.register(Box::new(bodies))
    }

    pub(crate) fn refuse(&self, reason: &'static str) {
        debug_assert!(REFUSED.contains(&reason), "{reason}");
        self.refused.with_label_values(&[reason]).inc();
    }

    pub(crate) fn close(&self, reason: &'static str) {
        debug_assert!(CLOSED.contains(&reason), "{reason}");
        self.closed.with_label_values(&[reason]).inc();
    }
}
