//! The loop that takes connections, and what each of them may do.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::header::{HOST, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connections::{Admitted, Connections, Slot};
use super::counters::HttpCounters;
use super::patience::Patient;
use super::tls::{ClientNames, HTTP_2, OverTls, Tls, Wire};
use crate::problem::Problem;

/// Largest head of a request, and most bytes of it that are read ahead: a statement in a URL fits.
const HEAD: usize = 64 << 10;
/// Requests that one connection may have at work at once, in HTTP/2.
const STREAMS: u32 = 128;
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
    tls: Option<Tls>,
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
            let conversation = Conversation {
                peer,
                admitted,
                counters: connections.counters().clone(),
                settings,
                stop: stop.clone(),
            };
            tasks.spawn(conversation.hold(stream, tls.clone(), router.clone()));
        } else {
            connections.counters().close("no_room");
            turn_away(stream);
        }
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

/// One connection and what it may do.
struct Conversation {
    peer: SocketAddr,
    admitted: Admitted,
    counters: HttpCounters,
    settings: ConnectionSettings,
    stop: watch::Receiver<bool>,
}

impl Conversation {
    async fn hold(self, stream: TcpStream, tls: Option<Tls>, router: Router) {
        hand_over_little(&stream);
        let wire: Wire = Patient::new(stream, self.settings.write_timeout, self.counters.clone());
        let meeting = Meeting {
            peer: self.peer,
            slot: Arc::clone(&self.admitted.slot),
            is_over_tls: false,
            names: None,
        };
        let Some(tls) = tls else {
            return self.speak_http_1(wire, meeting, router).await;
        };
        let accepted = tokio::select! {
            accepted = tls.accept(wire, self.settings.header_timeout) => accepted,
            () = self.admitted.slot.must_leave() => return,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                if error.kind() == io::ErrorKind::TimedOut {
                    self.counters.close("header_timeout");
                }
                tracing::debug!(peer = %self.peer, %error, "a connection did not come to speak TLS");
                return;
            }
        };
        let meeting = Meeting {
            is_over_tls: true,
            names: ClientNames::of(&stream),
            ..meeting
        };
        if stream.get_ref().1.alpn_protocol() == Some(HTTP_2) {
            self.speak_http_2(stream, meeting, router).await;
        } else {
            self.speak_http_1(stream, meeting, router).await;
        }
    }

    async fn speak_http_1<S>(self, stream: S, meeting: Meeting, router: Router)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let router = TowerToHyperService::new(router);
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            meeting.introduce(&mut request);
            request.extensions_mut().insert(Arc::clone(&meeting.slot));
            let (answer, turn) = (router.call(request), Turn::OfOne(Arc::clone(&meeting.slot)));
            async move { Ok::<_, Infallible>(answer.await?.map(|body| InAnswer { body, _turn: turn })) }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.header_timeout)
            .max_buf_size(HEAD);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        self.drive(
            connection,
            hyper::server::conn::http1::Connection::graceful_shutdown,
        )
        .await;
    }

    /// Several requests at a time: it is the other side's turn when none is at work.
    async fn speak_http_2<S>(self, stream: S, meeting: Meeting, router: Router)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let router = TowerToHyperService::new(router);
        let at_work = Arc::new(AtomicUsize::new(0));
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            meeting.introduce(&mut request);
            as_in_http_1(&mut request);
            let turn = Turn::of_many(&meeting.slot, &at_work);
            let answer = router.call(request);
            async move { Ok::<_, Infallible>(answer.await?.map(|body| InAnswer { body, _turn: turn })) }
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(self.settings.header_timeout)
            .keep_alive_timeout(self.settings.header_timeout)
            .max_header_list_size(HEAD as u32)
            .max_concurrent_streams(STREAMS);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        self.drive(
            connection,
            hyper::server::conn::http2::Connection::graceful_shutdown,
        )
        .await;
    }

    /// Until it ends by itself, has to leave, or is finished after the server was told to stop.
    async fn drive<C: Future<Output = hyper::Result<()>>>(mut self, connection: C, finish: fn(Pin<&mut C>)) {
        let mut connection = pin!(connection);
        let mut stopping = false;
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    match result {
                        Err(error) if error.is_timeout() => self.counters.close("header_timeout"),
                        Err(error) => tracing::debug!(peer = %self.peer, %error, "a connection ended"),
                        Ok(()) => {}
                    }
                    return;
                }
                () = self.admitted.slot.must_leave() => return,
                _ = self.stop.wait_for(|stop| *stop), if !stopping => {
                    stopping = true;
                    finish(connection.as_mut());
                }
            }
        }
    }
}

/// Who is at the other side.
struct Meeting {
    peer: SocketAddr,
    slot: Arc<Slot>,
    is_over_tls: bool,
    /// The names in the certificate that was shown, if one was.
    names: Option<ClientNames>,
}

impl Meeting {
    fn introduce(&self, request: &mut hyper::Request<Incoming>) {
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(self.peer));
        if self.is_over_tls {
            extensions.insert(OverTls);
        }
        if let Some(names) = &self.names {
            extensions.insert(names.clone());
        }
    }
}

/// HTTP/2 has the name of the server in the target; all else here reads it as `Host`.
fn as_in_http_1(request: &mut hyper::Request<Incoming>) {
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str().to_owned());
    if let Some(authority) = authority
        && !request.headers().contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(&authority)
    {
        request.headers_mut().insert(HOST, host);
    }
}

/// Whose turn it is, until an answer was given.
enum Turn {
    /// Of a connection with one request at a time.
    OfOne(Arc<Slot>),
    /// Of a connection with several.
    OfMany(Arc<Slot>, Arc<AtomicUsize>),
}

impl Turn {
    fn of_many(slot: &Arc<Slot>, at_work: &Arc<AtomicUsize>) -> Self {
        at_work.fetch_add(1, Ordering::Relaxed);
        slot.at_work();
        Self::OfMany(Arc::clone(slot), Arc::clone(at_work))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        match self {
            Self::OfOne(slot) => slot.waits(),
            Self::OfMany(slot, at_work) => {
                if at_work.fetch_sub(1, Ordering::Relaxed) == 1 {
                    slot.waits();
                }
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
    _turn: Turn,
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
