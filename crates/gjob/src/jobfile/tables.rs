//! Job files in TOML: tables of jobs, each of which may stand for many by a
//! matrix of parameters.
//!
//! ```toml
//! [defaults]                  # what a job doesn't say itself; env is merged
//! files = ["fit"]             # paths from the job file's directory
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
mod error;
mod fill;
mod matrix;
mod reader;
mod table;
mod value;

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use gjob_core::JobSpec;
use gjob_core::dependency::After;
use gjob_core::job::MAX_JOBS;
use gjob_core::spec::SpecError;

pub use error::TableProblem;

use super::error::{Collector, JobFileErrors, Place, Problem};
use super::excerpt::{Spot, Text};
use super::jobs::{Jobs, Origin, Said};
use table::Table;

/// Bytes of a text.
type Span = Range<usize>;

/// Where the jobs of a file come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Places {
    text: Text,
    tables: Vec<Spans>,
    /// Each job's table.
    table_of: Vec<u32>,
}

/// Where a table and its fields stand.
#[derive(Clone, Debug, PartialEq)]
struct Spans {
    header: Span,
    fields: BTreeMap<String, Span>,
}

impl Places {
    pub(super) fn has_tables(&self) -> bool {
        !self.tables.is_empty()
    }

    /// The place of a job, or of one of its fields if it has that.
    pub(super) fn spot(&self, index: usize, field: Option<&str>) -> Spot {
        let table = self.table_of.get(index).and_then(|table| self.tables.get(*table as usize));
        match table {
            None => Place::File(self.text.file.clone()).into(),
            Some(spans) => {
                let span = field.and_then(|field| spans.fields.get(field));
                self.text.spot(span.unwrap_or(&spans.header))
            }
        }
    }
}

/// Reads and checks the jobs of a text.
pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Jobs, JobFileErrors> {
    let mut errors = Collector::default();
    let Ok(text) = std::str::from_utf8(bytes) else {
        // Says which lines are not.
        super::lines::lines(name, bytes, &mut errors);
        return Err(errors.into_errors());
    };
    let text = Text { file: name.to_owned(), text: text.to_owned() };
    let tables = document::read(&text, &mut errors);
    let mut filled = Filled::default();
    let base = Path::new(name).parent().unwrap_or(Path::new(""));
    for table in &tables {
        filled.add(table, base, &text, &mut errors);
    }
    if errors.is_empty() {
        filled.number(&tables, &text, &mut errors);
    }
    errors.sort();
    errors.finish()?;
    let spans = tables.into_iter().map(Table::into_spans).collect();
    let places = Places { text, tables: spans, table_of: filled.table_of };
    let origin = Origin::Tables(Box::new(places));
    Ok(Jobs { specs: filled.specs, said: filled.said, origin })
}

/// The jobs that have been made of tables so far.
#[derive(Default)]
struct Filled {
    specs: Vec<JobSpec>,
    said: Vec<Said>,
    table_of: Vec<u32>,
    /// The first job of each table.
    firsts: Vec<u32>,
}

impl Filled {
    /// Adds a job for each of a table's combinations, up to the first that has
    /// something wrong with it: others are likely to have the same.
    fn add(&mut self, table: &Table, base: &Path, text: &Text, errors: &mut Collector) {
        let number = self.firsts.len() as u32;
        self.firsts.push(self.specs.len() as u32);
        table.matrix.each(|combination| {
            let (mut spec, said) = match table.fill(combination) {
                Ok(filled) => filled,
                Err(wrong) => {
                    for (span, problem) in wrong {
                        errors.push(text.spot(&span), problem);
                    }
                    return ControlFlow::Break(());
                }
            };
            for file in &mut spec.files {
                *file = from(base, file);
            }
            let wrong = spec.check();
            if self.specs.len() == MAX_JOBS as usize {
                errors.push(text.spot(&table.header), Problem::TooManyJobs);
                return ControlFlow::Break(());
            }
            self.specs.push(spec);
            self.said.push(said);
            self.table_of.push(number);
            if wrong.is_empty() {
                return ControlFlow::Continue(());
            }
            for error in wrong {
                let span = table.span(field_of(&error));
                errors.push(text.spot(&span), error.into());
            }
            ControlFlow::Break(())
        });
    }

    /// Numbers in `after` are those of tables: makes them those of jobs.
    fn number(&mut self, tables: &[Table], text: &Text, errors: &mut Collector) {
        let mut firsts = self.firsts.clone();
        firsts.push(self.specs.len() as u32);
        let last = (tables.len() as u32).saturating_sub(1);
        for (spec, table) in self.specs.iter_mut().zip(&self.table_of) {
            let mut after = Vec::new();
            for waited in std::mem::take(&mut spec.after) {
                let (from, to) = match waited {
                    After::Name(_) => {
                        after.push(waited);
                        continue;
                    }
                    After::Job(number) => (number, number),
                    After::Jobs(from, to) => (from, to),
                };
                if let Some(found) = [from, to].into_iter().find(|number| *number > last) {
                    let span = tables[*table as usize].span("after");
                    errors.push(text.spot(&span), Problem::UnknownJobNumber { found, last });
                    return;
                }
                let (first, end) = (firsts[from as usize], firsts[to as usize + 1]);
                if first < end {
                    after.push(After::Jobs(first, end - 1));
                }
            }
            spec.after = after;
        }
    }
}

/// A path from the job file's directory as one from here.
fn from(base: &Path, file: &str) -> String {
    match base.to_str() {
        None | Some("") => file.to_owned(),
        Some(_) => base.join(file).to_str().map_or_else(|| file.to_owned(), str::to_owned),
    }
}

/// The field that an error is about.
fn field_of(error: &SpecError) -> &str {
    match error {
        SpecError::Nul { place } => {
            let end = place.find(['[', '.', ' ']).unwrap_or(place.len());
            &place[..end]
        }
        SpecError::NoCommand => "cmds",
        SpecError::Name { .. } => "name",
        SpecError::EnvName { .. } | SpecError::EnvReserved { .. } => "env",
        SpecError::FileName { .. }
        | SpecError::SameFileName { .. }
        | SpecError::FileReserved { .. } => "files",
        SpecError::Output { .. } => "outputs",
        SpecError::Timeout => "timeout",
        // Of the job as a whole; and whatever else there will be.
        _ => "",
    }
}

#[cfg(test)]
mod tests;
