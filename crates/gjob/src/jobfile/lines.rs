//! Texts line by line, and job files with one job per line: a shell command, or
//! whatever else a reader takes for a job.

use gjob_core::os_text::from_bytes;
use gjob_core::plain_text;

use super::draft::JobDraft;
use super::errors::{Collector, JobFileErrors};
use super::jobs::{Added, Jobs, JobsBuilder};
use super::origin::Origin;
use super::place::Place;
use super::problem::Problem;

/// A line of a file, without its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    file: &'a str,
    /// From 1.
    number: usize,
    pub(super) text: &'a str,
}

impl Line<'_> {
    pub(super) fn place(&self) -> Place {
        Place::line(self.file, self.number)
    }

    /// The place of one of its bytes, from 1.
    pub(super) fn column(&self, column: usize) -> Place {
        Place::column(self.file, self.number, column)
    }
}

/// The lines of a text, or the places of those that are not UTF-8.
pub(super) fn lines<'a>(
    file: &'a str,
    text: &'a [u8],
) -> impl Iterator<Item = Result<Line<'a>, Place>> {
    plain_text::lines(text).enumerate().map(move |(i, line)| match std::str::from_utf8(line) {
        Ok(text) => Ok(Line { file, number: i + 1, text }),
        Err(error) => Err(Place::column(file, i + 1, error.valid_up_to() + 1)),
    })
}

/// Reads a file with at most one job per line.
pub(super) fn read(
    file: &str,
    text: &[u8],
    defaults: &JobDraft,
    parse: impl Fn(Line<'_>, &mut Collector) -> Option<JobDraft>,
) -> Result<Jobs, JobFileErrors> {
    let mut jobs = JobsBuilder::new(Origin::Lines(file.to_owned()), defaults);
    for line in lines(file, text) {
        let line = match line {
            Ok(line) => line,
            Err(place) => {
                jobs.errors.push(place, Problem::NotUtf8);
                continue;
            }
        };
        let number = u32::try_from(line.number).unwrap_or(u32::MAX);
        if let Some(draft) = parse(line, &mut jobs.errors)
            && jobs.add(draft, number) == Added::Full
        {
            break;
        }
    }
    jobs.finish()
}

/// The job of a line that is a shell command; none if it is blank or a comment.
pub(super) fn parse_command(line: Line<'_>, _: &mut Collector) -> Option<JobDraft> {
    let start = line.text.trim_start();
    let is_job = !start.is_empty() && !start.starts_with('#');
    is_job.then(|| JobDraft::of_command(from_bytes(line.text.as_bytes()).into_owned()))
}
