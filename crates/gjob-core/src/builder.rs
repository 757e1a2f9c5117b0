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
    /// What was added, and how often it is wanted.
    added: Vec<(JobSpec, u32)>,
    /// For calls of `add_job` that don't say how often.
    repeat: u32,
    /// Jobs in all.
    jobs: u64,
}

/// A job that can't be added to a [`Builder`].
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
    #[error("job {number}: {jobs} jobs in all: at most {MAX_JOBS} are accepted")]
    TooManyJobs {
        /// Its position among the jobs added, from 1.
        number: usize,
        /// How many there would be.
        jobs: u64,
    },
}

fn all(errors: &[SpecError]) -> String {
    let errors: Vec<String> = errors.iter().map(SpecError::to_string).collect();
    errors.join("; ")
}

impl Builder {
    /// A builder without jobs; each job added is wanted once.
    #[must_use]
    pub fn new() -> Self {
        Builder { added: Vec::new(), repeat: 1, jobs: 0 }
    }

    /// Adds a job specification, wanted `repeat` times (the seed's `AddJob`).
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
    /// (the seed's `MakeJobSpecs`). The copies of one job follow each other;
    /// they differ in `repeat_index` alone, counted from that of the job added,
    /// which is 0 unless it is a copy itself. Where a job was added
    /// to wait [`After`] others by their numbers, in the order of the calls, it
    /// waits for all copies of these.
    #[must_use]
    pub fn make_job_specs(&self) -> Vec<JobSpec> {
        self.clone().into_job_specs()
    }

    /// The same, at the cost of the builder: what is wanted once is not copied.
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

/// Where the copies of each job added begin.
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

    /// The jobs that became of what was added under some numbers, if any did;
    /// a number that nothing was added under stays no job's.
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
    fn jobs_come_once_each_in_the_order_added() {
        let mut builder = Builder::new();
        builder.add_job(spec("a"), None).unwrap();
        builder.add_job(spec("b"), None).unwrap();
        assert_eq!(builder.make_job_specs(), [spec("a"), spec("b")]);
        assert_eq!(builder.make_job_specs().len(), 2, "asking changes nothing");
    }

    #[test]
    fn the_default_repeat_counts_for_the_jobs_added_after_it() {
        let mut builder = Builder::new();
        builder.add_job(spec("a"), None).unwrap();
        builder.set_repeat(2).add_job(spec("b"), None).unwrap();
        builder.add_job(spec("c"), 1).unwrap();
        builder.set_repeat(0).add_job(spec("d"), None).unwrap();
        let cmds: Vec<String> = builder.make_job_specs().iter().map(JobSpec::script).collect();
        assert_eq!(cmds, ["a\n", "b\n", "b\n", "c\n"]);
    }

    #[test]
    fn copies_keep_the_name_and_are_told_apart_by_their_index() {
        let mut builder = Builder::new();
        builder.add_job(spec("a").name("n"), 3).unwrap();
        let copies = builder.make_job_specs();
        assert!(copies.iter().all(|copy| copy.name.as_deref() == Some("n")));
        assert!(copies.iter().map(|copy| copy.repeat_index).eq(0..3));
    }

    #[test]
    fn a_copy_that_is_added_stays_that_copy() {
        let mut builder = Builder::new();
        let mut copy = spec("a");
        copy.repeat_index = 4;
        builder.add_job(copy.clone(), None).unwrap();
        assert_eq!(builder.make_job_specs(), [copy]);
    }

    #[test]
    fn a_bad_job_is_refused_with_everything_that_is_wrong_and_not_added() {
        let mut builder = Builder::new();
        builder.add_job(spec("a"), None).unwrap();
        let bad = spec("b").name("").env("1", "");
        let error = builder.add_job(bad, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "job 2: name \"\" is not accepted: one line of 1 to 255 bytes without control \
             characters is; environment variable name \"1\" is not accepted: letters, digits \
             and _ are, not beginning with a digit"
        );
        assert_eq!(builder.make_job_specs().len(), 1);
    }

    #[test]
    fn more_jobs_than_a_run_may_have_are_refused_before_they_are_made() {
        let mut builder = Builder::new();
        builder.add_job(spec("a"), None).unwrap();
        let error = builder.add_job(spec("b"), u32::MAX).unwrap_err();
        assert_eq!(
            error.to_string(),
            "job 2: 4294967296 jobs in all: at most 10000000 are accepted"
        );
    }

    #[test]
    fn a_job_that_waits_for_another_waits_for_all_its_copies() {
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
