//! The file that a failed job did not find, though it is here: it was not sent.

use std::path::{Component, Path, PathBuf};

use gjob_core::os_text::to_path;
use gjob_core::text::printable;
use gjob_core::{Job, JobSpec};

/// The exit status of a shell for a command that is not found.
const NOT_FOUND: u8 = 127;

/// As many failed jobs are looked at.
pub(super) const LOOKED_AT: usize = 20;

/// What ends a word of a shell command, roughly.
pub(super) const SEPARATORS: &[char] =
    &[' ', '\t', ';', '|', '&', '(', ')', '<', '>', '`', '"', '\'', '$', '=', '{', '}'];

/// What to do about the first failed job that named a file of this directory which was
/// not sent. `last_line` is the last line of a job's standard error.
pub(super) fn hint<'a>(
    jobs: &'a [Job],
    last_line: impl Fn(&Job) -> Option<&'a str>,
) -> Option<String> {
    let failed = jobs.iter().filter(|job| job.has_failed()).take(LOOKED_AT);
    let mut found = failed.filter_map(|job| {
        let is_not_found = job.exit() == Some(NOT_FOUND);
        unsent(&job.spec, |name| {
            is_not_found || last_line(job).is_some_and(|line| line.contains(name))
        })
    });
    let file = printable(&found.next()?);
    Some(format!("{file} is here but was not sent: -f {file} sends it"))
}

/// A file here that a job's commands name by a relative path, and that is not among
/// those sent. `missed` is true for names that the job has not found.
fn unsent(spec: &JobSpec, missed: impl Fn(&str) -> bool) -> Option<String> {
    let words = spec.cmds.iter().flat_map(|command| command.split(SEPARATORS));
    let mut files = words.map(|word| word.strip_prefix("./").unwrap_or(word)).filter(|word| {
        let path = to_path(word);
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(&missed) && is_below(&path) && !is_sent(spec, &path) && path.is_file()
    });
    files.next().map(str::to_owned)
}

fn is_below(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// True if it is in the job's directory under this path.
fn is_sent(spec: &JobSpec, path: &Path) -> bool {
    let first: Option<PathBuf> =
        path.components().next().map(|first| PathBuf::from(first.as_os_str()));
    spec.files.iter().any(|file| {
        let sent = to_path(file);
        sent.file_name().map(Path::new) == first.as_deref()
    })
}
