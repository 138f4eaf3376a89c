//! An answer to a request whose body nobody wants.
//!
//! A connection that is closed while the other side still sends is reset, and the answer may be lost on the way. So the answer
//! goes out at once, and what still comes is read and thrown away for a moment before the connection is closed.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures::StreamExt;
use hyper::body::Frame;
use tokio::time::Sleep;

/// So long, and so many bytes, are thrown away.
const LONGEST: Duration = Duration::from_secs(5);
const MOST_BYTES: usize = 256 << 20;

struct Lingering {
    answer: Body,
    rest: Option<BodyDataStream>,
    left: usize,
    end: Pin<Box<Sleep>>,
}

/// `answer`, its end held back until the rest of the request has come or was waited for long enough.
pub(super) fn linger(answer: Response, rest: BodyDataStream) -> Response {
    let (mut parts, answer) = answer.into_parts();
    parts
        .headers
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    // The length would end the answer before the body has.
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = Lingering {
        answer,
        rest: Some(rest),
        left: MOST_BYTES,
        end: Box::pin(tokio::time::sleep(LONGEST)),
    };
    Response::from_parts(parts, Body::new(body))
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match Pin::new(&mut self.answer).poll_frame(context) {
            Poll::Ready(None) => {}
            other => return other,
        }
        let this = &mut *self;
        while let Some(rest) = &mut this.rest {
            match rest.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(bytes))) if bytes.len() < this.left => this.left -= bytes.len(),
                Poll::Ready(_) => this.rest = None,
                Poll::Pending if this.end.as_mut().poll(context).is_ready() => this.rest = None,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(None)
    }
}
