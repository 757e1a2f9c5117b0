//! A command and the arguments to fill it with, in GNU parallel's words:
//! `CMD {} ::: a b`, `:::: FILE`, `:::+` and `::::+` for linked sources. Without
//! any of them, values are the lines of standard input.

mod header;
mod options;
mod placeholder;
mod rows;
mod template;
mod unknown;

use std::io::{self, Read};

use gjob_core::os_text::{from_bytes, to_path};
use gjob_core::plain_text;

use super::draft::JobDraft;
use super::errors::{Collector, JobFileErrors};
use super::jobs::{Jobs, JobsBuilder};
use super::origin::Origin;
use super::place::Place;
use super::problem::Problem;
use header::{Sources, take_names};
use options::OptionTemplates;
use rows::{Rows, Values};
use template::Template;

/// A command and the sources of its arguments.
///
/// The command's words are joined by spaces: it is shell text. Values are data and
/// are quoted, unless a placeholder is part of the command's name (`{} x`, or no
/// command at all). Then values are shell text, too, as in GNU parallel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    command: Vec<String>,
    sources: Vec<InputSource>,
    end: ValueEnd,
    /// The first value of each source is its name.
    has_header: bool,
    /// True for a single job, whose command is filled with nothing.
    is_alone: bool,
}

/// What is behind each value in a file or on standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValueEnd {
    /// The end of its line.
    #[default]
    Line,
    /// A NUL, as `find -print0` writes it.
    Nul,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct InputSource {
    input: Input,
    is_linked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Input {
    Values(Vec<String>),
    File(String),
    Stdin,
    /// `::::` without a file.
    Nothing(String),
}

impl Arguments {
    /// Splits a command line into its command and sources.
    #[must_use]
    pub fn new<I, S>(words: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let mut groups = vec![("".to_owned(), Vec::new())];
        for word in words.into_iter().map(Into::into) {
            match groups.last_mut() {
                Some((_, group)) if !is_separator(&word) => group.push(word),
                _ => groups.push((word, Vec::new())),
            }
        }
        let mut groups = groups.into_iter();
        let command = groups.next().map_or_else(Vec::new, |(_, words)| words);
        let sources: Vec<_> =
            groups.flat_map(|(separator, words)| input_sources(separator, words)).collect();
        Arguments { command, sources, end: ValueEnd::Line, has_header: false, is_alone: false }
    }

    /// Sets what is behind each value that is read.
    #[must_use]
    pub fn values_end_in(self, end: ValueEnd) -> Self {
        Arguments { end, ..self }
    }

    /// The first value of each source is its name, if that is so.
    #[must_use]
    pub fn with_header(self, has_header: bool) -> Self {
        Arguments { has_header, ..self }
    }

    /// The command as it stands is the only job, if it can be: it has no placeholder for
    /// a value, and no source of values is named.
    #[must_use]
    pub fn alone(self) -> Self {
        let is_alone = self.sources.is_empty() && !Template::needs_value(&self.command);
        Arguments { is_alone: is_alone && !self.command.is_empty(), ..self }
    }

    /// True if values come from standard input.
    #[must_use]
    pub fn reads_stdin(&self) -> bool {
        let is_stdin = |source: &InputSource| source.input == Input::Stdin;
        let is_default = self.sources.is_empty() && !self.is_alone;
        is_default || self.sources.iter().any(is_stdin)
    }

    /// Fills and checks the jobs.
    pub(super) fn read(
        &self,
        defaults: &JobDraft,
        stdin: &mut dyn Read,
    ) -> Result<Jobs, JobFileErrors> {
        if self.is_alone {
            return self.read_alone(JobsBuilder::new(Origin::Arguments, defaults));
        }
        let fixed = defaults.without_texts();
        let mut jobs = JobsBuilder::new(Origin::Arguments, &fixed);
        let mut sources = self.load(stdin, &mut jobs.errors);
        let names = if self.has_header { take_names(&mut sources) } else { Ok(Vec::new()) };
        let names = names.unwrap_or_else(|problems| {
            problems.into_iter().for_each(|problem| jobs.errors.push(Place::Command, problem));
            Vec::new()
        });
        jobs.note(match self.has_header {
            true => unknown::other_names(&self.command, defaults, &names),
            false => unknown::missing_header(&self.command, defaults, &sources),
        });
        let named = Sources { count: sources.len(), names: &names };
        let template = Template::parse(&self.command, named);
        let options = OptionTemplates::parse(defaults, named);
        let rows = Rows::new(sources);
        match (template, options, rows) {
            (Ok(template), Ok(options), Ok(rows)) => fill(&template, &options, &rows, &mut jobs),
            (template, options, rows) => {
                let problems = template.err().into_iter().chain(options.err()).flatten();
                let problems = problems.chain(rows.err());
                problems.for_each(|problem| jobs.errors.push(Place::Command, problem));
            }
        }
        jobs.finish()
    }

    fn read_alone(&self, mut jobs: JobsBuilder<'_>) -> Result<Jobs, JobFileErrors> {
        let command = Template::parse(&self.command, Sources::unnamed(0))
            .and_then(|template| template.fill(1, &[]).map_err(|problem| vec![problem]));
        match command {
            Ok(command) => drop(jobs.add(JobDraft::of_command(command), 1)),
            Err(problems) => {
                problems.into_iter().for_each(|problem| jobs.errors.push(Place::Command, problem));
            }
        }
        jobs.finish()
    }

    /// Reads the values of all sources.
    fn load(&self, stdin: &mut dyn Read, errors: &mut Collector) -> Vec<Values> {
        let lines_of_stdin = [InputSource { input: Input::Stdin, is_linked: false }];
        let sources = match self.sources.as_slice() {
            [] => &lines_of_stdin,
            sources => sources,
        };
        let is_stdin = |source: &&InputSource| source.input == Input::Stdin;
        if sources.iter().filter(is_stdin).count() > 1 {
            errors.push(Place::Command, Problem::StdinTwice);
        }
        let load = |source: &InputSource| Values {
            values: source.input.load(self.end, stdin, errors),
            is_linked: source.is_linked,
        };
        sources.iter().map(load).collect()
    }
}

fn is_separator(word: &str) -> bool {
    matches!(word, ":::" | ":::+" | "::::" | "::::+")
}

/// The sources after a separator: one for all values, or one for each file.
fn input_sources(separator: String, words: Vec<String>) -> Vec<InputSource> {
    let is_linked = separator.ends_with('+');
    let source = |input| InputSource { input, is_linked };
    if !separator.starts_with("::::") {
        return vec![source(Input::Values(words))];
    }
    if words.is_empty() {
        return vec![source(Input::Nothing(separator))];
    }
    let file = |name: String| match name.as_str() {
        "-" => source(Input::Stdin),
        _ => source(Input::File(name)),
    };
    words.into_iter().map(file).collect()
}

impl Input {
    fn load(&self, end: ValueEnd, stdin: &mut dyn Read, errors: &mut Collector) -> Vec<String> {
        match self {
            Input::Values(values) => values.clone(),
            Input::Nothing(separator) => {
                errors.push(Place::Command, Problem::NoValueFile(separator.clone()));
                Vec::new()
            }
            Input::File(name) => load_values(name, std::fs::read(to_path(name)), end, errors),
            Input::Stdin => {
                let mut bytes = Vec::new();
                let read = stdin.read_to_end(&mut bytes).map(|_| bytes);
                load_values("standard input", read, end, errors)
            }
        }
    }
}

/// The values in a file: a line each, or, unchanged, what ends in a NUL. They may be
/// names, and so any bytes.
fn load_values(
    file: &str,
    bytes: io::Result<Vec<u8>>,
    end: ValueEnd,
    errors: &mut Collector,
) -> Vec<String> {
    let bytes = bytes.unwrap_or_else(|error| {
        errors.push(Place::File(file.to_owned()), Problem::Unreadable(error));
        Vec::new()
    });
    let value = |bytes| from_bytes(bytes).into_owned();
    if end == ValueEnd::Nul {
        let values = bytes.split_inclusive(|byte| *byte == 0);
        return values.map(|found| value(found.strip_suffix(b"\0").unwrap_or(found))).collect();
    }
    let body = plain_text::body(&bytes).unwrap_or_else(|error| {
        errors.push(Place::File(file.to_owned()), error);
        &[]
    });
    // One says it: the others end in the same way.
    if let Some(at) = plain_text::lines(body).position(|line| line.contains(&0)) {
        errors.push(Place::line(file, at + 1), Problem::NulInValue);
    }
    plain_text::lines(body).filter(|line| !line.contains(&0)).map(value).collect()
}

fn fill(template: &Template, options: &OptionTemplates, rows: &Rows, jobs: &mut JobsBuilder<'_>) {
    for number in 1..=rows.count() {
        let values = rows.row(number - 1);
        match template.fill(number, &values) {
            Ok(command) => {
                jobs.add(options.fill(command, number, &values), number as u32);
            }
            Err(problem) => jobs.refuse(number as u32, None, problem),
        }
    }
}

#[cfg(test)]
mod tests;
