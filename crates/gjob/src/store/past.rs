//! Outputs of past runs' jobs that a run needs.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use gjob_core::dependency::PastProducer;
use rusqlite::{Row, Transaction, params};

use super::inputs::parse_hash;
use super::load::parsed;
use super::outputs::output;
use super::{Store, StoreError};
use crate::inputs::{PastInput, PastInputs};
use crate::outputs::OutputFile;

pub(super) fn insert(tx: &Transaction<'_>, past: &PastInputs) -> Result<(), rusqlite::Error> {
    let mut insert_job = tx.prepare("INSERT INTO past_jobs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let mut insert_output = tx.prepare("INSERT INTO past_outputs VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (nth, PastInput { producer, dir, identity, outputs }) in (0_i64..).zip(&past.jobs) {
        let PastProducer { run, index, name, place } = producer;
        let dir = dir.as_os_str().as_bytes();
        insert_job.execute(params![
            nth,
            run.as_str(),
            index,
            name,
            place,
            dir,
            identity.to_string()
        ])?;
        for OutputFile { path, size, hash, mode } in outputs {
            insert_output.execute(params![nth, path, *size as i64, mode, hash.to_string()])?;
        }
    }
    let mut insert_place = tx.prepare("INSERT INTO places VALUES (?1, ?2)")?;
    past.places.iter().try_for_each(|place| insert_place.execute(place).map(drop))
}

impl Store {
    /// The outputs of past runs' jobs that the jobs need.
    ///
    /// # Errors
    /// When the database fails or holds nonsense.
    pub fn past_inputs(&self) -> Result<PastInputs, StoreError> {
        let mut jobs = self.all("SELECT * FROM past_jobs ORDER BY nth", job)?;
        let row = |row: &Row<'_>| Ok((row.get::<_, u32>("nth")?, output(row)?));
        for (nth, output) in self.all("SELECT * FROM past_outputs ORDER BY nth, path", row)? {
            let job: Option<&mut PastInput> = jobs.get_mut(nth as usize);
            job.ok_or_else(|| self.invalid(&rusqlite::Error::QueryReturnedNoRows))?
                .outputs
                .push(output);
        }
        let places = self
            .all("SELECT idx, place FROM places", |row| Ok((row.get("idx")?, row.get("place")?)))?;
        Ok(PastInputs { jobs, places: places.into_iter().collect() })
    }
}

/// A job without its outputs.
fn job(row: &Row<'_>) -> Result<PastInput, rusqlite::Error> {
    Ok(PastInput {
        producer: PastProducer {
            run: parsed(row, "run")?,
            index: row.get("idx")?,
            name: row.get("name")?,
            place: row.get("place")?,
        },
        dir: OsString::from_vec(row.get("dir")?).into(),
        identity: parse_hash(&row.get::<_, String>("identity")?)?,
        outputs: Vec::new(),
    })
}
