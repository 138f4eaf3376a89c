//! A connection whose other side must read now and then.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::counters::HttpCounters;

/// Ends with an error when for `longest` not one byte could be written that waits to be. One that reads slowly makes room
/// each time, and goes on for as long as it likes.
pub(super) struct Patient<S> {
    stream: S,
    longest: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    counters: HttpCounters,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, longest: Duration, counters: HttpCounters) -> Self {
        Self {
            stream,
            longest,
            stalled: None,
            counters,
        }
    }

    fn judge<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let longest = self.longest;
        let end = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(longest)));
        if end.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.counters.close("write_timeout");
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client does not read",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_slow_reader_gets_all_and_one_that_never_reads_is_cut() {
        let counters = HttpCounters::new().unwrap();
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut patient = Patient::new(ours, Duration::from_secs(1), counters.clone());
        let reads = tokio::spawn(async move {
            let mut bytes = [0; 8];
            // Three times as long as one may read nothing.
            for _ in 0..30 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                theirs.read_exact(&mut bytes).await.unwrap();
            }
            theirs
        });
        patient.write_all(&[1; 240]).await.unwrap();
        let _theirs = reads.await.unwrap();
        let error = patient.write_all(&[1; 800]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(counters.closed.with_label_values(&["write_timeout"]).get(), 1);
    }
}
