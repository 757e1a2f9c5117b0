//! Outputs of other jobs among a job's files: `@JOBS/PATH`. JOBS is a job's name or a
//! glob of names, PATH a pattern of outputs. They are in the job's directory under
//! `NAME/PATH`, where NAME is that of the job that wrote them.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::after::After;
use crate::dependency::glob_of;
use crate::jobdir::is_reserved;
use crate::output::{OutputPattern, PatternError};
use crate::spec::JobSpec;
use crate::text::excerpt;

/// What such an entry begins with.
const SIGN: char = '@';

/// The longest part of a job's name that is kept in a directory's, bytes.
const LONGEST: usize = 100;

/// An entry of a job's files that names outputs of other jobs.
#[derive(Clone, Debug)]
pub struct FromJob {
    /// As it was written.
    pub text: String,
    /// The jobs, by name: this one is after them.
    pub jobs: After,
    /// Which of their outputs.
    pub path: OutputPattern,
}

impl PartialEq for FromJob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for FromJob {}

/// What is wrong with an entry that names outputs of other jobs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FromJobError {
    /// It does not name jobs and a path.
    #[error(
        "invalid file {found:?}: expected @JOBS/PATH for outputs of other jobs, or ./{found} for a file"
    )]
    Malformed {
        /// The entry.
        found: String,
    },
    /// Its path cannot be an output.
    #[error("file {found:?}: {path:?} {source}")]
    Path {
        /// The entry.
        found: String,
        /// Its path.
        path: String,
        /// What is wrong with that.
        source: PatternError,
    },
    /// No job has such a name.
    #[error(
        "file {found:?}: no job is called {name:?}: expected the name of another job or a glob of names, or ./{found} for a file"
    )]
    UnknownJob {
        /// The entry.
        found: String,
        /// The name or glob.
        name: String,
    },
    /// A job that it names is done without outputs.
    #[error("file {found:?}: {producer} has no outputs: expected `outputs` that the path matches")]
    NoOutputs {
        /// The entry.
        found: String,
        /// The job without outputs.
        producer: String,
    },
}

/// True for an entry of a job's files that names outputs of other jobs.
#[must_use]
pub fn is_from_job(file: &str) -> bool {
    file.starts_with(SIGN)
}

impl FromJob {
    /// Reads an entry of a job's files; none if it is a path of a local file.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(file: &str) -> Option<Result<Self, FromJobError>> {
        let rest = file.strip_prefix(SIGN)?;
        Some(match rest.split_once('/') {
            Some((jobs, path)) if !jobs.is_empty() && !path.is_empty() => OutputPattern::new(path)
                .map(|path| FromJob {
                    text: file.to_owned(),
                    jobs: After::Name(jobs.to_owned()),
                    path,
                })
                .map_err(|source| {
                    let (found, path) = (excerpt(file), excerpt(path));
                    FromJobError::Path { found, path, source }
                }),
            _ => Err(FromJobError::Malformed { found: excerpt(file) }),
        })
    }

    /// The entries among the files of a job; those that are malformed are left out.
    pub fn all_of(spec: &JobSpec) -> impl Iterator<Item = FromJob> {
        spec.files.iter().filter_map(|file| FromJob::parse(file)?.ok())
    }

    /// True when a job of this name is one of its jobs.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        match (&self.jobs, glob_of(&self.jobs, |other| other == name)) {
            (_, Some(glob)) => glob.matches(name),
            (After::Name(own), None) => own == name,
            (After::Job(_) | After::Jobs(..), None) => false,
        }
    }

    /// Its jobs, in their order.
    ///
    /// # Errors
    /// When there are none, or one has no outputs.
    pub fn producers(
        &self,
        specs: &[impl Borrow<JobSpec>],
        by_name: &HashMap<&str, Vec<u32>>,
    ) -> Result<Vec<u32>, FromJobError> {
        let found = named(&self.jobs, by_name).ok_or_else(|| FromJobError::UnknownJob {
            found: excerpt(&self.text),
            name: match &self.jobs {
                After::Name(name) => excerpt(name),
                After::Job(_) | After::Jobs(..) => String::new(),
            },
        })?;
        // Those of past runs are behind all others, and have outputs.
        let specs = found.iter().filter_map(|at| Some((*at, specs.get(*at as usize)?.borrow())));
        match { specs }.find(|(_, spec)| spec.outputs.is_empty()) {
            None => Ok(found),
            Some((index, spec)) => Err(FromJobError::NoOutputs {
                found: excerpt(&self.text),
                producer: title(spec, index),
            }),
        }
    }
}

/// The jobs by their names, each in their order.
pub fn by_name(specs: &[impl Borrow<JobSpec>]) -> HashMap<&str, Vec<u32>> {
    let mut by_name: HashMap<&str, Vec<u32>> = HashMap::new();
    for (index, spec) in (0..).zip(specs) {
        if let Some(name) = &spec.borrow().name {
            by_name.entry(name).or_default().push(index);
        }
    }
    by_name
}

/// The jobs that a name or a glob of names means, in their order; none if there are none.
pub(crate) fn named(after: &After, by_name: &HashMap<&str, Vec<u32>>) -> Option<Vec<u32>> {
    let After::Name(name) = after else { return None };
    let Some(glob) = glob_of(after, |name| by_name.contains_key(name)) else {
        return by_name.get(name.as_str()).cloned();
    };
    let names = by_name.iter().filter(|(name, _)| glob.matches(name));
    let mut found: Vec<u32> = names.flat_map(|(_, jobs)| jobs.iter().copied()).collect();
    found.sort_unstable();
    Some(found).filter(|found| !found.is_empty())
}

/// A job as errors name it.
pub(crate) fn title(spec: &JobSpec, index: u32) -> String {
    match &spec.name {
        Some(name) => format!("job {index} ({name})"),
        None => format!("job {index}"),
    }
}

/// A job's name as that of a directory: what is neither a letter or digit of ASCII nor one of
/// `._+=@-` becomes `_`. Empty for none.
#[must_use]
pub fn dir_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+=@-".contains(c);
    let mut cleaned: String =
        name.chars().map(|c| if plain(c) { c } else { '_' }).take(LONGEST).collect();
    if cleaned.starts_with(['.', '-']) {
        cleaned.replace_range(..1, "_");
    }
    cleaned
}

/// What the directories with outputs of jobs are called in the directories of other jobs:
/// as the job, and `NAME-INDEX` if another job has that name, or gjob a file, with as many `_`
/// behind it as make it no other job's name.
#[derive(Debug)]
pub struct Places {
    /// The jobs of each cleaned name: how many.
    jobs: HashMap<String, u32>,
}

impl Places {
    /// For the jobs of a run.
    #[must_use]
    pub fn new(specs: &[Arc<JobSpec>]) -> Self {
        let mut jobs = HashMap::new();
        for name in specs.iter().filter_map(|spec| spec.name.as_deref()) {
            *jobs.entry(dir_name(name)).or_default() += 1;
        }
        Places { jobs }
    }

    /// Where the outputs of a job are; no other job's are there.
    #[must_use]
    pub fn of(&self, spec: &JobSpec, index: u32) -> String {
        let name = dir_name(spec.name.as_deref().unwrap_or_default());
        if self.jobs.get(&name) == Some(&1) && !is_reserved(&name) {
            return name;
        }
        let mut place = format!("{name}-{index}");
        while self.jobs.contains_key(&place) {
            place.push('_');
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, outputs: &[&str]) -> Arc<JobSpec> {
        let spec = JobSpec::new(["true"]).unwrap().name(name);
        Arc::new(spec.outputs(outputs.iter().copied()))
    }

    #[test]
    fn entry_names_jobs_and_a_path() {
        let entry = FromJob::parse("@fit-*/out/*.csv").unwrap().unwrap();
        assert_eq!(entry.jobs, After::Name("fit-*".into()));
        assert!(entry.path.matches("out/a.csv") && entry.names("fit-1") && !entry.names("fi"));
        assert_eq!(FromJob::parse("./@fit/x"), None);
        for found in ["@", "@a", "@a/", "@/x"] {
            let error = FromJob::parse(found).unwrap().unwrap_err();
            assert_eq!(error, FromJobError::Malformed { found: found.into() });
        }
        let error = FromJob::parse("@a/../x").unwrap().unwrap_err().to_string();
        assert!(error.starts_with(r#"file "@a/../x": "../x" leads out of "#), "{error}");
    }

    #[test]
    fn producers_are_jobs_with_outputs() {
        let jobs = [job("a-1", &["x"]), job("b", &[]), job("a-2", &["x"])];
        let by_name = by_name(&jobs);
        let producers = |entry: &str| {
            let found = FromJob::parse(entry).unwrap().unwrap().producers(&jobs, &by_name);
            found.map_err(|error| error.to_string())
        };
        assert_eq!(producers("@a-*/x"), Ok(vec![0, 2]));
        assert_eq!(
            producers("@c*/x").unwrap_err(),
            r#"file "@c*/x": no job is called "c*": expected the name of another job or a glob of names, or ./@c*/x for a file"#
        );
        assert_eq!(
            producers("@b/x").unwrap_err(),
            r#"file "@b/x": job 1 (b) has no outputs: expected `outputs` that the path matches"#
        );
    }

    #[test]
    fn place_is_the_jobs_name_and_no_other_jobs() {
        let jobs = ["a", "b", "b", "b-1", "log", "./x y", "-/x_y"].map(|name| job(name, &[]));
        let places = Places::new(&jobs);
        let of: Vec<String> = (0..).zip(&jobs).map(|(at, job)| places.of(job, at)).collect();
        assert_eq!(of, ["a", "b-1_", "b-2", "b-1", "log-4", "__x_y-5", "__x_y-6"]);
    }

    #[test]
    fn no_two_jobs_have_a_place_whatever_they_are_called() {
        let names = ["a", "a", "a-0", "a-0_", "a-1", "a-1", "a-1-4", "a-0_-3", "log", "log-8", "-"];
        let jobs = names.map(|name| job(name, &[]));
        let places = Places::new(&jobs);
        let of: Vec<String> = (0..).zip(&jobs).map(|(at, job)| places.of(job, at)).collect();
        let expected = ["a-0__", "a-1_", "a-0", "a-0_", "a-1-4_", "a-1-5", "a-1-4", "a-0_-3"];
        assert_eq!(of[..8], expected);
        let different: std::collections::BTreeSet<&String> = of.iter().collect();
        assert_eq!(different.len(), of.len(), "{of:?}");
    }
}
