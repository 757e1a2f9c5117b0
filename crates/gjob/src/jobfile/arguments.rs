//! A command and the arguments to fill it with, in GNU parallel's words:
//! `CMD {} ::: a b`, `:::: FILE`, `:::+` and `::::+` for linked sources. Without
//! any of them, values are the lines of standard input.

use std::io::Read;

use gjob_core::JobSpec;

use super::JobFileErrors;
use super::error::{Collector, Place, Problem};
use super::inputs::{Rows, Values};
use super::jobs::{Jobs, Origin};
use super::template::Template;

/// A command and where its arguments come from.
///
/// The command's words are joined by spaces: it is shell text. Values are
/// data and are quoted, unless a placeholder is part of the command's name
/// (`{} x`, or no command at all): then, as in GNU parallel, values are shell
/// text too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    command: Vec<String>,
    sources: Vec<InputSource>,
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
    /// Takes a command line apart.
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
        Arguments { command, sources }
    }

    /// True when values are to be read from standard input.
    #[must_use]
    pub fn reads_stdin(&self) -> bool {
        let is_stdin = |source: &InputSource| source.input == Input::Stdin;
        self.sources.is_empty() || self.sources.iter().any(is_stdin)
    }

    /// Fills and checks the jobs.
    pub(super) fn read(&self, stdin: &mut dyn Read) -> Result<Jobs, JobFileErrors> {
        let mut errors = Collector::default();
        let sources = self.load(stdin, &mut errors);
        let template = Template::parse(&self.command, sources.len());
        let template = template.map_err(|problems| {
            for problem in problems {
                errors.push(Place::Command, problem);
            }
        });
        let rows = Rows::new(sources).map_err(|problem| errors.push(Place::Command, problem));
        let mut specs = Vec::new();
        if let (Ok(template), Ok(rows)) = (template, rows) {
            specs = fill(&template, &rows, &mut errors);
        }
        errors.finish()?;
        Ok(Jobs { specs, said: Vec::new(), origin: Origin::Arguments })
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
            values: source.input.load(stdin, errors),
            is_linked: source.is_linked,
        };
        sources.iter().map(load).collect()
    }
}

fn is_separator(word: &str) -> bool {
    matches!(word, ":::" | ":::+" | "::::" | "::::+")
}

/// The sources behind one separator: one for all values, or one for each file.
fn input_sources(separator: String, words: Vec<String>) -> Vec<InputSource> {
    let is_linked = separator.ends_with('+');
    let source = |input| InputSource { input, is_linked };
    if !separator.starts_with("::::") {
        // As in GNU parallel, each line of a value is one.
        let lines = words.iter().flat_map(|word| word.split('\n'));
        let values = lines.map(str::to_owned).collect();
        return vec![source(Input::Values(values))];
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
    fn load(&self, stdin: &mut dyn Read, errors: &mut Collector) -> Vec<String> {
        match self {
            Input::Values(values) => values.clone(),
            Input::Nothing(separator) => {
                errors.push(Place::Command, Problem::NoValueFile(separator.clone()));
                Vec::new()
            }
            Input::File(name) => load_lines(name, std::fs::read(name), errors),
            Input::Stdin => {
                let mut bytes = Vec::new();
                let read = stdin.read_to_end(&mut bytes).map(|_| bytes);
                load_lines("standard input", read, errors)
            }
        }
    }
}

/// A value a line, as it stands there; the last line need not end.
fn load_lines(name: &str, bytes: std::io::Result<Vec<u8>>, errors: &mut Collector) -> Vec<String> {
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => {
            errors.push(Place::File(name.to_owned()), Problem::Unreadable(error));
            return Vec::new();
        }
    };
    let mut values = Vec::new();
    for (i, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        match String::from_utf8(line.to_vec()) {
            Ok(line) if line.contains('\0') => {
                errors.push(Place::line(name, i + 1), Problem::NulInValue);
            }
            Ok(line) => values.push(line),
            Err(error) => {
                let column = error.utf8_error().valid_up_to() + 1;
                errors.push(Place::column(name, i + 1, column), Problem::NotUtf8);
            }
        }
    }
    values
}

fn fill(template: &Template, rows: &Rows, errors: &mut Collector) -> Vec<JobSpec> {
    let mut specs = Vec::with_capacity(rows.count());
    for index in 0..rows.count() {
        let mut spec = JobSpec::default();
        match template.fill(index + 1, &rows.row(index)) {
            Ok(command) => spec.cmds.push(command),
            Err(problem) => {
                errors.push(Place::Job(index + 1), problem);
                continue;
            }
        }
        for error in spec.check() {
            errors.push(Place::Job(index + 1), error.into());
        }
        specs.push(spec);
    }
    specs
}

#[cfg(test)]
mod tests;
