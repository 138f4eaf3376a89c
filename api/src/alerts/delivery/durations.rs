//! How long attempts take, and how long what was decided is on its way.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, Registry};

/// Upper bounds of an attempt, in seconds.
const ATTEMPT: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];
/// Upper bounds of a delivery, in seconds: from at once to the last attempt.
const DELIVERY: [f64; 12] = [
    0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 3_600.0, 21_600.0, 86_400.0, 302_400.0,
];
const RESULTS: [&str; 2] = ["delivered", "failed"];

/// Histograms, there from the first scrape.
#[derive(Clone, Debug)]
pub(super) struct DeliveryDurations {
    attempts: HistogramVec,
    deliveries: Histogram,
}

impl DeliveryDurations {
    /// Without an observation yet.
    pub(super) fn new() -> prometheus::Result<Self> {
        let attempts = HistogramVec::new(
            HistogramOpts::new(
                "riskgrid_webhook_attempt_seconds",
                "from a request to a receiver to its answer, by what became of it",
            )
            .buckets(ATTEMPT.to_vec()),
            &["result"],
        )?;
        for result in RESULTS {
            attempts.with_label_values(&[result]);
        }
        let deliveries = Histogram::with_opts(
            HistogramOpts::new(
                "riskgrid_webhook_delivery_seconds",
                "from the decision to the receiver that has it, waits included",
            )
            .buckets(DELIVERY.to_vec()),
        )?;
        Ok(Self { attempts, deliveries })
    }

    /// Puts them on a page.
    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.attempts.clone()))?;
        registry.register(Box::new(self.deliveries.clone()))
    }

    /// An attempt took so long.
    pub(super) fn attempt(&self, is_delivered: bool, took: Duration) {
        let result = if is_delivered { "delivered" } else { "failed" };
        self.attempts
            .with_label_values(&[result])
            .observe(took.as_secs_f64());
    }

    /// A receiver has what was decided so long ago, µs.
    pub(super) fn delivered_after(&self, micros: i64) {
        self.deliveries.observe(micros.max(0) as f64 / 1e6);
    }
}
