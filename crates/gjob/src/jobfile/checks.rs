//! What can only be checked once all jobs are read: that their files can be sent,
//! and that the jobs they wait for exist. Each error is given once, at the first
//! job that has it.

use std::collections::HashSet;

use gjob_core::JobSpec;
use gjob_core::dependency::{After, glob_of};
use gjob_core::from_job::{FromJob, by_name};
use gjob_core::os_text::to_path;
use gjob_core::spec::SpecError;
use gjob_core::text::excerpt;

use super::problem::Problem;
use crate::inputs::check;
use crate::nearest::nearest;

/// Finds files that cannot be sent, each with the job's index. Directories are
/// not looked into.
pub(super) fn check_files(specs: &[JobSpec]) -> impl Iterator<Item = (usize, Problem)> {
    let mut seen = HashSet::new();
    let files = specs.iter().enumerate();
    let files = files.flat_map(|(index, spec)| spec.local_files().map(move |path| (index, path)));
    files.filter_map(move |(index, path)| {
        let error = seen.insert(path).then(|| check(&to_path(path)))?.err()?;
        Some((index, error.into()))
    })
}

/// Finds files that are to be outputs of other jobs and cannot be, each with the index of
/// the job that needs them.
pub(super) fn check_from_jobs(specs: &[JobSpec]) -> Vec<(usize, Problem)> {
    let by_name = by_name(specs);
    let mut seen = HashSet::new();
    let mut problems = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let entries = FromJob::all_of(spec).filter(|entry| seen.insert(entry.jobs.clone()));
        let wrong = entries.filter_map(|entry| entry.producers(specs, &by_name).err());
        problems.extend(wrong.map(|error| (index, SpecError::FromJob(error).into())));
    }
    problems
}

/// Finds entries of `after` that are no job's, each with the waiting job's index.
pub(super) fn check_after(specs: &[JobSpec]) -> Vec<(usize, Problem)> {
    let mut problems = Vec::new();
    if specs.iter().all(|spec| spec.after.is_empty()) {
        return problems;
    }
    let names: HashSet<&str> = specs.iter().filter_map(|spec| spec.name.as_deref()).collect();
    let last = u32::try_from(specs.len()).unwrap_or(u32::MAX).saturating_sub(1);
    let mut seen = HashSet::new();
    for (index, spec) in specs.iter().enumerate() {
        let first_seen = spec.after.iter().filter(|after| seen.insert(*after));
        let unknown = first_seen.filter_map(|after| unknown(after, &names, last));
        problems.extend(unknown.map(|problem| (index, problem)));
    }
    problems
}

fn unknown(after: &After, names: &HashSet<&str>, last: u32) -> Option<Problem> {
    let number = match after {
        After::Name(name) if names.contains(name.as_str()) => return None,
        // What it matches is found when all of them are resolved.
        After::Name(_) if glob_of(after, |name| names.contains(name)).is_some() => return None,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn job(files: &[&str], after: &[After]) -> JobSpec {
        JobSpec::new(["true"]).unwrap().files(files.iter().copied()).after(after.to_vec())
    }

    fn shown(problems: impl IntoIterator<Item = (usize, Problem)>) -> Vec<String> {
        let shown = |(index, problem)| format!("{index}: {problem}");
        problems.into_iter().map(shown).collect()
    }

    #[test]
    fn files_that_cannot_be_sent_are_found_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("good"), "x").unwrap();
        std::fs::create_dir(path("dir")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path("fifo")).status();
        assert!(made.unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        let (good, missing) = (path("good"), path("missing"));
        let jobs = [
            job(&[&good, &missing], &[]),
            job(&[&missing, &path("fifo")], &[]),
            job(&[&path("dir"), &path("good/x")], &[]),
            job(&[&path("socket"), "/dev/null"], &[]),
        ];
        assert_eq!(
            shown(check_files(&jobs)),
            [
                format!("0: file {missing:?} does not exist"),
                format!(
                    "1: file {:?} is a FIFO: expected a regular file or a directory",
                    path("fifo")
                ),
                format!(
                    "2: file {:?} cannot be read: Not a directory (os error 20)",
                    path("good/x")
                ),
                format!(
                    "3: file {:?} is a socket: expected a regular file or a directory",
                    path("socket")
                ),
                "3: file \"/dev/null\" is a device: expected a regular file or a directory"
                    .to_owned(),
            ]
        );
    }

    #[test]
    fn jobs_to_wait_for_exist() {
        let name = |name: &str| After::Name(name.to_owned());
        let jobs = [
            job(&[], &[]).name("train"),
            job(&[], &[name("trian"), name("train"), After::Job(0)]),
            job(&[], &[After::Job(3)]),
            job(&[], &[name("trian"), After::Jobs(0, 4), After::Jobs(0, 3)]),
        ];
        let problems = check_after(&jobs);
        assert_eq!(problems[0].1.help().as_deref(), Some("did you mean \"train\"?"));
        assert_eq!(
            shown(problems),
            [
                "1: unknown job \"trian\": expected the name of another job",
                "3: unknown job 4: expected a number from 0 to 3",
            ]
        );
    }
}
