//! Builds job lists call by call (the seed's `Builder`).

use crate::dependency::After;
use crate::job::MAX_JOBS;
use crate::spec::{JobSpec, SpecError};

/// Provides a builder syntax for constructing job lists (the seed's `Builder`).
///
/// ```
/// use gjob_core::{Builder, JobSpec};
///
/// let mut builder = Builder::new();
/// builder.add_job(JobSpec::new(["./prepare"])?.files(["prepare"]), None)?;
/// builder.set_repeat(10);
/// builder.add_job(JobSpec::new(["./sample"])?.files(["sample"]).name("sample"), None)?;
/// builder.add_job(JobSpec::new(["./check"])?.files(["check"]), 2)?;
/// assert_eq!(builder.make_job_specs().len(), 1 + 10 + 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    /// What was added, and how many copies of it.
    added: Vec<(JobSpec, u32)>,
    /// For calls of `add_job` without a number of copies.
    repeat: u32,
    /// Jobs in all.
    jobs: u64,
}

/// A job that cannot be added to a [`Builder`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddJobError {
    /// The specification has something wrong with it.
    #[error("job {number}: {}", all(errors))]
    Spec {
        /// Its position among the jobs added, from 1.
        number: usize,
        /// Everything that is wrong.
        errors: Vec<SpecError>,
    },
    /// More jobs than a run may have.
    #[error("job {number}: too many jobs: expected at most {MAX_JOBS}, found {jobs}")]
    TooManyJobs {
        /// Its position among the jobs added, from 1.
        number: usize,
        /// How many there would be in all.
        jobs: u64,
    },
}

fn all(errors: &[SpecError]) -> String {
    let errors: Vec<String> = errors.iter().map(SpecError::to_string).collect();
    errors.join("; ")
}

impl Builder {
    /// A builder without jobs, with 1 as the default number of copies.
    #[must_use]
    pub fn new() -> Self {
        Builder { added: Vec::new(), repeat: 1, jobs: 0 }
    }

    /// Adds a job specification with `repeat` copies (the seed's `AddJob`).
    /// `None` means the default at the time of this call; 0 adds no job.
    ///
    /// # Errors
    /// When something is wrong with the specification, or there are too many
    /// jobs; nothing is added then.
    pub fn add_job(
        &mut self,
        spec: JobSpec,
        repeat: impl Into<Option<u32>>,
    ) -> Result<&mut Self, AddJobError> {
        let number = self.added.len() + 1;
        let repeat = repeat.into().unwrap_or(self.repeat);
        let errors = spec.check();
        if !errors.is_empty() {
            return Err(AddJobError::Spec { number, errors });
        }
        let jobs = self.jobs + u64::from(repeat);
        if jobs > u64::from(MAX_JOBS) {
            return Err(AddJobError::TooManyJobs { number, jobs });
        }
        self.jobs = jobs;
        self.added.push((spec, repeat));
        Ok(self)
    }

    /// Sets the default number of times to replicate a job, for the calls of
    /// [`add_job`](Self::add_job) that follow (the seed's `SetRepeat`).
    pub fn set_repeat(&mut self, repeat: u32) -> &mut Self {
        self.repeat = repeat;
        self
    }

    /// Generates the job specs described by the calls so far, in their order
    /// (the seed's `MakeJobSpecs`). The copies of one job follow each other and
    /// differ only in `repeat_index`. It counts from that of the job added, which
    /// is 0 unless that job is a copy itself.
    ///
    /// Numbers in `after` are those of the calls. They become those of jobs: a job
    /// waits for all copies of another.
    #[must_use]
    pub fn make_job_specs(&self) -> Vec<JobSpec> {
        self.clone().into_job_specs()
    }

    /// Like [`make_job_specs`](Self::make_job_specs), without copying the jobs added.
    #[must_use]
    pub fn into_job_specs(self) -> Vec<JobSpec> {
        let (added, repeats): (Vec<JobSpec>, Vec<u32>) = self.added.into_iter().unzip();
        let firsts = Firsts::new(repeats);
        let mut specs = Vec::with_capacity(firsts.jobs() as usize);
        for (mut spec, repeat) in added.into_iter().zip(&firsts.repeats) {
            if !spec.after.is_empty() {
                let after = std::mem::take(&mut spec.after);
                spec.after = after.iter().filter_map(|after| firsts.copies_of(after)).collect();
            }
            for _ in 1..*repeat {
                specs.push(spec.clone());
                spec.repeat_index = spec.repeat_index.saturating_add(1);
            }
            if *repeat > 0 {
                specs.push(spec);
            }
        }
        specs
    }
}

/// The number of the first copy of each job added.
struct Firsts {
    repeats: Vec<u32>,
    firsts: Vec<u32>,
}

impl Firsts {
    fn new(repeats: Vec<u32>) -> Self {
        let begin = |next: &mut u32, repeat: &u32| Some(std::mem::replace(next, *next + repeat));
        let firsts = repeats.iter().scan(0, begin).collect();
        Firsts { repeats, firsts }
    }

    /// How many jobs there are in all.
    fn jobs(&self) -> u32 {
        self.firsts.last().zip(self.repeats.last()).map_or(0, |(first, repeat)| first + repeat)
    }

    /// The copies of the jobs added under some numbers; none if there are none. A
    /// number that is no call's becomes one that is no job's, for the check that
    /// names it.
    fn copies_of(&self, after: &After) -> Option<After> {
        let (from, to) = match after {
            After::Name(_) => return Some(after.clone()),
            After::Job(number) => (*number as usize, *number as usize),
            After::Jobs(from, to) => (*from as usize, *to as usize),
        };
        match (self.firsts.get(from), self.firsts.get(to)) {
            (Some(first), Some(begin)) => match (*first, begin + self.repeats[to]) {
                (first, end) if end <= first => None,
                (first, end) if end == first + 1 => Some(After::Job(first)),
                (first, end) => Some(After::Jobs(first, end - 1)),
            },
            _ => Some(After::Job(u32::MAX)),
        }
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(cmd: &str) -> JobSpec {
        JobSpec::new([cmd]).unwrap()
    }

    #[test]
    fn jobs_keep_their_order() {
        let mut builder = Builder::new();
        builder.add_job(spec("a"), None).unwrap();
        builder.add_job(spec("b"), None).unwrap();
        assert_eq!(builder.make_job_specs(), [spec("a"), spec("b")]);
        assert_eq!(builder.make_job_specs().len(), 2, "asking changes nothing");
    }

    #[test]
    fn default_repeat_applies_to_later_jobs() {
        let mut builder = Builder::new();
        builder.add_job(spec("a"), None).unwrap();
        builder.set_repeat(2).add_job(spec("b"), None).unwrap();
        builder.add_job(spec("c"), 1).unwrap();
        builder.set_repeat(0).add_job(spec("d"), None).unwrap();
        let cmds: Vec<String> = builder.make_job_specs().iter().map(JobSpec::script).collect();
        assert_eq!(cmds, ["a\n", "b\n", "b\n", "c\n"]);
    }

    #[test]
    fn copies_differ_in_their_index() {
        let mut builder = Builder::new();
        builder.add_job(spec("a").name("n"), 3).unwrap();
        let copies = builder.make_job_specs();
        assert!(copies.iter().all(|copy| copy.name.as_deref() == Some("n")));
        assert!(copies.iter().map(|copy| copy.repeat_index).eq(0..3));
    }

    #[test]
    fn added_copy_keeps_its_index() {
        let mut builder = Builder::new();
        let mut copy = spec("a");
        copy.repeat_index = 4;
        builder.add_job(copy.clone(), None).unwrap();
        assert_eq!(builder.make_job_specs(), [copy]);
    }

    #[test]
    fn invalid_job_is_refused_with_all_its_errors() {
        let mut builder = Builder::new();
        builder.add_job(spec("a"), None).unwrap();
        let bad = spec("b").name("").env("1", "");
        let error = builder.add_job(bad, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "job 2: invalid job name \"\": expected 1 to 255 bytes of printable characters; \
             invalid environment variable name \"1\": expected letters, digits and _, not \
             starting with a digit"
        );
        assert_eq!(builder.make_job_specs().len(), 1);
    }

    #[test]
    fn number_of_jobs_is_limited() {
        let mut builder = Builder::new();
        builder.add_job(spec("a"), None).unwrap();
        let error = builder.add_job(spec("b"), u32::MAX).unwrap_err();
        assert_eq!(
            error.to_string(),
            "job 2: too many jobs: expected at most 10000000, found 4294967296"
        );
    }

    #[test]
    fn job_waits_for_all_copies_of_another() {
        let mut builder = Builder::new();
        let job = || JobSpec::new(["true"]).unwrap();
        builder.add_job(job(), 3).unwrap();
        builder.add_job(job(), 0).unwrap();
        builder.add_job(job(), None).unwrap();
        let all = [After::Job(0), After::Job(1), After::Job(2), After::Name("x".into())];
        builder.add_job(job().after(all), 2).unwrap();
        let specs = builder.make_job_specs();
        let after = [After::Jobs(0, 2), After::Job(3), After::Name("x".into())];
        assert_eq!(specs[4].after, after);
        assert_eq!(specs[5].after, after);
    }
}
