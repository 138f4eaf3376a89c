//! Bodies, read whole before any route sees them: within the route's limit, the memory of all bodies and the time that a
//! sender has, and unpacked.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::budget::{BodyBudget, Full, Gathered, Share};
use super::connections::Slot;
use super::content::{Packing, packing, unsupported_packing};
use super::counters::HttpCounters;
use super::linger::linger;
use super::unpack::{NotUnpacked, unpack};
use crate::problem::{Kind, Problem};

/// Largest body of a route that takes a rule, a webhook, a choice: what people write.
const CONTROL_BODY: usize = 64 << 10;
/// Largest body of duty, rules and calendars.
const HOTLINE_DATA: usize = 32 << 20;
/// When memory for bodies is worth another try.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The limits of bodies.
pub(crate) struct Bodies {
    /// Of `/v1/events`.
    pub(crate) largest: usize,
    /// Of `/v1/sql`.
    pub(crate) largest_statement: usize,
    /// Longest pause of a sender.
    pub(crate) pause: Duration,
    /// Longest time of a whole body.
    pub(crate) whole: Duration,
    pub(crate) budget: Arc<BodyBudget>,
    pub(crate) counters: HttpCounters,
}

/// The memory that a request's body takes. Whoever works on the body after its request may be gone keeps it meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct HeldBody(#[allow(dead_code, reason = "it is held, not read")] Arc<Share>);

enum NotRead {
    Full(Full),
    Slow,
    Broken,
}

/// Reads the body; the routes get it as if it had come plain and at once.
pub(crate) async fn take_body(State(bodies): State<Arc<Bodies>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let slot = parts.extensions.get::<Arc<Slot>>().cloned();
    let at_work = || {
        if let Some(slot) = &slot {
            slot.at_work();
        }
    };
    if body.is_end_stream() {
        at_work();
        return next.run(Request::from_parts(parts, body)).await;
    }
    let limit = bodies.limit_of(parts.uri.path());
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let waits_for_leave = parts.headers.contains_key(header::EXPECT);
    let mut stream = body.into_data_stream();
    let refuse = |answer: Response, stream: BodyDataStream| {
        // Nothing comes before the sender has leave.
        if waits_for_leave {
            answer
        } else {
            linger(answer, stream)
        }
    };
    let Some(packing) = packing(&parts.headers) else {
        bodies.counters.refuse("body_packing");
        return refuse(unsupported_packing(), stream);
    };
    let gathered = if declared > limit {
        Err(NotRead::Full(Full::Limit))
    } else {
        bodies.gather(&mut stream, limit).await
    };
    let gathered = match gathered {
        Ok(gathered) => gathered,
        Err(why) => return refuse(bodies.not_read(&why, limit), stream),
    };
    at_work();
    let gathered = match bodies.unpacked(packing, gathered, limit).await {
        Ok(gathered) => gathered,
        Err(answer) => return answer,
    };
    let (bytes, share) = gathered.finish();
    parts.headers.remove(header::CONTENT_ENCODING);
    parts.headers.remove(header::TRANSFER_ENCODING);
    parts.headers.insert(header::CONTENT_LENGTH, bytes.len().into());
    let held = HeldBody(Arc::new(share));
    parts.extensions.insert(held.clone());
    let answer = next
        .run(Request::from_parts(parts, Body::from(Bytes::from(bytes))))
        .await;
    drop(held);
    answer
}

impl Bodies {
    fn limit_of(&self, path: &str) -> usize {
        match path {
            "/v1/events" => self.largest,
            "/v1/sql" => self.largest_statement,
            "/v1/duty" | "/v1/duty/preview" | "/v1/hotline/rules" => HOTLINE_DATA,
            path if path.starts_with("/v1/calendars/") => HOTLINE_DATA,
            _ => CONTROL_BODY,
        }
    }

    async fn gather(&self, stream: &mut BodyDataStream, limit: usize) -> Result<Gathered, NotRead> {
        let mut gathered = Gathered::new(&self.budget, limit);
        let end = Instant::now() + self.whole;
        loop {
            let until = end.min(Instant::now() + self.pause);
            match timeout_at(until, stream.next()).await {
                Err(_) => return Err(NotRead::Slow),
                Ok(None) => return Ok(gathered),
                Ok(Some(Err(_))) => return Err(NotRead::Broken),
                Ok(Some(Ok(bytes))) => gathered.extend(&bytes).map_err(NotRead::Full)?,
            }
        }
    }

    /// On a thread of its own: it is work.
    async fn unpacked(&self, packing: Packing, packed: Gathered, limit: usize) -> Result<Gathered, Response> {
        if packing == Packing::None || packed.is_empty() {
            return Ok(packed);
        }
        let budget = Arc::clone(&self.budget);
        let unpacked = tokio::task::spawn_blocking(move || {
            let (bytes, _share) = packed.finish();
            unpack(packing, &bytes, limit, &budget)
        });
        match unpacked.await {
            Ok(Ok(gathered)) => Ok(gathered),
            Ok(Err(NotUnpacked::Full(full))) => Err(self.not_read(&NotRead::Full(full), limit)),
            Ok(Err(NotUnpacked::Corrupt(why))) => {
                self.counters.refuse("body_corrupt");
                let why = format!("the body is not what its Content-Encoding says: {why}; pack it again");
                Err(Problem::bad_request(why).into_response())
            }
            Err(error) => Err(Problem::internal(&error).into_response()),
        }
    }

    fn not_read(&self, why: &NotRead, limit: usize) -> Response {
        let (reason, problem) = match why {
            NotRead::Full(Full::Limit) => (
                "body_too_large",
                Problem::too_large(format!(
                    "the body is larger than {limit} bytes, the most that this path takes (of events: server.max_body); \
                     send it in parts"
                )),
            ),
            NotRead::Full(Full::Budget) => (
                "body_memory",
                Problem::unavailable(
                    "other requests have the memory for bodies (server.body_memory); send it again",
                    RETRY_AFTER_SECONDS,
                ),
            ),
            NotRead::Slow => (
                "body_timeout",
                Problem::new(
                    Kind::RequestTimeout,
                    format!(
                        "pauses may be {} s long and the whole body may take {} s (server.body_pause, server.body_timeout); \
                         send it again, in smaller parts",
                        self.pause.as_secs(),
                        self.whole.as_secs()
                    ),
                ),
            ),
            NotRead::Broken => (
                "body_broken",
                Problem::bad_request("the body ended before its end; send it again"),
            ),
        };
        self.counters.refuse(reason);
        problem.into_response()
    }
}
