//! The groups of one transaction: taken out of memory, or read from the database, and put back when it is committed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use riskgrid_analytics::incidents::{Group, StoredIncident, StoredMember};
use riskgrid_ingest::EventTime;

use super::super::alerts::Alert;
use super::super::{Decisions, DecisionsError};
use super::write::store_changes;
use crate::database::{Connection, read_from_row};

/// A group within a domain, whose clock it follows.
pub(super) type GroupKey = (String, String);

/// A group as it was at a version of the database.
struct Known {
    version: i64,
    group: Group,
}

/// What is remembered between transactions: groups with open incidents.
#[derive(Default)]
pub(in super::super) struct Gathered(Mutex<HashMap<GroupKey, Known>>);

impl Gathered {
    fn take(&self, key: &GroupKey) -> Option<Known> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(key)
    }

    fn put_back(&self, groups: HashMap<GroupKey, Known>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(groups.into_iter().filter(|(_, known)| !known.group.is_empty()));
    }

    /// The groups in which something is over at a time, by the clock of each domain.
    pub(super) fn due(&self, now_of: impl Fn(&str) -> Option<EventTime>) -> Vec<(GroupKey, EventTime)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = known.iter().filter_map(|(key, known)| {
            let now = now_of(&key.1)?;
            let next = known.group.next_due()?;
            (next <= now).then(|| (key.clone(), now))
        });
        due.collect()
    }
}

/// The groups that one transaction works on. Dropped without [`Gathering::keep`], as the transaction is without a commit,
/// they are read anew next time.
pub(in super::super) struct Gathering {
    decisions: Decisions,
    groups: HashMap<GroupKey, Known>,
}

struct ClockRow {
    clock: i64,
    version: i64,
}

read_from_row!(ClockRow { clock, version });

struct OpenRow {
    id: String,
    opened_at: i64,
    next_part: i64,
}

read_from_row!(OpenRow {
    id,
    opened_at,
    next_part
});

struct MemberRow {
    id: String,
    incident: String,
    rule_id: String,
    cell: Option<i64>,
    fired_at: i64,
    resolved_at: Option<i64>,
    part: Option<i64>,
}

read_from_row!(MemberRow {
    id,
    incident,
    rule_id,
    cell,
    fired_at,
    resolved_at,
    part
});

impl Gathering {
    pub(in super::super) fn new(decisions: &Decisions) -> Self {
        Self {
            decisions: decisions.clone(),
            groups: HashMap::new(),
        }
    }

    /// An alert begins: it becomes one of an incident, which it then names, and what it is gathered by.
    pub(in super::super) async fn fire(
        &mut self,
        connection: &mut Connection,
        alert: &mut Alert,
        own_group: Option<&str>,
    ) -> Result<(), DecisionsError> {
        let settings = self.decisions.incident_settings();
        let name = settings
            .group_of(
                own_group,
                alert.layer.as_deref().unwrap_or_default(),
                &alert.rule_id,
            )
            .to_owned();
        let cover = settings.cover_of(&alert.rule_id, alert.cell, self.decisions.places());
        let key = (
            name,
            self.decisions
                .domain_of(alert.layer.as_deref().unwrap_or_default()),
        );
        let group = self.group(connection, &key).await?;
        let at = EventTime::from_micros(alert.at);
        group.fire(&alert.id, at, EventTime::from_micros(alert.fired_at), &cover);
        alert.incident = group.incident_of(&alert.id).map(str::to_owned);
        self.store(connection, &key).await
    }

    /// An alert has ended.
    pub(in super::super) async fn end(
        &mut self,
        connection: &mut Connection,
        alert: &Alert,
    ) -> Result<(), DecisionsError> {
        let (Some(incident), Some(ended_at)) = (&alert.incident, alert.resolved_at) else {
            return Ok(());
        };
        let of: Option<GroupRow> = sqlx::query_as("SELECT group_name, domain FROM incidents WHERE id = $1")
            .bind(incident)
            .fetch_optional(&mut *connection)
            .await?;
        let Some(GroupRow { group_name, domain }) = of else {
            return Ok(());
        };
        let key = (group_name, domain);
        let group = self.group(connection, &key).await?;
        group.end(&alert.id, EventTime::from_micros(ended_at));
        self.store(connection, &key).await
    }

    /// A domain's clock has come to a time.
    pub(super) async fn advance(
        &mut self,
        connection: &mut Connection,
        key: GroupKey,
        now: EventTime,
    ) -> Result<(), DecisionsError> {
        self.group(connection, &key).await?.advance(now);
        self.store(connection, &key).await
    }

    /// Remembers the groups as they are now: to be called once the transaction is committed.
    pub(in super::super) fn keep(self) {
        self.decisions.gathered().put_back(self.groups);
    }

    async fn store(&mut self, connection: &mut Connection, key: &GroupKey) -> Result<(), DecisionsError> {
        let group = self.group(connection, key).await?;
        let (changes, clock) = (group.take_changes(), group.clock());
        store_changes(connection, key, clock, &changes).await
    }

    /// The group, as the database has it.
    async fn group(
        &mut self,
        connection: &mut Connection,
        key: &GroupKey,
    ) -> Result<&mut Group, DecisionsError> {
        if !self.groups.contains_key(key) {
            let ClockRow { clock, version } = lock(connection, key).await?;
            let known = self.decisions.gathered().take(key);
            let known = match known.filter(|known| known.version + 1 == version) {
                Some(known) => Known { version, ..known },
                None => Known {
                    version,
                    group: self.read(connection, key, EventTime::from_micros(clock)).await?,
                },
            };
            self.groups.insert(key.clone(), known);
        }
        let known = self
            .groups
            .get_mut(key)
            .ok_or_else(|| DecisionsError::from(sqlx::Error::RowNotFound))?;
        Ok(&mut known.group)
    }

    async fn read(
        &self,
        connection: &mut Connection,
        (name, domain): &GroupKey,
        clock: EventTime,
    ) -> Result<Group, DecisionsError> {
        let settings = self.decisions.incident_settings();
        let open: Vec<OpenRow> = sqlx::query_as(
            "SELECT id, opened_at, next_part FROM incidents WHERE group_name = $1 AND domain = $2 AND state = 'open'",
        )
        .bind(name)
        .bind(domain)
        .fetch_all(&mut *connection)
        .await?;
        let gap = i64::try_from(settings.reach.gap.as_micros()).unwrap_or(i64::MAX);
        let active_since = clock.micros().saturating_sub(gap);
        let mut members = Vec::new();
        for incident in &open {
            let rows: Vec<MemberRow> = sqlx::query_as(
                "SELECT id, incident, rule_id, cell, fired_at, resolved_at, part FROM alerts
                    WHERE incident = $1 AND (resolved_at IS NULL OR resolved_at > $2) ORDER BY fired_at, id",
            )
            .bind(&incident.id)
            .bind(active_since)
            .fetch_all(&mut *connection)
            .await?;
            members.extend(rows);
        }
        let incidents = open.into_iter().map(|row| StoredIncident {
            id: row.id,
            opened_at: EventTime::from_micros(row.opened_at),
            next_part: u32::try_from(row.next_part).unwrap_or(u32::MAX),
        });
        let members = members.into_iter().map(|row| StoredMember {
            cover: settings.cover_of(
                &row.rule_id,
                row.cell.map(i64::cast_unsigned),
                self.decisions.places(),
            ),
            alert: row.id,
            incident: row.incident,
            fired_at: EventTime::from_micros(row.fired_at),
            ended_at: row.resolved_at.map(EventTime::from_micros),
            part: row.part.and_then(|part| u32::try_from(part).ok()),
        });
        Ok(Group::restore(name, settings.reach, clock, incidents, members))
    }
}

/// Makes the group this transaction's own: others that work on it wait, and see by the version that it changed.
async fn lock(connection: &mut Connection, (name, domain): &GroupKey) -> Result<ClockRow, DecisionsError> {
    sqlx::query(
        "INSERT INTO incident_groups (group_name, domain, clock, version) VALUES ($1, $2, $3, 0)
            ON CONFLICT (group_name, domain) DO NOTHING",
    )
    .bind(name)
    .bind(domain)
    .bind(i64::MIN)
    .execute(&mut *connection)
    .await?;
    let row = sqlx::query_as(
        "UPDATE incident_groups SET version = version + 1 WHERE group_name = $1 AND domain = $2
            RETURNING clock, version",
    )
    .bind(name)
    .bind(domain)
    .fetch_one(connection)
    .await?;
    Ok(row)
}

impl Decisions {
    /// Closes what is over by the clocks of the domains. Answers how many groups were looked at.
    ///
    /// # Errors
    /// The database's.
    pub async fn close_incidents(
        &self,
        now_of: impl Fn(&str) -> Option<EventTime>,
    ) -> Result<usize, DecisionsError> {
        let due = self.gathered().due(now_of);
        let looked_at = due.len();
        for (key, now) in due {
            let mut transaction = self.begin().await?;
            let mut gathering = Gathering::new(self);
            gathering.advance(&mut transaction, key, now).await?;
            transaction.commit().await?;
            gathering.keep();
        }
        Ok(looked_at)
    }

    /// Reads the groups with open incidents, and gathers open alerts that an older riskgrid began.
    pub async fn gather_open(&self) -> Result<(), DecisionsError> {
        let mut transaction = self.begin().await?;
        let mut gathering = Gathering::new(self);
        let open: Vec<GroupRow> =
            sqlx::query_as("SELECT DISTINCT group_name, domain FROM incidents WHERE state = 'open'")
                .fetch_all(&mut *transaction)
                .await?;
        for GroupRow { group_name, domain } in open {
            gathering.group(&mut transaction, &(group_name, domain)).await?;
        }
        let alone: Vec<super::super::alerts::AlertRow> = sqlx::query_as(
            "SELECT * FROM alerts WHERE incident IS NULL AND resolved_at IS NULL ORDER BY fired_at, id",
        )
        .fetch_all(&mut *transaction)
        .await?;
        for row in alone {
            let mut alert = row.into_alert()?;
            alert.at = alert.fired_at;
            gathering.fire(&mut transaction, &mut alert, None).await?;
        }
        transaction.commit().await?;
        gathering.keep();
        Ok(())
    }
}

struct GroupRow {
    group_name: String,
    domain: String,
}

read_from_row!(GroupRow { group_name, domain });
