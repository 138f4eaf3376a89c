//! How long requests and queries take.

use std::time::{Duration, Instant};

use axum::extract::MatchedPath;
use axum::http::{Method, StatusCode};
use prometheus::{HistogramOpts, HistogramVec, IntCounter, Registry};

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
    left: IntCounter,
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
        let left = IntCounter::new(
            "riskgrid_http_left_total",
            "requests whose client left before the end of the answer: in the log they are 499",
        )?;
        Ok(Self {
            requests,
            queries,
            left,
        })
    }

    /// Puts them on a page.
    ///
    /// # Errors
    /// When a name is there already, which is a defect.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.requests.clone()))?;
        registry.register(Box::new(self.left.clone()))?;
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

    /// Waits for the answer to a request: should it be dropped before, the client has left.
    pub(crate) fn waiting(&self, request: Asked) -> Waiting {
        Waiting {
            durations: self.clone(),
            request,
            started: Instant::now(),
            is_answered: false,
        }
    }

    /// Begins to time a query. It is abandoned unless something else is said of it.
    pub(crate) fn query(&self) -> QueryTime {
        QueryTime {
            queries: self.queries.clone(),
            left: self.left.clone(),
            started: Instant::now(),
            outcome: "abandoned",
            is_left: false,
        }
    }
}

/// A request, as the log names it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// As routes are written.
    pub(crate) route: Option<MatchedPath>,
    /// The method.
    pub(crate) method: Method,
    /// The path, without keys.
    pub(crate) path: String,
}

/// What nginx began to call it when the client closes before it is answered; hyper then drops what makes the answer.
fn client_closed() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

/// A request that is not answered yet.
#[derive(Debug)]
pub(crate) struct Waiting {
    durations: Durations,
    request: Asked,
    started: Instant,
    is_answered: bool,
}

impl Waiting {
    /// Its answer begins.
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.is_answered = true;
        self.count(status);
    }

    fn count(&self, status: StatusCode) {
        let route = self.request.route.as_ref().map(MatchedPath::as_str);
        self.durations.request(route, status, self.started.elapsed());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        self.count(client_closed());
        self.durations.left.inc();
        tracing::info!(
            status = 499,
            method = %self.request.method,
            path = self.request.path.as_str(),
            after = ?self.started.elapsed(),
            "the client left before it was answered"
        );
    }
}

/// The time of a query, counted when this is dropped.
#[derive(Debug)]
pub(crate) struct QueryTime {
    queries: HistogramVec,
    left: IntCounter,
    started: Instant,
    outcome: &'static str,
    /// Its answer had begun.
    is_left: bool,
}

impl QueryTime {
    /// It got a problem for an answer.
    pub(crate) fn refused(&mut self) {
        self.outcome = "refused";
    }

    /// Its answer begins: whoever does not read it to its end has left.
    pub(crate) fn begun(&mut self) {
        self.is_left = true;
    }

    /// The end of its answer was reached.
    pub(crate) fn answered(&mut self) {
        self.outcome = "answered";
        self.is_left = false;
    }
}

impl Drop for QueryTime {
    fn drop(&mut self) {
        if self.is_left {
            self.left.inc();
            tracing::info!(
                status = 499,
                path = "/v1/sql",
                after = ?self.started.elapsed(),
                "the client left before the end of its answer"
            );
        }
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
