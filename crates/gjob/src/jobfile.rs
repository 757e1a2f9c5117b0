//! Job sources: files of shell commands, of JSON Lines and of TOML, Python scripts,
//! and commands filled with arguments as in GNU parallel. Each is read into checked
//! job specifications, or refused with all of its errors, each with its place.
//!
//! Nothing here starts a job or knows what its fields do.
//!
//! From the ground up: `place` has texts and places in them; `problem` has
//! everything that can be wrong, and `errors` gathers it; `draft` is a job as it
//! is written; `jobs` takes drafts one by one. On top is a reader for each kind of
//! source.

mod arguments;
mod checks;
mod draft;
mod errors;
mod fields;
mod jobs;
mod jsonl;
mod lenient;
mod lines;
mod origin;
pub(crate) mod place;
mod problem;
mod python;
mod tables;

use std::io::{self, Read};
use std::path::PathBuf;

use gjob_core::os_text::{from_os, to_path};
use gjob_core::plain_text;

pub use arguments::{Arguments, ValueEnd};
pub use draft::JobDraft;
pub use errors::{JobFileError, JobFileErrors};
pub use fields::field_names;
pub use jobs::Jobs;
pub use place::{Excerpt, Place};
pub use problem::{NoJobs, Problem, ScriptProblem, TableProblem};
pub use python::{Script, Stopper};

/// What jobs are read from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Source {
    /// A file; its name gives the [`Format`].
    File(PathBuf),
    /// Standard input; its text gives the [`Format`].
    Stdin,
    /// A Python script that adds jobs.
    Script(Script),
    /// A command and arguments.
    Arguments(Arguments),
}

impl Source {
    /// The source with this name: a path, or `-` for standard input. A path that
    /// ends in `.py` is that of a script.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "-" => Source::Stdin,
            path if path.ends_with(".py") => Source::Script(Script::new(path)),
            path => Source::File(to_path(path)),
        }
    }
}

/// The format of a text with jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// One shell command per line; blank lines and `#` comments are skipped.
    Lines,
    /// One job per line, as a JSON object.
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

    /// The format of a text without a name: JSON Lines if its first line that is not
    /// blank is a JSON object, else shell commands.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Self {
        let first = plain_text::body(text)
            .unwrap_or_default()
            .split(|byte| *byte == b'\n')
            .find(|line| !line.trim_ascii().is_empty())
            .unwrap_or_default();
        type Object = serde_json::Map<String, serde_json::Value>;
        match serde_json::from_slice::<Object>(first) {
            Ok(_) => Format::JsonLines,
            Err(_) => Format::Lines,
        }
    }
}

/// Reads and checks the jobs of a source, with `defaults` for what they leave
/// out. `stdin` is read only if the source is standard input, or takes values from
/// it. A source may have no jobs.
///
/// # Errors
/// Everything that is wrong with the source.
pub fn read(
    source: &Source,
    defaults: &JobDraft,
    stdin: &mut dyn Read,
) -> Result<Jobs, JobFileErrors> {
    match source {
        Source::Arguments(arguments) => arguments.read(defaults, stdin),
        Source::Script(script) => script.read(defaults),
        Source::Stdin => {
            let mut bytes = Vec::new();
            let read = stdin.read_to_end(&mut bytes).map(|_| bytes);
            let format = |bytes: &[u8]| Format::of_text(bytes);
            parse_read("standard input", read, format, defaults)
        }
        Source::File(path) => {
            let name = from_os(path.as_os_str());
            let bytes = std::fs::read(path);
            if let Ok(bytes) = &bytes
                && Format::of_name(&name) == Format::Lines
                && let Some(problem) = shell_script(&name, bytes)
            {
                return Err(JobFileErrors::one(Place::File(name.into_owned()), problem));
            }
            parse_read(&name, bytes, |_| Format::of_name(&name), defaults)
        }
    }
}

/// What is wrong with a file whose lines would be jobs though it is a script. A first
/// line that names gjob is meant.
fn shell_script(name: &str, bytes: &[u8]) -> Option<Problem> {
    let body = plain_text::body(bytes).ok()?;
    let first = plain_text::lines(body).next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    let interpreter = first.strip_prefix("#!").filter(|words| !words.contains("gjob"));
    if interpreter.is_none() && !name.ends_with(".sh") {
        return None;
    }
    let is_job =
        |line: &&[u8]| !line.trim_ascii().is_empty() && !line.trim_ascii().starts_with(b"#");
    let jobs = plain_text::lines(body).filter(is_job).count();
    Some(Problem::ShellScript { file: name.to_owned(), jobs: jobs as u64 })
}

fn parse_read(
    name: &str,
    bytes: io::Result<Vec<u8>>,
    format: impl Fn(&[u8]) -> Format,
    defaults: &JobDraft,
) -> Result<Jobs, JobFileErrors> {
    let bytes = bytes.map_err(|error| {
        JobFileErrors::one(Place::File(name.to_owned()), Problem::Unreadable(error))
    })?;
    parse(name, &bytes, format(&bytes), defaults)
}

/// Reads and checks the jobs of a text. Errors give its name as `name`.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn parse(
    name: &str,
    text: &[u8],
    format: Format,
    defaults: &JobDraft,
) -> Result<Jobs, JobFileErrors> {
    let text = match plain_text::body(text) {
        Ok(text) => text,
        Err(error) => return Err(JobFileErrors::one(Place::File(name.to_owned()), error)),
    };
    match format {
        Format::Lines => lines::read(name, text, defaults, lines::parse_command),
        Format::JsonLines => lines::read(name, text, defaults, jsonl::parse_line),
        Format::Toml => tables::read(name, text, defaults),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(text: &[u8], format: Format) -> Result<Jobs, JobFileErrors> {
        parse("jobs", text, format, &JobDraft::default())
    }

    fn scripts(jobs: &Jobs) -> Vec<String> {
        jobs.specs().iter().map(gjob_core::JobSpec::script).collect()
    }

    fn errors(text: &[u8], format: Format) -> String {
        jobs(text, format).unwrap_err().to_string()
    }

    #[test]
    fn line_is_a_command_a_comment_or_blank() {
        let text =
            b"\xef\xbb\xbf#!/usr/bin/gjob\r\n\r\necho a\r\n  # no\n\techo 'b # c' # d\necho z";
        let jobs = jobs(text, Format::Lines).unwrap();
        assert_eq!(scripts(&jobs), ["echo a\n", "\techo 'b # c' # d\n", "echo z\n"]);
        assert_eq!(jobs.place(1).to_string(), "jobs:5");
    }

    #[test]
    fn file_without_jobs_is_read_and_then_refused() {
        for (text, format) in [
            ("", Format::Lines),
            ("\n# x\n", Format::Lines),
            ("\n\n", Format::JsonLines),
            ("", Format::Toml),
        ] {
            let jobs = jobs(text.as_bytes(), format).unwrap();
            assert_eq!(jobs.specs(), []);
            let error = jobs.into_specs().unwrap_err();
            assert_eq!(error.to_string(), "jobs: no jobs: expected at least one command");
        }
    }

    #[test]
    fn marks_and_ends_of_lines_make_no_difference_in_any_format() {
        for (text, format) in [
            ("echo a\necho b\n", Format::Lines),
            ("{\"cmds\":[\"echo a\"]}\n{\"cmds\":[\"echo b\"]}\n", Format::JsonLines),
            ("[[job]]\ncmds = '''echo a'''\n[[job]]\ncmds = '''\necho b'''\n", Format::Toml),
        ] {
            let written = format!("\u{feff}{}", text.trim_end().replace('\n', "\r\n"));
            let jobs = jobs(written.as_bytes(), format).unwrap();
            assert_eq!(scripts(&jobs), ["echo a\n", "echo b\n"], "{format:?}");
        }
        let dos = jobs(br#"{"cmds":["a\r\nb\r","c"]}"#, Format::JsonLines).unwrap();
        assert_eq!(scripts(&dos), ["a\nb\nc\n"]);
    }

    #[test]
    fn text_in_utf_16_is_refused_in_one_line() {
        for format in [Format::Lines, Format::JsonLines, Format::Toml] {
            let text = b"\xff\xfee\0c\0h\0o\0\n\0";
            assert_eq!(errors(text, format), "jobs: text is UTF-16: expected UTF-8");
        }
    }

    #[test]
    fn all_errors_are_found_at_once() {
        assert_eq!(
            errors(b"echo a\necho \xff\necho b\0\n\xff", Format::Lines),
            "jobs:2:6: invalid text: expected UTF-8\n\
             jobs:3: command 1 contains a NUL byte: expected text without it\n\
             jobs:4:1: invalid text: expected UTF-8"
        );
        assert_eq!(errors(b"a\n\n \xff", Format::Toml), "jobs:3:2: invalid text: expected UTF-8");
    }

    #[test]
    fn twenty_errors_are_printed_and_the_others_counted() {
        let text = "a\0\n".repeat(5000);
        let shown = errors(text.as_bytes(), Format::Lines);
        assert_eq!(shown.lines().count(), 21);
        assert!(shown.ends_with("\nand 4980 more errors"), "{shown}");
        let shown = errors("a\0\n".repeat(21).as_bytes(), Format::Lines);
        assert!(shown.ends_with("\nand 1 more error"), "{shown}");
    }

    #[test]
    fn format_follows_from_the_name_or_the_text() {
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
    fn dash_means_standard_input() {
        let mut stdin: &[u8] = b"{\"cmds\":\"echo a\"}\n";
        let jobs = read(&Source::named("-"), &JobDraft::default(), &mut stdin).unwrap();
        assert_eq!(scripts(&jobs), ["echo a\n"]);
        assert_eq!(jobs.place(0).to_string(), "standard input:1");
    }

    #[test]
    fn missing_file_is_named() {
        let source = Source::named("no/such");
        let error = read(&source, &JobDraft::default(), &mut io::empty()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no/such: cannot be read: No such file or directory (os error 2)"
        );
    }
}
