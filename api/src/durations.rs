//! How long requests and queries take.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use prometheus::{HistogramOpts, HistogramVec, Registry};

/// Upper bounds, in seconds: from a cached tile to the longest query.
const BOUNDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0,
];
/// The route of what has none.
const NO_ROUTE: &str = "none";
/// What becomes of a query.
const OUTCOMES: [&str; 3] = ["answered", "refused", "abandoned"];

/// Histograms, there from the first scrape.
#[derive(Clone, Debug)]
pub struct Durations {
    requests: HistogramVec,
    queries: HistogramVec,
}

impl Durations {
    /// Without an observation yet.
    ///
    /// # Errors
    /// When a name or label is not valid, which is a defect.
    pub fn new() -> prometheus::Result<Self> {
        let histogram = |name: &'static str, help: &'static str, labels: &[&str]| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(BOUNDS.to_vec()), labels)
        };
        let requests = histogram(
            "riskgrid_http_request_seconds",
            "from a request to the head of its answer, by route and class of status",
            &["route", "status"],
        )?;
        requests.with_label_values(&[NO_ROUTE, "4xx"]);
        let queries = histogram(
            "riskgrid_sql_query_seconds",
            "from a statement to the end of its answer, by what became of it",
            &["outcome"],
        )?;
        for outcome in OUTCOMES {
            queries.with_label_values(&[outcome]);
        }
        Ok(Self { requests, queries })
    }

    /// Puts them on a page.
    ///
    /// # Errors
    /// When a name is there already, which is a defect.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.requests.clone()))?;
        registry.register(Box::new(self.queries.clone()))
    }

    /// Counts a request. `route` is as routes are written, so that there are no more of them than routes.
    pub(crate) fn request(&self, route: Option<&str>, status: StatusCode, took: Duration) {
        let class = match status.as_u16() / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.requests
            .with_label_values(&[route.unwrap_or(NO_ROUTE), class])
            .observe(took.as_secs_f64());
    }

    /// Begins to time a query. It is abandoned unless something else is said of it.
    pub(crate) fn query(&self) -> QueryTime {
        QueryTime {
            queries: self.queries.clone(),
            started: Instant::now(),
            outcome: "abandoned",
        }
    }
}

/// The time of a query, counted when this is dropped.
#[derive(Debug)]
pub(crate) struct QueryTime {
    queries: HistogramVec,
    started: Instant,
    outcome: &'static str,
}

impl QueryTime {
    /// It got a problem for an answer.
    pub(crate) fn refused(&mut self) {
        self.outcome = "refused";
    }

    /// The end of its answer was reached.
    pub(crate) fn answered(&mut self) {
        self.outcome = "answered";
    }
}

impl Drop for QueryTime {
    fn drop(&mut self) {
        self.queries
            .with_label_values(&[self.outcome])
            .observe(self.started.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use prometheus::{Encoder, TextEncoder};

    use super::*;

    fn page(durations: &Durations) -> String {
        let registry = Registry::new();
        durations.register(&registry).unwrap();
        let mut page = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut page).unwrap();
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn a_query_is_counted_once_by_what_became_of_it() {
        let durations = Durations::new().unwrap();
        durations.query().answered();
        durations.query().refused();
        durations.query().refused();
        drop(durations.query());
        let page = page(&durations);
        for (outcome, times) in [("answered", 1), ("refused", 2), ("abandoned", 1)] {
            let line = format!("riskgrid_sql_query_seconds_count{{outcome=\"{outcome}\"}} {times}");
            assert!(page.contains(&line), "{line}\n{page}");
        }
    }

    #[test]
    fn requests_are_counted_by_route_and_class_and_are_there_before_the_first() {
        let durations = Durations::new().unwrap();
        assert!(page(&durations).contains("riskgrid_http_request_seconds_count"));
        let took = Duration::from_millis(30);
        durations.request(Some("/v1/tiles/{layer}"), StatusCode::NOT_MODIFIED, took);
        durations.request(None, StatusCode::NOT_FOUND, took);
        let page = page(&durations);
        for line in [
            "riskgrid_http_request_seconds_bucket{route=\"/v1/tiles/{layer}\",status=\"3xx\",le=\"0.025\"} 0",
            "riskgrid_http_request_seconds_bucket{route=\"/v1/tiles/{layer}\",status=\"3xx\",le=\"0.05\"} 1",
            "riskgrid_http_request_seconds_count{route=\"none\",status=\"4xx\"} 1",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
    }
}
