//! Job sources: files of shell commands, of JSON Lines, of TOML, Python scripts,
//! and commands filled with arguments as GNU parallel does. Each becomes job
//! specifications, checked, or all of its errors at once, each with its place.
//!
//! What the jobs mean is `gjob-core`'s business; nothing is started here.

mod arguments;
mod draft;
mod error;
mod excerpt;
mod fields;
mod inputs;
mod jobs;
mod jsonl;
mod lines;
pub(crate) mod nearest;
mod python;
mod replace;
mod staged;
mod tables;
mod template;

use std::io::Read;
use std::path::PathBuf;

use gjob_core::JobSpec;
use gjob_core::job::MAX_JOBS;

pub use arguments::Arguments;
pub use error::{JobFileError, JobFileErrors, Place, Problem};
pub use excerpt::Excerpt;
pub use jobs::{Jobs, Said};
pub use python::{Script, ScriptProblem, Stopper};
pub use staged::check_files;
pub use tables::TableProblem;

use error::Collector;
use jobs::Origin;

/// Where jobs come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Source {
    /// A file; its name tells the [`Format`].
    File(PathBuf),
    /// Standard input; its text tells the [`Format`].
    Stdin,
    /// A Python script that makes them.
    Script(Script),
    /// A command and arguments.
    Arguments(Arguments),
}

impl Source {
    /// The source that a user names: a path, or `-` for standard input. A path
    /// that ends in `.py` is a script's.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "-" => Source::Stdin,
            path if path.ends_with(".py") => Source::Script(Script::new(path)),
            path => Source::File(path.into()),
        }
    }
}

/// How the jobs of a text are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// One shell command a line; blank lines and `#` comments are skipped.
    Lines,
    /// One job specification a line, as a JSON object.
    JsonLines,
    /// Tables of jobs, with matrices of parameters, in TOML.
    Toml,
}

impl Format {
    /// The format of a file with this name: JSON Lines if it ends in `.jsonl`
    /// or `.ndjson`, TOML if in `.toml`.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        if name.ends_with(".jsonl") || name.ends_with(".ndjson") {
            Format::JsonLines
        } else if name.ends_with(".toml") {
            Format::Toml
        } else {
            Format::Lines
        }
    }

    /// The format of a text without a name: JSON Lines if its first line that
    /// is not blank is a JSON object.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Self {
        let first = text
            .split(|byte| *byte == b'\n')
            .find(|line| !line.trim_ascii().is_empty())
            .unwrap_or_default();
        let first = first.strip_prefix(lines::BYTE_ORDER_MARK).unwrap_or(first);
        type Object = serde_json::Map<String, serde_json::Value>;
        match serde_json::from_slice::<Object>(first) {
            Ok(_) => Format::JsonLines,
            Err(_) => Format::Lines,
        }
    }
}

/// Reads and checks the jobs of a source. `stdin` is read only when the source
/// says so. There may be no job in it.
///
/// # Errors
/// Everything that is wrong with the source.
pub fn read(source: &Source, stdin: &mut dyn Read) -> Result<Jobs, JobFileErrors> {
    let mut bytes = Vec::new();
    match source {
        Source::Arguments(arguments) => arguments.read(stdin),
        Source::Script(script) => script.read(),
        Source::Stdin => match stdin.read_to_end(&mut bytes) {
            Ok(_) => parse("standard input", &bytes, Format::of_text(&bytes)),
            Err(error) => Err(unreadable("standard input", error)),
        },
        Source::File(path) => {
            let name = path.to_string_lossy();
            let bytes = std::fs::read(path).map_err(|error| unreadable(&name, error))?;
            parse(&name, &bytes, Format::of_name(&name))
        }
    }
}

/// Reads and checks the jobs of a text. Errors call it `name`.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn parse(name: &str, text: &[u8], format: Format) -> Result<Jobs, JobFileErrors> {
    match format {
        Format::Lines => parse_lines(name, text, |_, line, _| {
            lines::parse_line(line).map(|spec| (spec, Said::default()))
        }),
        Format::JsonLines => parse_lines(name, text, |number, line, errors| {
            jsonl::parse_line(name, number, line, errors)
        }),
        Format::Toml => tables::parse(name, text),
    }
}

fn parse_lines(
    name: &str,
    text: &[u8],
    mut parse_line: impl FnMut(usize, &str, &mut Collector) -> Option<(JobSpec, Said)>,
) -> Result<Jobs, JobFileErrors> {
    let mut errors = Collector::default();
    let mut jobs = Gathered::default();
    for (number, line) in lines::lines(name, text, &mut errors) {
        let Some((spec, said)) = parse_line(number, line, &mut errors) else { continue };
        if !jobs.add(spec, said, number, || Place::line(name, number), &mut errors) {
            break;
        }
    }
    errors.finish()?;
    Ok(jobs.of_file(name))
}

/// Jobs of lines, as they are read.
#[derive(Default)]
struct Gathered {
    specs: Vec<JobSpec>,
    said: Vec<Said>,
    lines: Vec<u32>,
}

impl Gathered {
    /// Adds and checks a job; false when there is no room for more.
    fn add(
        &mut self,
        spec: JobSpec,
        said: Said,
        line: usize,
        place: impl Fn() -> Place,
        errors: &mut Collector,
    ) -> bool {
        for error in spec.check() {
            errors.push(place(), error.into());
        }
        if self.specs.len() == MAX_JOBS as usize {
            errors.push(place(), Problem::TooManyJobs);
            return false;
        }
        self.specs.push(spec);
        self.said.push(said);
        self.lines.push(u32::try_from(line).unwrap_or(u32::MAX));
        true
    }

    fn of_file(self, name: &str) -> Jobs {
        let origin = Origin::Lines { file: name.to_owned(), lines: self.lines };
        Jobs { specs: self.specs, said: self.said, origin }
    }
}

fn unreadable(name: &str, error: std::io::Error) -> JobFileErrors {
    let mut errors = Collector::default();
    errors.push(Place::File(name.to_owned()), Problem::Unreadable(error));
    errors.into_errors()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scripts(jobs: &Jobs) -> Vec<String> {
        jobs.specs.iter().map(JobSpec::script).collect()
    }

    fn errors(text: &[u8], format: Format) -> String {
        parse("jobs", text, format).unwrap_err().to_string()
    }

    #[test]
    fn a_file_of_lines_has_a_command_a_line_comments_and_blank_lines() {
        let text =
            b"\xef\xbb\xbf#!/usr/bin/gjob\r\n\r\necho a\r\n  # no\n\techo 'b # c' # d\necho z";
        let jobs = parse("jobs", text, Format::Lines).unwrap();
        assert_eq!(scripts(&jobs), ["echo a\n", "\techo 'b # c' # d\n", "echo z\n"]);
        assert_eq!(jobs.place(1).to_string(), "jobs:5");
    }

    #[test]
    fn an_empty_file_has_no_jobs() {
        assert_eq!(parse("jobs", b"", Format::Lines).unwrap().specs, []);
        assert_eq!(parse("jobs", b"\n# x\n", Format::Lines).unwrap().specs, []);
        assert_eq!(parse("jobs", b"\n\n", Format::JsonLines).unwrap().specs, []);
    }

    #[test]
    fn errors_name_their_line_and_come_all_at_once() {
        assert_eq!(
            errors(b"echo a\necho \xff\necho b\0\n", Format::Lines),
            "jobs:2:6: bytes that are not UTF-8: UTF-8 text is accepted\n\
             jobs:3: cmds[0] holds a NUL byte: text without NUL is accepted"
        );
    }

    #[test]
    fn more_than_twenty_errors_are_counted() {
        let text = "a\0\n".repeat(5000);
        let shown = errors(text.as_bytes(), Format::Lines);
        assert_eq!(shown.lines().count(), 21);
        assert!(shown.ends_with("\nand 4980 more errors"), "{shown}");
    }

    #[test]
    fn the_format_follows_from_the_name_or_without_one_from_the_text() {
        assert_eq!(Format::of_name("a/b.jsonl"), Format::JsonLines);
        assert_eq!(Format::of_name("b.ndjson"), Format::JsonLines);
        assert_eq!(Format::of_name("b.toml"), Format::Toml);
        assert_eq!(Format::of_name("jsonl"), Format::Lines);
        assert_eq!(Format::of_text(b"\n {\"cmds\":[\"a\"]}\n"), Format::JsonLines);
        assert_eq!(Format::of_text(b"\xef\xbb\xbf{}"), Format::JsonLines);
        assert_eq!(Format::of_text(b"{ echo a; }\n"), Format::Lines);
        assert_eq!(Format::of_text(b""), Format::Lines);
    }

    #[test]
    fn standard_input_is_a_source_under_the_name_of_a_dash() {
        let mut stdin: &[u8] = b"{\"cmds\":\"echo a\"}\n";
        let jobs = read(&Source::named("-"), &mut stdin).unwrap();
        assert_eq!(scripts(&jobs), ["echo a\n"]);
        assert_eq!(jobs.place(0).to_string(), "standard input:1");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let error = read(&Source::named("no/such"), &mut std::io::empty()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no/such: cannot be read: No such file or directory (os error 2)"
        );
    }
}
