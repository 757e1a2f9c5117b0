//! The jobs of a source: taken one by one with their places, and turned into the
//! jobs of a run when all are there.

use std::sync::Arc;

use gjob_core::builder::AddJobError;
use gjob_core::dependency::{After, Dependencies};
use gjob_core::job::MAX_JOBS;
use gjob_core::os_text::canonical;
use gjob_core::plain_text::unix_lines;
use gjob_core::{Builder, JobSpec};

use super::checks::{check_after, check_files, check_from_jobs};
use super::draft::JobDraft;
use super::errors::{Collector, JobFileErrors};
use super::origin::Origin;
use super::place::Place;
use super::problem::{NoJobs, Problem};

/// Jobs that were read, and where each of them was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Jobs {
    specs: Vec<JobSpec>,
    /// How many copies of each to run.
    repeats: Vec<u32>,
    /// The part of the origin that each is from.
    parts: Vec<u32>,
    origin: Origin,
    notes: Vec<String>,
}

impl Jobs {
    fn new(origin: Origin) -> Self {
        let (specs, repeats, parts, notes) = Default::default();
        Jobs { specs, repeats, parts, origin, notes }
    }

    /// What may not be as it was meant, though it is valid, a line each.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The jobs in their order, each once.
    #[must_use]
    pub fn specs(&self) -> &[JobSpec] {
        &self.specs
    }

    /// How many copies of each job to run.
    #[must_use]
    pub fn repeats(&self) -> &[u32] {
        &self.repeats
    }

    /// Where the job at `index`, from 0, was written.
    #[must_use]
    pub fn place(&self, index: usize) -> Place {
        match self.parts.get(index) {
            Some(part) => self.origin.spot(*part, None).place,
            None => self.origin.whole(),
        }
    }

    /// The jobs of a run, with all copies. Their files can be sent, and their
    /// dependencies exist.
    ///
    /// # Errors
    /// All files and dependencies that do not exist, or another problem of the jobs
    /// as a whole.
    pub fn into_specs(self) -> Result<Vec<Arc<JobSpec>>, JobFileErrors> {
        let whole = |problem| JobFileErrors::one(self.origin.whole(), problem);
        if self.specs.is_empty() {
            return Err(whole(Problem::from(self.origin.why_none())));
        }
        self.check()?;
        let mut builder = Builder::new();
        for ((spec, repeat), part) in self.specs.into_iter().zip(self.repeats).zip(self.parts) {
            builder.add_job(spec, repeat).map_err(|error| {
                JobFileErrors::one(self.origin.spot(part, Some("repeat")), refused(error))
            })?;
        }
        let specs: Vec<Arc<JobSpec>> = builder.into_job_specs().into_iter().map(Arc::new).collect();
        if specs.is_empty() {
            return Err(whole(NoJobs::NeverRepeated.into()));
        }
        Dependencies::resolve(&specs).map_err(|error| whole(error.into()))?;
        Ok(specs)
    }

    fn check(&self) -> Result<(), JobFileErrors> {
        let mut errors = Collector::default();
        let spot = |index: usize, field| self.origin.spot(self.parts[index], Some(field));
        for (index, problem) in check_files(&self.specs) {
            errors.push(spot(index, "files"), problem);
        }
        for (index, problem) in check_from_jobs(&self.specs) {
            errors.push(spot(index, "files"), problem);
        }
        for (index, problem) in check_after(&self.specs) {
            errors.push(spot(index, "after"), problem);
        }
        errors.finish()
    }
}

/// Equal names are equal texts from here on.
fn write_canonically(spec: &mut JobSpec) {
    let texts = spec.cmds.iter_mut().chain(&mut spec.files).chain(&mut spec.outputs);
    let texts = texts.chain(&mut spec.name).chain(spec.env.values_mut());
    let texts = texts.chain(spec.params.values_mut());
    texts.for_each(|text| *text = canonical(std::mem::take(text)));
    for after in &mut spec.after {
        if let After::Name(name) = after {
            *name = canonical(std::mem::take(name));
        }
    }
}

fn refused(error: AddJobError) -> Problem {
    match error {
        AddJobError::TooManyJobs { .. } => Problem::TooManyJobs,
        other => Problem::Add(other),
    }
}

/// Takes the jobs of a source one by one, and everything that is wrong with it.
#[derive(Debug)]
pub(super) struct JobsBuilder<'a> {
    defaults: &'a JobDraft,
    jobs: Jobs,
    pub(super) errors: Collector,
}

/// What became of a job that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It is one of the jobs.
    Good,
    /// It has something wrong with it.
    Bad,
    /// There is no room for it, nor for others.
    Full,
}

impl<'a> JobsBuilder<'a> {
    /// For jobs of an origin, with the fields that they leave out.
    pub(super) fn new(origin: Origin, defaults: &'a JobDraft) -> Self {
        JobsBuilder { defaults, jobs: Jobs::new(origin), errors: Collector::default() }
    }

    /// Adds a job of a part of the origin, and checks it.
    pub(super) fn add(&mut self, draft: JobDraft, part: u32) -> Added {
        let (mut spec, repeat) = draft.complete(self.defaults);
        write_canonically(&mut spec);
        // What a command is filled with is not text that somebody has written.
        if !matches!(self.jobs.origin, Origin::Arguments) {
            // A CR at the end of a command is meant, unless its other lines end in CR LF.
            for command in spec.cmds.iter_mut().filter(|command| command.contains("\r\n")) {
                *command = unix_lines(command).into_owned();
            }
        }
        if self.jobs.specs.len() == MAX_JOBS as usize {
            self.errors.push(self.jobs.origin.spot(part, None), Problem::TooManyJobs);
            return Added::Full;
        }
        let problems = spec.check();
        let added = if problems.is_empty() { Added::Good } else { Added::Bad };
        for problem in problems {
            self.errors.push(self.jobs.origin.spot(part, problem.field()), problem);
        }
        self.jobs.specs.push(spec);
        self.jobs.repeats.push(repeat);
        self.jobs.parts.push(part);
        added
    }

    /// Adds lines on what may not be as it was meant.
    pub(super) fn note(&mut self, lines: Vec<String>) {
        self.jobs.notes.extend(lines);
    }

    /// Adds a problem of a part of the origin, or of one of its fields.
    pub(super) fn refuse(&mut self, part: u32, field: Option<&str>, problem: impl Into<Problem>) {
        self.errors.push(self.jobs.origin.spot(part, field), problem);
    }

    /// How many jobs there are so far.
    pub(super) fn len(&self) -> u32 {
        self.jobs.specs.len() as u32
    }

    /// The jobs so far, each with the part that it is from.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&mut JobSpec, u32)> {
        self.jobs.specs.iter_mut().zip(self.jobs.parts.iter().copied())
    }

    /// The jobs, if nothing was wrong.
    pub(super) fn finish(mut self) -> Result<Jobs, JobFileErrors> {
        if let Origin::Tables(..) = self.jobs.origin {
            self.errors.sort();
        }
        self.errors.finish().map(|()| self.jobs)
    }
}
