//! What a run has gone through, from the rows that are kept for people: every
//! attempt, and the events of a job.

use std::time::Duration;

use gjob_core::run::Attempt;
use gjob_core::{Epoch, Event, HostLabel, Timestamp};
use rusqlite::Row;

use super::load::{invalid, job_attempt, timestamp};
use super::{Store, StoreError};

/// When a run had no manager, as far as its events tell: from a manager's last word until
/// the next one began.
#[derive(Clone, Debug, Default)]
pub struct Gaps(Vec<(Timestamp, Timestamp)>);

impl Gaps {
    /// How long that was in the first `took` of a run.
    #[must_use]
    pub fn within(&self, created: Timestamp, took: Duration) -> Duration {
        let end = created.0.saturating_add(took.as_millis() as u64);
        let one = |(from, to): &(Timestamp, Timestamp)| to.0.min(end).saturating_sub(from.0);
        Duration::from_millis(self.0.iter().map(one).sum())
    }
}

impl Store {
    /// When the run had no manager; until `now` if it has none.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn gaps(&self, managed: bool, now: Timestamp) -> Result<Gaps, StoreError> {
        let mut gaps = Vec::new();
        // Every manager has an epoch of its own.
        if self.epoch()? > Epoch(1) {
            let sql = "SELECT began.at AS until,
                   (SELECT at FROM events WHERE seq < began.seq ORDER BY seq DESC LIMIT 1) AS since
                FROM events AS began WHERE event LIKE '%\"event\":\"run-began\"%' ORDER BY seq";
            gaps = self.all(sql, |row| {
                let since = row.get::<_, Option<i64>>("since")?.map(timestamp);
                Ok(since.zip(Some(timestamp(row.get("until")?))))
            })?;
        }
        let last = if managed { None } else { self.last_event()? };
        Ok(Gaps(gaps.into_iter().flatten().chain(last.map(|last| (last, now))).collect()))
    }

    /// When a job last ended, if any has.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn last_end(&self) -> Result<Option<Timestamp>, StoreError> {
        let found = self.all("SELECT max(ended) AS last FROM progress", |row| {
            Ok(row.get::<_, Option<i64>>("last")?.map(timestamp))
        })?;
        Ok(found.into_iter().next().flatten())
    }

    /// When a manager first stopped after the last job had ended.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn over_at(&self) -> Result<Option<Timestamp>, StoreError> {
        // There is one such event for each manager: the later ones are what a look with
        // `gjob attach` left.
        let most = self.epoch()?.0;
        let sql = format!(
            "SELECT at FROM events WHERE event LIKE '%\"event\":\"run-ended\"%'
             ORDER BY seq DESC LIMIT {most}"
        );
        let ends = self.all(&sql, |row| Ok(timestamp(row.get("at")?)))?;
        let last_job = self.last_end()?;
        let after = ends.iter().copied().filter(|end| Some(*end) >= last_job);
        // A host's clock may be ahead.
        Ok(after.min().or(ends.first().copied()))
    }

    /// When something last happened in the run.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn last_event(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT at FROM events ORDER BY seq DESC LIMIT 1";
        Ok(self.all(sql, |row| Ok(timestamp(row.get("at")?)))?.into_iter().next())
    }

    /// The script of the first job.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn first_command(&self) -> Result<Option<String>, StoreError> {
        let sql = "SELECT command FROM specs ORDER BY idx LIMIT 1";
        Ok(self.all(sql, |row| row.get("command"))?.into_iter().next())
    }

    /// Every attempt of every job, by job and then by number; an attempt that was
    /// withdrawn may have given its number to a later one.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn all_attempts(&self) -> Result<Vec<Attempt>, StoreError> {
        let labels = self.labels()?;
        self.all("SELECT * FROM attempts ORDER BY idx, attempt", |row| job_attempt(row, &labels))
    }

    /// The attempts of one job, by number.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn attempts_of(&self, index: u32) -> Result<Vec<Attempt>, StoreError> {
        let labels = self.labels()?;
        let sql = format!("SELECT * FROM attempts WHERE idx = {index} ORDER BY attempt");
        self.all(&sql, |row| job_attempt(row, &labels))
    }

    /// The events of one job, in their order.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn events_of(&self, index: u32) -> Result<Vec<Event>, StoreError> {
        let sql = format!(
            "SELECT seq, at, event FROM events WHERE event ->> 'key' GLOB '{index}.*' ORDER BY seq"
        );
        self.all(&sql, event)
    }

    /// What happened to the hosts.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn host_events(&self) -> Result<Vec<Event>, StoreError> {
        let sql = "SELECT seq, at, event FROM events
             WHERE event LIKE '%\"event\":\"host-%' ORDER BY seq";
        self.all(sql, event)
    }

    fn labels(&self) -> Result<Vec<HostLabel>, StoreError> {
        Ok(self.hosts()?.into_iter().map(|host| host.label).collect())
    }
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let json: String = row.get("event")?;
    Ok(Event {
        seq: row.get::<_, i64>("seq")? as u64,
        at: timestamp(row.get("at")?),
        what: serde_json::from_str(&json).map_err(|error| invalid(&error))?,
    })
}
