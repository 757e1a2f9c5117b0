//! Job files in TOML: tables of jobs, each of which may become many jobs by a matrix
//! of parameters.
//!
//! ```toml
//! [defaults]                  # fields that a job leaves out; env is merged
//! files = ["fit"]             # relative to the job file
//! timeout = "1h"
//!
//! [[job]]
//! name = "fit-{lr}-{seed}"
//! commands = "./fit --lr {lr} --seed {seed}"
//! matrix = { lr = [0.1, 0.01], seed = "1..10" }
//! exclude = [{ lr = 0.1, seed = 3 }]
//! include = [{ lr = 1.0, seed = 1 }]
//!
//! [[job]]
//! name = "plot"
//! commands = ["./collect", "./plot"]
//! after = [0]                 # a name, or a [[job]] by its number
//! ```

mod document;
mod fill;
pub(super) use fill::is_name;
mod matrix;
mod reader;
mod table;
mod value;

use std::ops::ControlFlow;
use std::path::Path;

use gjob_core::dependency::After;
use gjob_core::from_job::is_from_job;
use gjob_core::plain_text::unix_lines;

use super::draft::JobDraft;
use super::errors::{Collector, JobFileErrors};
use super::jobs::{Added, Jobs, JobsBuilder};
use super::lines::lines;
use super::origin::Origin;
use super::place::Text;
use super::problem::Problem;
use table::Table;

/// Reads and checks the jobs of a text.
pub(super) fn read(name: &str, bytes: &[u8], defaults: &JobDraft) -> Result<Jobs, JobFileErrors> {
    let mut errors = Collector::default();
    let Ok(text) = std::str::from_utf8(bytes) else {
        let places = lines(name, bytes).filter_map(Result::err);
        places.for_each(|place| errors.push(place, Problem::NotUtf8));
        return Err(errors.into_errors());
    };
    let text = Text { file: name.to_owned(), text: unix_lines(text).into_owned() };
    let tables = document::read(&text, &mut errors);
    let spans = tables.iter().map(Table::spans).collect();
    let mut jobs = JobsBuilder::new(Origin::Tables(text, spans), defaults);
    jobs.errors = errors;
    let base = Path::new(name).parent().unwrap_or(Path::new(""));
    let mut firsts = Vec::new();
    for (number, table) in (0..).zip(&tables) {
        firsts.push(jobs.len());
        add(table, number, base, &mut jobs);
    }
    firsts.push(jobs.len());
    if jobs.errors.is_empty() {
        number_jobs(&firsts, &mut jobs);
    }
    jobs.finish()
}

/// Adds a job for each of a table's combinations, up to the first that has a
/// problem: others are likely to have the same one.
fn add(table: &Table, number: u32, base: &Path, jobs: &mut JobsBuilder<'_>) {
    table.matrix.each(|combination| {
        let mut draft = match table.fill(combination) {
            Ok(draft) => draft,
            Err(wrong) => {
                for (field, problem) in wrong {
                    jobs.refuse(number, field.as_deref(), problem);
                }
                return ControlFlow::Break(());
            }
        };
        for file in &mut draft.files {
            *file = relative(base, file);
        }
        match jobs.add(draft, number) {
            Added::Good => ControlFlow::Continue(()),
            Added::Bad | Added::Full => ControlFlow::Break(()),
        }
    });
}

/// Numbers in `after` are those of tables: makes them those of jobs. `firsts` has
/// the first job of each table, and the number of jobs at the end.
fn number_jobs(firsts: &[u32], jobs: &mut JobsBuilder<'_>) {
    let last = (firsts.len() as u32).saturating_sub(2);
    let mut unknown = None;
    for (spec, table) in jobs.iter_mut() {
        let mut after = Vec::new();
        for entry in std::mem::take(&mut spec.after) {
            let (from, to) = match entry {
                After::Name(_) => {
                    after.push(entry);
                    continue;
                }
                After::Job(number) => (number, number),
                After::Jobs(from, to) => (from, to),
            };
            if let Some(found) = [from, to].into_iter().find(|number| *number > last) {
                unknown.get_or_insert((table, found));
                continue;
            }
            let (first, end) = (firsts[from as usize], firsts[to as usize + 1]);
            if first < end {
                after.push(After::Jobs(first, end - 1));
            }
        }
        spec.after = after;
    }
    if let Some((table, found)) = unknown {
        jobs.refuse(table, Some("after"), Problem::UnknownJobNumber { found, last });
    }
}

/// A path given relative to the job file's directory, relative to the current one.
fn relative(base: &Path, file: &str) -> String {
    match base.to_str() {
        _ if is_from_job(file) => file.to_owned(),
        None | Some("") => file.to_owned(),
        Some(_) => base.join(file).to_str().map_or_else(|| file.to_owned(), str::to_owned),
    }
}

#[cfg(test)]
mod tests;
