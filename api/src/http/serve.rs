//! The loop that takes connections, and what each of them may do.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connections::{Admitted, Connections, Slot};
use super::patience::Patient;
use crate::problem::Problem;

/// Largest head of a request, and most bytes of it that are read ahead: a statement in a URL fits.
const HEAD: usize = 64 << 10;
/// Pause after the system gave no connection for want of something that does not come at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes that the system may hold unsent: it asks for more when it has half of them.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT: u32 = 128 << 10;
/// Such errors are logged once in so long.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);
/// After so long another connection may be let go.
const RETRY_AFTER_SECONDS: u32 = 1;
const NO_ROOM: &str = "as many connections as may be (server.max_connections) are at work; try again";

/// How long the other side may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionSettings {
    /// For the head of the next request, idle time included.
    pub(crate) header_timeout: Duration,
    /// For reading anything of an answer that waits to be sent.
    pub(crate) write_timeout: Duration,
}

/// Serves `router` until `stop` says so and the requests that are open then are answered.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    connections: Arc<Connections>,
    settings: ConnectionSettings,
    mut stop: watch::Receiver<bool>,
) {
    let mut tasks = JoinSet::new();
    let mut complaints = Complaints::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // An error means that the server itself is gone.
            _ = stop.wait_for(|stop| *stop) => break,
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection ended by a defect");
                }
                continue;
            }
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                connections.counters().accept_errors.inc();
                complaints.add(&error);
                if !is_of_that_connection(&error) {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        if let Some(admitted) = connections.admit().await {
            let talk = converse(
                stream,
                peer,
                admitted,
                Arc::clone(&connections),
                router.clone(),
                settings,
                stop.clone(),
            );
            tasks.spawn(talk);
        } else {
            connections.counters().close("no_room");
            turn_away(stream);
        }
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    admitted: Admitted,
    connections: Arc<Connections>,
    router: Router,
    settings: ConnectionSettings,
    mut stop: watch::Receiver<bool>,
) {
    let slot = Arc::clone(&admitted.slot);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(Arc::clone(&slot));
        let (answer, slot) = (router.call(request), Arc::clone(&slot));
        async move {
            let answer = answer.await?;
            Ok::<_, std::convert::Infallible>(answer.map(|body| InAnswer { body, slot }))
        }
    });
    let counters = connections.counters();
    hand_over_little(&stream);
    let stream = Patient::new(stream, settings.write_timeout, counters.clone());
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(HEAD);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stopping = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                match result {
                    Err(error) if error.is_timeout() => counters.close("header_timeout"),
                    Err(error) => tracing::debug!(%peer, %error, "a connection ended"),
                    Ok(()) => {}
                }
                return;
            }
            () = admitted.slot.must_leave() => return,
            _ = stop.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Lets the system hold only so much that it has not sent: otherwise a reader that is slow seems not to read at all, until a
/// third of several megabytes is gone.
fn hand_over_little(stream: &TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT) {
        tracing::debug!(%error, "the system holds as much as it likes of what it has not sent");
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = stream;
}

/// The body of an answer; when it is given, it is the client's turn.
struct InAnswer {
    body: Body,
    slot: Arc<Slot>,
}

impl HttpBody for InAnswer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for InAnswer {
    fn drop(&mut self) {
        self.slot.waits();
    }
}

/// Whether the error tells of one connection that is gone already; others tell of the machine.
fn is_of_that_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// Answers without waiting for anything: what does not go out at once does not.
fn turn_away(stream: TcpStream) {
    let problem = Problem::unavailable(NO_ROOM, RETRY_AFTER_SECONDS);
    let status = problem.status();
    let body = Value::Object(problem.into_body()).to_string();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\nretry-after: {RETRY_AFTER_SECONDS}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    if let Ok(mut stream) = stream.into_std() {
        // It is closed in any case.
        let _ = stream.write_all(answer.as_bytes());
    }
}

/// Errors of the listener, told now and then.
#[derive(Default)]
struct Complaints {
    since_last: u64,
    last: Option<Instant>,
}

impl Complaints {
    fn add(&mut self, error: &io::Error) {
        self.since_last += 1;
        if self.last.is_none_or(|last| last.elapsed() >= COMPLAIN_EVERY) {
            tracing::error!(%error, times = self.since_last, "the system gives no connection; it is tried again");
            self.since_last = 0;
            self.last = Some(Instant::now());
        }
    }
}
