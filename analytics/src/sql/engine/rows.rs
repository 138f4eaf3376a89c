//! The rows of a query on their way to who asked.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::execution::RecordBatchStream;
use futures::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::running::Ticket;
use crate::sql::error::SqlError;

/// Ends a task with its holder.
pub(super) struct AbortOnDrop(pub(super) JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The rows of a query, cut at the limit. Dropping it stops the query.
pub(super) struct Rows {
    pub(super) schema: SchemaRef,
    pub(super) received: mpsc::Receiver<Result<RecordBatch, SqlError>>,
    pub(super) task: JoinHandle<Result<(), SqlError>>,
    pub(super) ticket: Arc<Ticket>,
    pub(super) _watchdog: AbortOnDrop,
    pub(super) left: Option<usize>,
    pub(super) truncated: Arc<AtomicBool>,
    pub(super) ended: bool,
}

impl Rows {
    /// Why a task ended that gave no reason of its own.
    pub(super) fn reason(&self) -> SqlError {
        self.ticket
            .stopped()
            .cloned()
            .unwrap_or_else(|| SqlError::internal("the task of the query panicked or was lost"))
    }

    fn end(&mut self) -> Poll<Option<Result<RecordBatch, SqlError>>> {
        self.ended = true;
        self.task.abort();
        self.received.close();
        Poll::Ready(None)
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stream for Rows {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let polled = this.poll_rows(context);
        match &polled {
            Poll::Ready(Some(Ok(batch))) => this.ticket.add_rows(batch.num_rows()),
            Poll::Ready(None) => this.ticket.ends(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled.map_err(|error| this.ticket.fails(error).into_datafusion())
    }
}

impl Rows {
    fn poll_rows(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch, SqlError>>> {
        let this = self;
        if this.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(reason) = this.ticket.poll_stopped(context) {
            let _ = this.end();
            return Poll::Ready(Some(Err(reason)));
        }
        match this.received.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Err(error))) => {
                let _ = this.end();
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(Some(Ok(batch))) => match this.left {
                Some(left) if batch.num_rows() > left => {
                    this.truncated.store(true, Ordering::Relaxed);
                    let end = this.end();
                    if left == 0 {
                        end
                    } else {
                        Poll::Ready(Some(Ok(batch.slice(0, left))))
                    }
                }
                left => {
                    this.left = left.map(|left| left - batch.num_rows());
                    Poll::Ready(Some(Ok(batch)))
                }
            },
            Poll::Ready(None) => {
                // The channel closes at the query's end, or because its task was stopped or panicked.
                match Pin::new(&mut this.task).poll(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(Ok(()))) => {
                        this.ended = true;
                        Poll::Ready(None)
                    }
                    Poll::Ready(Ok(Err(error))) => {
                        this.ended = true;
                        Poll::Ready(Some(Err(error)))
                    }
                    Poll::Ready(Err(_)) => {
                        this.ended = true;
                        Poll::Ready(Some(Err(this.reason())))
                    }
                }
            }
        }
    }
}

impl RecordBatchStream for Rows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
