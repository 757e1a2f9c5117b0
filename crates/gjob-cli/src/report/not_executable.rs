//! The file that a failed job could not run: it was sent without execute permission.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use gjob_core::os_text::to_path;
use gjob_core::text::printable;
use gjob_core::{Job, JobSpec, RunId};

use super::unsent::{LOOKED_AT, SEPARATORS};

/// The exit status of a shell for a command that cannot be run.
const NOT_EXECUTABLE: u8 = 126;

/// What to do about the first failed job whose command is a file of this kind.
pub(super) fn hint(jobs: &[Job], id: &RunId) -> Option<String> {
    let failed = jobs.iter().filter(|job| job.has_failed() && job.exit() == Some(NOT_EXECUTABLE));
    let found = failed.take(LOOKED_AT).find_map(|job| plain_file(&job.spec))?;
    let file = printable(&found.display().to_string());
    Some(format!(
        "{file} was sent without execute permission: `chmod +x {file}`, then `gjob retry --new-files --attach -R {id}`"
    ))
}

/// The local file that a job's commands name by a path in the job's directory, as one is
/// run, and that has no execute permission.
fn plain_file(spec: &JobSpec) -> Option<PathBuf> {
    let words = spec.cmds.iter().flat_map(|command| command.split(SEPARATORS));
    let named = words.filter(|word| word.contains('/'));
    let mut found = named.filter_map(|word| local(spec, word.strip_prefix("./").unwrap_or(word)));
    found.find(|path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 == 0)
    })
}

/// The local path of what is at a path in the job's directory.
fn local(spec: &JobSpec, path: &str) -> Option<PathBuf> {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let mut sent = spec.local_files().map(|file| to_path(file));
    let sent = sent.find(|sent| sent.file_name().is_some_and(|name| name == first))?;
    Some(if rest.is_empty() { sent } else { sent.join(to_path(rest)) })
}
