//! What has started, so that it can be ended in the opposite order.

use std::pin::Pin;

use tokio::task::JoinHandle;

use super::StopError;

type End = Pin<Box<dyn Future<Output = Result<(), StopError>> + Send>>;

/// The stages that have started, each with what ends it: a start that is refused half way ends those that there are.
#[derive(Default)]
pub(super) struct Started {
    ends: Vec<(&'static str, End)>,
}

impl Started {
    /// Notes that a stage has started. Nothing of `end` is done before its turn.
    pub(super) fn push(
        &mut self,
        stage: &'static str,
        end: impl Future<Output = Result<(), StopError>> + Send + 'static,
    ) {
        self.ends.push((stage, Box::pin(end)));
    }

    /// The same for a task, which ends by being told to.
    pub(super) fn push_task(&mut self, stage: &'static str, task: JoinHandle<()>) {
        self.push(stage, async move {
            task.abort();
            // How it ended says nothing, but for a defect of its own.
            if let Err(error) = task.await
                && error.is_panic()
            {
                tracing::error!(stage, "had failed inside");
            }
            Ok(())
        });
    }

    /// Ends all stages, the newest first, whatever becomes of one of them.
    ///
    /// # Errors
    /// The first failure.
    pub(super) async fn stop(mut self) -> Result<(), StopError> {
        let mut outcome = Ok(());
        while let Some((stage, end)) = self.ends.pop() {
            tracing::debug!(stage, "stopping");
            outcome = outcome.and(end.await);
        }
        outcome
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use std::sync::{Arc, Mutex};

    use riskgrid_ingest::pipeline::SaveError;

    use super::*;

    #[tokio::test]
    async fn stages_end_in_the_opposite_order_and_a_failure_ends_none_early() {
        let ended = Arc::new(Mutex::new(Vec::new()));
        let mut started = Started::default();
        for stage in ["state", "ingest", "sources", "http"] {
            let ended = Arc::clone(&ended);
            started.push(stage, async move {
                ended.lock().unwrap().push(stage);
                match stage {
                    "ingest" | "sources" => Err(SaveError::Decisions(stage.into()).into()),
                    _ => Ok(()),
                }
            });
        }
        assert!(ended.lock().unwrap().is_empty());
        let failure = started.stop().await.unwrap_err();
        assert!(failure.to_string().ends_with("sources"), "{failure}");
        assert_eq!(*ended.lock().unwrap(), ["http", "sources", "ingest", "state"]);
    }
}
