//! What access writes down beside requests: who came in, who was refused, when keys and sessions were used; and what it
//! takes up of other nodes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{ANONYMOUS, Access, DatabaseError, Deed, LAST_USED_STEP, StoredGrant};

/// How often what is to be written is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often uses are written down.
const NOTE_EVERY: Duration = Duration::from_mins(1);
/// How often it is looked what other nodes did to keys and sessions: within 5 s it holds here too.
const OTHERS_FOLLOWED_EVERY: Duration = Duration::from_secs(2);

impl Access {
    /// Writes what is left to be written, at the end.
    pub async fn finish(&self) {
        self.tell_refusals(true).await;
        self.note_uses(1).await;
    }

    async fn tell_refusals(&self, is_the_end: bool) {
        for row in self.refusals.due(Instant::now(), is_the_end) {
            let mut deed = Deed::of_the_system("access.refused")
                .times(row.count)
                .with(row.detail);
            ANONYMOUS.clone_into(&mut deed.who);
            "http".clone_into(&mut deed.via);
            deed.address = row.client.map(|client| client.to_string()).unwrap_or_default();
            self.write(&deed).await;
        }
    }

    async fn write(&self, deed: &Deed) {
        if let Err(error) = self.database.audit(deed, self.now()).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                action = deed.action,
                count = deed.count,
                "the audit misses a row"
            );
        }
    }

    /// Takes up what other nodes did to keys and sessions.
    async fn follow_other_nodes(&self) {
        let followed = async {
            let keys = self.database.keys().await?;
            let keys_changed = self.keys.follow(&keys);
            Ok::<_, DatabaseError>(self.sessions.follow(&self.database, self.now()).await? || keys_changed)
        };
        match followed.await {
            Ok(true) => {
                self.changed.send_replace(());
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what other nodes did to keys and sessions is not taken up yet"
            ),
        }
    }

    async fn note_uses(&self, step: i64) {
        let uses = self.keys.all().into_iter().filter_map(|key| {
            let used = key.last_used()?;
            (used - key.row.last_used_at.unwrap_or(0) >= step).then(|| (key.row.clone(), used))
        });
        let rows: Vec<StoredGrant> = uses
            .map(|(row, used)| StoredGrant {
                last_used_at: Some(used),
                ..row
            })
            .collect();
        let noted: Vec<_> = rows
            .iter()
            .map(|row| (row.id.clone(), row.last_used_at.unwrap_or(0)))
            .collect();
        let written = if noted.is_empty() {
            Ok(())
        } else {
            self.database.note_uses(&noted).await
        };
        match written {
            Ok(()) => self.keys.put(&rows),
            Err(error) => tracing::warn!(%error, "when keys were used is not noted yet"),
        }
        if let Err(error) = self.sessions.keep(&self.database, self.now()).await {
            tracing::warn!(%error, "when sessions were used is not noted yet");
        }
    }
}

/// Writes who came in, who was refused and when keys were used, until the runtime ends.
pub(super) async fn write_down(access: Arc<Access>, mut sign_ins: mpsc::Receiver<Deed>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut noted, mut followed) = (Instant::now(), Instant::now());
    loop {
        tokio::select! {
            Some(deed) = sign_ins.recv() => access.write(&deed).await,
            _ = ticks.tick() => {
                access.tell_refusals(false).await;
                if access.database.is_shared() && followed.elapsed() >= OTHERS_FOLLOWED_EVERY {
                    followed = Instant::now();
                    access.follow_other_nodes().await;
                }
                if noted.elapsed() >= NOTE_EVERY {
                    noted = Instant::now();
                    access.note_uses(LAST_USED_STEP).await;
                }
            }
        }
    }
}
