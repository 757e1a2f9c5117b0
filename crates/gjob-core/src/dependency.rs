//! Jobs that wait for others: what a specification may say of that, and the
//! groups of jobs that follow from it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub use crate::after::After;
use crate::spec::JobSpec;
use crate::text::excerpt;

/// The most jobs that the groups which are waited for may come to in all, a job
/// counted in each of its groups, and as many that wait for groups. It bounds
/// the memory.
const MAX_LINKS: usize = 20_000_000;

/// Jobs of a cycle that are named, at most.
const MAX_NAMED: usize = 20;

/// Dependencies that can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DependencyError {
    /// No job has the name.
    #[error("{job}: after {name:?} names no job: the name of another job is expected")]
    UnknownName {
        /// The job that waits.
        job: String,
        /// The name.
        name: String,
    },
    /// There are not so many jobs.
    #[error("{job}: after {number} names no job: the jobs are 0 to {last}")]
    UnknownNumber {
        /// The job that waits.
        job: String,
        /// The number.
        number: u32,
        /// The last job's.
        last: u32,
    },
    /// More than a manager can keep in mind.
    #[error(
        "{job}: jobs wait for too many others in all, {MAX_LINKS} at most: a job that waits for \
         many, and does nothing, can be waited for in their place"
    )]
    TooMany {
        /// The job at which it is too many.
        job: String,
    },
    /// Jobs that wait for each other.
    #[error("jobs wait for each other: {}", cycle.join(" after "))]
    Cycle {
        /// Each after the next, the first one again at the end; of many, some.
        cycle: Vec<String>,
    },
}

/// Who waits for whom, by job index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// Jobs that are waited for together.
    groups: Vec<Group>,
    /// The groups that a job waits for, of jobs that wait.
    waits: BTreeMap<u32, Vec<u32>>,
    /// The groups that a job belongs to, of jobs that are waited for.
    member_of: BTreeMap<u32, Vec<u32>>,
}

/// Jobs that are waited for together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The jobs.
    pub members: Vec<u32>,
    /// Those that wait for all of them.
    pub dependants: Vec<u32>,
}

impl Dependencies {
    /// Resolves what `specs` say.
    ///
    /// # Errors
    /// A name or number that is no job's, or the jobs of a cycle.
    pub fn resolve(specs: &[Arc<JobSpec>]) -> Result<Self, DependencyError> {
        let mut found = Dependencies::default();
        if specs.iter().all(|spec| spec.after.is_empty()) {
            return Ok(found);
        }
        let mut by_name: HashMap<&str, Vec<u32>> = HashMap::new();
        for (index, spec) in (0..).zip(specs) {
            if let Some(name) = &spec.name {
                by_name.entry(name).or_default().push(index);
            }
        }
        let mut groups: HashMap<&After, u32> = HashMap::new();
        let (mut members_left, mut waits_left) = (MAX_LINKS, MAX_LINKS);
        let less = |left: usize, links: usize, index: u32| {
            let job = || DependencyError::TooMany { job: say(specs, index) };
            left.checked_sub(links).ok_or_else(job)
        };
        for (index, spec) in (0..).zip(specs) {
            for after in &spec.after {
                waits_left = less(waits_left, 1, index)?;
                let group = match groups.get(after) {
                    Some(group) => *group,
                    None => {
                        let members = members(after, &by_name, specs, index)?;
                        members_left = less(members_left, members.len(), index)?;
                        let group = found.add_group(members);
                        groups.insert(after, group);
                        group
                    }
                };
                found.groups[group as usize].dependants.push(index);
                found.waits.entry(index).or_default().push(group);
            }
        }
        match found.find_cycle() {
            None => Ok(found),
            Some(cycle) => Err(DependencyError::Cycle { cycle: say_cycle(specs, &cycle) }),
        }
    }

    fn add_group(&mut self, members: Vec<u32>) -> u32 {
        let group = self.groups.len() as u32;
        for member in &members {
            self.member_of.entry(*member).or_default().push(group);
        }
        self.groups.push(Group { members, dependants: Vec::new() });
        group
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The groups that a job waits for.
    #[must_use]
    pub fn waits(&self, index: u32) -> &[u32] {
        self.waits.get(&index).map_or(&[], Vec::as_slice)
    }

    /// The groups that a job belongs to.
    #[must_use]
    pub fn member_of(&self, index: u32) -> &[u32] {
        self.member_of.get(&index).map_or(&[], Vec::as_slice)
    }

    /// Jobs of which each waits for the next, and the last for the first, which
    /// is given again.
    fn find_cycle(&self) -> Option<Vec<u32>> {
        let mut left: BTreeMap<u32, usize> =
            self.waits.iter().map(|(index, groups)| (*index, groups.len())).collect();
        let mut open: Vec<usize> = self.groups.iter().map(|group| group.members.len()).collect();
        let mut free: Vec<u32> =
            self.member_of.keys().copied().filter(|index| !left.contains_key(index)).collect();
        while let Some(index) = free.pop() {
            for group in self.member_of(index) {
                open[*group as usize] -= 1;
                if open[*group as usize] > 0 {
                    continue;
                }
                for dependant in &self.groups[*group as usize].dependants {
                    let waits = left.get_mut(dependant)?;
                    *waits -= 1;
                    if *waits == 0 {
                        left.remove(dependant);
                        free.push(*dependant);
                    }
                }
            }
        }
        let first = *left.keys().next()?;
        let mut walk = vec![first];
        let mut seen: BTreeMap<u32, usize> = BTreeMap::from([(first, 0)]);
        loop {
            // A job that is left waits for one that is left.
            let at = walk.last().copied()?;
            let members = self.waits(at).iter().flat_map(|g| &self.groups[*g as usize].members);
            let next = members.copied().find(|member| left.contains_key(member))?;
            walk.push(next);
            if let Some(begin) = seen.insert(next, walk.len() - 1) {
                return Some(walk.split_off(begin));
            }
        }
    }
}

fn members(
    after: &After,
    by_name: &HashMap<&str, Vec<u32>>,
    specs: &[Arc<JobSpec>],
    index: u32,
) -> Result<Vec<u32>, DependencyError> {
    let (from, to) = match after {
        After::Name(name) => {
            let unknown =
                || DependencyError::UnknownName { job: say(specs, index), name: excerpt(name) };
            return by_name.get(name.as_str()).cloned().ok_or_else(unknown);
        }
        After::Job(number) => (*number, *number),
        After::Jobs(from, to) => (*from, *to),
    };
    let last = (specs.len() as u32).saturating_sub(1);
    match [from, to].into_iter().find(|number| *number > last) {
        Some(number) => {
            Err(DependencyError::UnknownNumber { job: say(specs, index), number, last })
        }
        None => Ok((from..=to).collect()),
    }
}

/// The jobs of a cycle as errors call them.
fn say_cycle(specs: &[Arc<JobSpec>], cycle: &[u32]) -> Vec<String> {
    let say = |index: &u32| say(specs, *index);
    let Some((last, others)) = cycle.split_last().filter(|_| cycle.len() > MAX_NAMED) else {
        return cycle.iter().map(say).collect();
    };
    let (named, left) = others.split_at(MAX_NAMED - 1);
    let left = format!("{} more jobs", left.len());
    named.iter().map(say).chain([left, say(last)]).collect()
}

/// A job as errors call it.
fn say(specs: &[Arc<JobSpec>], index: u32) -> String {
    match specs.get(index as usize).and_then(|spec| spec.name.as_deref()) {
        Some(name) => format!("job {index} ({name})"),
        None => format!("job {index}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, after: &[After]) -> Arc<JobSpec> {
        let mut spec = JobSpec::new(["true"]).unwrap().name(name);
        spec.after = after.to_vec();
        Arc::new(spec)
    }

    fn name(name: &str) -> After {
        After::Name(name.into())
    }

    #[test]
    fn a_name_stands_for_all_jobs_that_have_it() {
        let jobs = [job("a", &[]), job("a", &[]), job("b", &[name("a")]), job("c", &[name("a")])];
        let found = Dependencies::resolve(&jobs).unwrap();
        assert_eq!(found.groups(), [Group { members: vec![0, 1], dependants: vec![2, 3] }]);
        assert_eq!(found.waits(2), [0]);
        assert_eq!(found.member_of(1), [0]);
        assert!(found.waits(0).is_empty());
    }

    #[test]
    fn a_cycle_is_said_with_all_its_jobs() {
        let jobs = [
            job("x", &[After::Job(1)]),
            job("a", &[name("c")]),
            job("b", &[name("a")]),
            job("c", &[After::Jobs(2, 2)]),
        ];
        let error = Dependencies::resolve(&jobs).unwrap_err().to_string();
        assert_eq!(
            error,
            "jobs wait for each other: job 1 (a) after job 3 (c) after job 2 (b) after job 1 (a)"
        );
        let alone = [job("a", &[name("a")])];
        assert!(matches!(Dependencies::resolve(&alone), Err(DependencyError::Cycle { .. })));
    }

    #[test]
    fn of_a_long_cycle_some_jobs_are_said() {
        let next = |at: u32| job("", &[After::Job((at + 1) % 100_000)]);
        let jobs: Vec<_> = (0..100_000).map(next).collect();
        let error = Dependencies::resolve(&jobs).unwrap_err().to_string();
        assert!(error.ends_with("after job 18 () after 99981 more jobs after job 0 ()"), "{error}");
        assert!(error.len() < 1000, "{error}");
    }

    #[test]
    fn more_than_fits_into_memory_is_refused() {
        let barrier = |at: u32| match at.checked_sub(1) {
            Some(last) => job("", &[After::Jobs(0, last)]),
            None => job("", &[]),
        };
        let jobs: Vec<_> = (0..100_000).map(barrier).collect();
        let error = Dependencies::resolve(&jobs).unwrap_err().to_string();
        assert!(error.starts_with("job 6325 (): jobs wait for too many others"), "{error}");
    }

    #[test]
    fn what_names_no_job_is_refused() {
        let error = |after| Dependencies::resolve(&[job("a", &[after])]).unwrap_err().to_string();
        assert_eq!(
            error(name("b")),
            "job 0 (a): after \"b\" names no job: the name of another job is expected"
        );
        assert_eq!(error(After::Job(7)), "job 0 (a): after 7 names no job: the jobs are 0 to 0");
    }

    #[test]
    fn json_has_names_numbers_and_ranges() {
        let read: Vec<After> = serde_json::from_str(r#"["a", 3, [4, 9]]"#).unwrap();
        assert_eq!(read, [name("a"), After::Job(3), After::Jobs(4, 9)]);
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["a",3,[4,9]]"#);
    }
}
