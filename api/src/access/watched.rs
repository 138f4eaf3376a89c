//! An answer is watched while it is made and read: it ends when what its reader was let in by has ended.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};

use super::access::{Access, Stay};
use super::rates::OpenStream;
use crate::problem::Problem;

/// Answers as long as what the identity rests on is good: then a query, a stream and a large answer end.
pub(super) async fn while_good(
    access: Arc<Access>,
    stay: Stay,
    stream: Option<OpenStream>,
    answer: impl Future<Output = Response>,
) -> Response {
    if matches!(stay, Stay::Always) {
        return answer.await.map(|body| match stream {
            Some(stream) => Body::new(Watched {
                body,
                ends: Box::pin(std::future::pending()),
                _stream: Some(stream),
            }),
            None => body,
        });
    }
    let mut ends: Ends = Box::pin(access.ends(stay));
    tokio::select! {
        // What ends its own credential is answered all the same.
        biased;
        answer = answer => answer.map(|body| {
            // What is here whole needs no watching.
            if body.size_hint().exact().is_some() {
                return body;
            }
            Body::new(Watched { body, ends, _stream: stream })
        }),
        () = &mut ends => {
            Problem::unauthenticated("this credential has ended while the request ran; send another").into_response()
        }
    }
}

type Ends = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A body that breaks off when what its reader was let in by has ended.
struct Watched {
    body: Body,
    ends: Ends,
    _stream: Option<OpenStream>,
}

/// So that nobody takes what was sent for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the credential of this answer's reader has ended")]
struct CredentialEnded;

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ends.as_mut().poll(context).is_ready() {
            self.body = Body::empty();
            self.ends = Box::pin(std::future::pending());
            return Poll::Ready(Some(Err(axum::Error::new(CredentialEnded))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
