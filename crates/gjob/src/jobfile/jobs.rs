//! Jobs that were read, what each of them says itself, and where it came from:
//! for the checks that can only be made of all of them.

use std::collections::HashSet;

use gjob_core::JobSpec;
use gjob_core::dependency::After;

use gjob_core::text::excerpt;

use super::error::{Collector, JobFileErrors, Place, Problem};
use super::excerpt::Spot;
use super::nearest::nearest;
use super::staged::check_spotted;
use super::tables::Places;

/// Jobs that were read, and where each of them came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Jobs {
    /// The jobs, in their order.
    pub specs: Vec<JobSpec>,
    /// What each of them says; shorter when the rest says nothing.
    pub(super) said: Vec<Said>,
    pub(super) origin: Origin,
}

/// What a job says itself, of the things that options say for those that don't.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// How many copies of it there shall be.
    pub repeat: Option<u32>,
    /// True if its `cpus` are its own choice.
    pub cpus: bool,
    /// True if its `gpus` are.
    pub gpus: bool,
}

/// Where the jobs came from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    /// For each job its line, from 1; 0 where it is not known.
    Lines { file: String, lines: Vec<u32> },
    /// A job's number is its place.
    Arguments,
    /// Tables, each of which may be many jobs.
    Tables(Box<Places>),
}

impl Jobs {
    /// The place of the job that was read as the `index`-th, from 0.
    #[must_use]
    pub fn place(&self, index: usize) -> Place {
        self.spot(index, None).place
    }

    /// What that job says itself.
    #[must_use]
    pub fn said(&self, index: usize) -> Said {
        self.said.get(index).copied().unwrap_or_default()
    }

    /// Why there is no job, if there is none.
    #[must_use]
    pub fn why_none(&self) -> Option<&'static str> {
        let why = match &self.origin {
            _ if !self.specs.is_empty() => return None,
            Origin::Arguments => {
                "no values: a job is made for each value behind :::, or line of standard input \
                 without it, and there is none"
            }
            Origin::Tables(places) if places.has_tables() => {
                "no jobs: `exclude` drops every combination of the matrix"
            }
            Origin::Tables(_) | Origin::Lines { .. } => {
                "no jobs: the job source has no command in it"
            }
        };
        Some(why)
    }

    /// The place of a job, or of one of its fields if that is known.
    fn spot(&self, index: usize, field: Option<&str>) -> Spot {
        match &self.origin {
            Origin::Lines { file, lines } => match lines.get(index) {
                Some(0) | None => Place::File(file.clone()).into(),
                Some(line) => Place::line(file, *line as usize).into(),
            },
            Origin::Arguments => Place::Job(index + 1).into(),
            Origin::Tables(places) => places.spot(index, field),
        }
    }

    /// Verifies that each job's `files` can be sent; see
    /// [`check_files`](super::check_files). Do this before jobs are added,
    /// removed or moved.
    ///
    /// # Errors
    /// All files that can't be sent, each with the first job that names it.
    pub fn check_files(&self) -> Result<(), JobFileErrors> {
        let specs = self.specs.iter().enumerate();
        check_spotted(specs.flat_map(|(index, spec)| {
            let files = spec.files.iter();
            files.map(move |path| (path.as_str(), move || self.spot(index, Some("files"))))
        }))
    }

    /// Verifies that each job that is waited for is there. Do this before jobs
    /// are added, removed or moved, but when they have their names.
    ///
    /// # Errors
    /// All names and numbers that are no job's, each with the first job that
    /// has it.
    pub fn check_after(&self) -> Result<(), JobFileErrors> {
        let mut errors = Collector::default();
        let waiting = || self.specs.iter().enumerate().filter(|(_, spec)| !spec.after.is_empty());
        if waiting().next().is_none() {
            return Ok(());
        }
        let names: HashSet<&str> =
            self.specs.iter().filter_map(|spec| spec.name.as_deref()).collect();
        let mut seen = HashSet::new();
        for (index, spec) in waiting() {
            for after in spec.after.iter().filter(|after| seen.insert(*after)) {
                if let Some(problem) = self.unknown(after, &names) {
                    errors.push(self.spot(index, Some("after")), problem);
                }
            }
        }
        errors.finish()
    }

    fn unknown(&self, after: &After, names: &HashSet<&str>) -> Option<Problem> {
        let last = u32::try_from(self.specs.len()).unwrap_or(u32::MAX).saturating_sub(1);
        let number = match after {
            After::Name(name) if names.contains(name.as_str()) => return None,
            After::Name(name) => {
                return Some(Problem::UnknownJob {
                    found: excerpt(name),
                    nearest: nearest(name, names.iter().copied()).map(str::to_owned),
                });
            }
            After::Job(number) => *number,
            After::Jobs(first, last) => *first.max(last),
        };
        (number > last).then_some(Problem::UnknownJobNumber { found: number, last })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, parse};

    #[test]
    fn what_is_waited_for_has_to_be_there() {
        let text = concat!(
            "{\"cmds\":\"a\",\"name\":\"train\"}\n",
            "{\"cmds\":\"a\",\"after\":[\"trian\",\"train\",0]}\n",
            "{\"cmds\":\"a\",\"after\":3}\n",
            "{\"cmds\":\"a\",\"after\":[\"trian\",[0,4],[0,3]]}\n",
        );
        let jobs = parse("jobs", text.as_bytes(), Format::JsonLines).unwrap();
        assert_eq!(
            jobs.check_after().unwrap_err().to_string(),
            "jobs:2: after \"trian\" names no job, perhaps \"train\" is meant: the name of \
             another job is expected\n\
             jobs:4: after 4 names no job: the jobs are 0 to 3"
        );
    }

    #[test]
    fn a_job_says_what_it_says_even_where_that_is_the_default() {
        let text = "{\"cmds\":\"a\",\"cpus\":1}\n{\"cmds\":\"a\",\"repeat\":3,\"gpus\":0}\n";
        let jobs = parse("jobs", text.as_bytes(), Format::JsonLines).unwrap();
        let said = |index| (jobs.said(index).repeat, jobs.said(index).cpus, jobs.said(index).gpus);
        assert_eq!(said(0), (None, true, false));
        assert_eq!(said(1), (Some(3), false, true));
    }
}
