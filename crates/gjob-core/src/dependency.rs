//! Jobs that wait for others: the groups of jobs that the `after` of all
//! specifications comes to, and what cannot be resolved.
//!
//! Many jobs often wait for the same many jobs. Equal entries of `after` share one
//! group, so that there are no edges from each job to each other.

mod past;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

pub use past::{PastProducer, PastProducers};

pub use crate::after::After;
use crate::from_job::{self, FromJob, FromJobError, Places, named};
use crate::output::OutputPattern;
use crate::plural::counted;
use crate::spec::{FILE_OVERHEAD, JobSpec, MAX_FILES_BYTES, base_name};
use crate::text::excerpt;

/// The most edges from groups to their members, and as many from groups to the
/// jobs that wait for them. It bounds the memory.
const MAX_EDGES: usize = 20_000_000;

/// The most work that globs may be: the bytes of each, times the names that it looks at.
const MAX_GLOB_WORK: usize = 1_000_000_000;

/// The most jobs of a cycle that are named.
const MAX_NAMED: usize = 20;

/// Dependencies that cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DependencyError {
    /// No job has the name.
    #[error("{job}: unknown job {name:?} in after: expected the name of another job")]
    UnknownName {
        /// The job that waits.
        job: String,
        /// The name.
        name: String,
    },
    /// No job has the number.
    #[error("{job}: unknown job {number} in after: expected a number from 0 to {last}")]
    UnknownNumber {
        /// The job that waits.
        job: String,
        /// The number.
        number: u32,
        /// The last job's.
        last: u32,
    },
    /// Outputs of other jobs that cannot be a job's files.
    #[error("{job}: {source}")]
    FromJob {
        /// The job that needs them.
        job: String,
        /// What is wrong.
        source: FromJobError,
    },
    /// A job's file that has the name of the directory with another job's outputs.
    #[error(
        "{job}: file {file:?} and the outputs of {producer} have the same name: expected a different one for each in the job directory"
    )]
    SamePlace {
        /// The job that needs both.
        job: String,
        /// The file.
        file: String,
        /// The other job.
        producer: String,
    },
    /// More jobs whose outputs are wanted than fit into a launch.
    #[error(
        "{job}: too many jobs whose outputs are its files: the names of their directories have {found} bytes, {FILE_OVERHEAD} of them for each, expected at most {MAX_FILES_BYTES}"
    )]
    TooManyProducers {
        /// The job that needs them.
        job: String,
        /// Bytes in all.
        found: usize,
    },
    /// More than fits into a manager's memory.
    #[error(
        "{job}: too many dependencies: expected at most {MAX_EDGES} in a run\n\
         help: let many jobs wait for one empty job that waits for many"
    )]
    TooMany {
        /// The first job that is too many.
        job: String,
    },
    /// Jobs that wait for each other.
    #[error("dependency cycle: {}", cycle.join(" after "))]
    Cycle {
        /// Each waits for the next, and the first one is repeated at the end. Of many
        /// jobs, some are left out.
        cycle: Vec<String>,
    },
}

/// The jobs that wait, and what they wait for, by job index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// Jobs that others wait for together.
    groups: Vec<Group>,
    /// For each job that waits, the groups that it waits for.
    waits: BTreeMap<u32, Vec<u32>>,
    /// For each job that others wait for, the groups that it belongs to.
    member_of: BTreeMap<u32, Vec<u32>>,
    /// For each job that has outputs of others among its files, which.
    sources: BTreeMap<u32, Vec<FromGroup>>,
    /// For each of these others, what the directory with its outputs is called.
    places: BTreeMap<u32, String>,
    /// Jobs of past runs that are done, and whose outputs jobs need.
    past: Vec<PastProducer>,
}

/// Outputs of the jobs of a group, among the files of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromGroup {
    /// The group.
    pub group: u32,
    /// The entry of the files.
    pub entry: FromJob,
}

/// Outputs of one job among the files of another.
#[derive(Clone, Debug)]
pub struct FromOne<'a> {
    /// The job that writes them; of those of past runs its position among them.
    pub producer: u32,
    /// The directory that they are in, below the other job's.
    pub place: &'a str,
    /// Which.
    pub paths: Vec<&'a OutputPattern>,
}

/// Jobs that others wait for together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The jobs.
    pub members: Vec<u32>,
    /// Jobs of past runs that belong to it: by their positions among those that the run needs.
    pub past: Vec<u32>,
    /// Those that wait for all of them.
    pub dependants: Vec<u32>,
}

impl Dependencies {
    /// Resolves the `after` of all `specs`.
    ///
    /// # Errors
    /// When an entry is not a job's name or number, or jobs wait for each other.
    pub fn resolve(specs: &[Arc<JobSpec>]) -> Result<Self, DependencyError> {
        Dependencies::resolve_with(specs, PastProducers::default())
    }

    /// The same for a run that needs outputs of past runs' jobs.
    ///
    /// # Errors
    /// As [`Dependencies::resolve`].
    pub fn resolve_with(
        specs: &[Arc<JobSpec>],
        past: PastProducers,
    ) -> Result<Self, DependencyError> {
        let PastProducers { jobs: past, places } = past;
        let mut found = Dependencies { places, ..Dependencies::default() };
        let has_files = |spec: &JobSpec| spec.files.iter().any(|file| from_job::is_from_job(file));
        if specs.iter().all(|spec| spec.after.is_empty() && !has_files(spec)) {
            return Ok(found);
        }
        let by_name = by_name(specs, &past);
        let mut groups: HashMap<After, u32> = HashMap::new();
        let mut checked: HashSet<After> = HashSet::new();
        let (mut members_left, mut waits_left) = (MAX_EDGES, MAX_EDGES);
        let mut glob_work_left = MAX_GLOB_WORK;
        let less = |left: usize, edges: usize, index: u32| {
            let too_many = || DependencyError::TooMany { job: title(specs, index) };
            left.checked_sub(edges).ok_or_else(too_many)
        };
        for (index, spec) in (0..).zip(specs) {
            let entries: Vec<FromJob> = FromJob::all_of(spec).collect();
            for entry in entries.iter().filter(|entry| checked.insert(entry.jobs.clone())) {
                entry.producers(specs, &by_name).map_err(|source| DependencyError::FromJob {
                    job: title(specs, index),
                    source,
                })?;
            }
            let mut seen = HashSet::new();
            let all = spec.after.iter().chain(entries.iter().map(|entry| &entry.jobs));
            for after in all.filter(|after| seen.insert(*after)) {
                waits_left = less(waits_left, 1, index)?;
                let group = match groups.get(after) {
                    Some(group) => *group,
                    None => {
                        if let Some(glob) = glob_of(after, |name| by_name.contains_key(name)) {
                            let work = glob.as_str().len().saturating_mul(by_name.len());
                            glob_work_left = less(glob_work_left, work, index)?;
                        }
                        let members = members(after, &by_name, specs, index)?;
                        members_left = less(members_left, members.len(), index)?;
                        let group = found.add_group(members, specs.len() as u32);
                        groups.insert(after.clone(), group);
                        group
                    }
                };
                if found.groups[group as usize].members.is_empty() {
                    continue;
                }
                found.groups[group as usize].dependants.push(index);
                found.waits.entry(index).or_default().push(group);
            }
            let sources = entries.into_iter().map(|entry| {
                // Each of its jobs is in a group by now.
                FromGroup { group: groups[&entry.jobs], entry }
            });
            let sources: Vec<FromGroup> = sources.collect();
            if !sources.is_empty() {
                found.sources.insert(index, sources);
            }
        }
        found.past = past;
        found.place_sources(specs)?;
        match found.find_cycle() {
            None => Ok(found),
            Some(cycle) => Err(DependencyError::Cycle { cycle: titles(specs, &cycle) }),
        }
    }

    /// Adds a group of jobs of the run, of which there are `jobs`, and of past runs behind them.
    fn add_group(&mut self, mut members: Vec<u32>, jobs: u32) -> u32 {
        let group = self.groups.len() as u32;
        let past = members.split_off(members.partition_point(|member| *member < jobs));
        for member in &members {
            self.member_of.entry(*member).or_default().push(group);
        }
        let past = past.into_iter().map(|index| index - jobs).collect();
        self.groups.push(Group { members, past, dependants: Vec::new() });
        group
    }

    /// Finds each job whose outputs are wanted its place, which is no other's.
    fn place_sources(&mut self, specs: &[Arc<JobSpec>]) -> Result<(), DependencyError> {
        if self.sources.is_empty() {
            return Ok(());
        }
        let places = Places::new(specs);
        let groups: HashSet<u32> = self.sources.values().flatten().map(|from| from.group).collect();
        // What each group takes in a launch, bytes.
        let mut sizes: HashMap<u32, usize> = HashMap::new();
        for group in groups {
            for member in &self.groups[group as usize].members {
                let new = || places.of(&specs[*member as usize], *member);
                let place = self.places.entry(*member).or_insert_with(new);
                *sizes.entry(group).or_default() += place.len() + FILE_OVERHEAD;
            }
            for past in &self.groups[group as usize].past {
                let place = &self.past[*past as usize].place;
                *sizes.entry(group).or_default() += place.len() + FILE_OVERHEAD;
            }
        }
        let at: HashMap<&str, u32> =
            self.places.iter().map(|(producer, place)| (place.as_str(), *producer)).collect();
        for (index, sources) in &self.sources {
            let groups: HashSet<u32> = sources.iter().map(|from| from.group).collect();
            let found = groups.iter().map(|group| sizes[group]).sum();
            if found > MAX_FILES_BYTES {
                return Err(DependencyError::TooManyProducers { job: title(specs, *index), found });
            }
            let files = specs[*index as usize].local_files();
            // With those of past runs it was looked at before some jobs were left out.
            let taken = files.filter_map(|file| Some((file, *at.get(base_name(file)?)?)));
            for (file, producer) in taken {
                if self.member_of(producer).iter().any(|group| groups.contains(group)) {
                    return Err(DependencyError::SamePlace {
                        job: title(specs, *index),
                        file: excerpt(file),
                        producer: title(specs, producer),
                    });
                }
            }
        }
        Ok(())
    }

    /// The entries of a job's files that are outputs of other jobs, with these.
    #[must_use]
    pub fn sources(&self, index: u32) -> &[FromGroup] {
        self.sources.get(&index).map_or(&[], Vec::as_slice)
    }

    /// The outputs of other jobs among a job's files, by the jobs that write them.
    #[must_use]
    pub fn producers(&self, index: u32) -> Vec<FromOne<'_>> {
        let place = |producer| self.places.get(&producer).map_or("", String::as_str);
        self.sources_of(index, |group| &group.members, place)
    }

    /// The outputs of past runs' jobs among a job's files, by these jobs.
    #[must_use]
    pub fn past_producers(&self, index: u32) -> Vec<FromOne<'_>> {
        self.sources_of(index, |group| &group.past, |past| &self.past[past as usize].place)
    }

    fn sources_of<'a>(
        &'a self,
        index: u32,
        of: impl Fn(&'a Group) -> &'a Vec<u32>,
        place: impl Fn(u32) -> &'a str,
    ) -> Vec<FromOne<'a>> {
        let mut found: BTreeMap<u32, Vec<&OutputPattern>> = BTreeMap::new();
        for from in self.sources(index) {
            for member in of(&self.groups[from.group as usize]) {
                found.entry(*member).or_default().push(&from.entry.path);
            }
        }
        let one = |(producer, paths)| FromOne { producer, place: place(producer), paths };
        found.into_iter().map(one).collect()
    }

    /// The jobs of past runs that are done, and whose outputs jobs need.
    #[must_use]
    pub fn past(&self) -> &[PastProducer] {
        &self.past
    }

    /// What the directory with a job's outputs is called in the directories of others; none
    /// if no job needs them.
    #[must_use]
    pub fn place(&self, producer: u32) -> Option<&str> {
        self.places.get(&producer).map(String::as_str)
    }

    /// All jobs of a run of this many, those first whose outputs others need.
    #[must_use]
    pub fn producers_first(&self, jobs: u32) -> Vec<u32> {
        // Those that need outputs of jobs of the run, each with the groups of which some are left.
        let has_members = |group: &u32| !self.groups[*group as usize].members.is_empty();
        let groups = |sources: &Vec<FromGroup>| {
            sources.iter().map(|from| from.group).filter(has_members).collect::<HashSet<u32>>()
        };
        let left = self.sources.iter().map(|(job, sources)| (*job, groups(sources)));
        let mut left: BTreeMap<u32, HashSet<u32>> =
            left.filter(|(_, groups)| !groups.is_empty()).collect();
        let mut order: Vec<u32> = (0..jobs).filter(|job| !left.contains_key(job)).collect();
        let mut open: Vec<usize> = self.groups.iter().map(|group| group.members.len()).collect();
        let mut at = 0;
        while let Some(job) = order.get(at).copied() {
            at += 1;
            for group in self.member_of(job) {
                open[*group as usize] -= 1;
                if open[*group as usize] > 0 {
                    continue;
                }
                for dependant in &self.groups[*group as usize].dependants {
                    let Some(groups) = left.get_mut(dependant) else { continue };
                    groups.remove(group);
                    if groups.is_empty() {
                        left.remove(dependant);
                        order.push(*dependant);
                    }
                }
            }
        }
        order
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

    /// Jobs of which each waits for the next, the first one repeated at the end.
    ///
    /// Jobs are taken away once they wait for nothing more, as a run would start
    /// them. If any are left, each of them waits for another that is left: going
    /// from one to the next must come to a job twice.
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

/// The jobs by their names, those of past runs behind all others.
fn by_name<'a>(specs: &'a [Arc<JobSpec>], past: &'a [PastProducer]) -> HashMap<&'a str, Vec<u32>> {
    let mut by_name = from_job::by_name(specs);
    for (index, past) in (specs.len() as u32..).zip(past) {
        by_name.entry(&past.name).or_default().push(index);
    }
    by_name
}

/// What an entry is a glob of names with (`fit-*`, `fit-?`, `fit-[ab]`): none for anything
/// else, and for the very name of a job.
#[must_use]
pub fn glob_of(after: &After, is_name: impl Fn(&str) -> bool) -> Option<glob::Pattern> {
    let After::Name(name) = after else { return None };
    let is_glob = name.contains(['*', '?', '[']) && !is_name(name);
    if is_glob { glob::Pattern::new(name).ok() } else { None }
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
                || DependencyError::UnknownName { job: title(specs, index), name: excerpt(name) };
            return named(after, by_name).ok_or_else(unknown);
        }
        After::Job(number) => (*number, *number),
        After::Jobs(from, to) => (*from, *to),
    };
    let last = (specs.len() as u32).saturating_sub(1);
    match [from, to].into_iter().find(|number| *number > last) {
        Some(number) => {
            Err(DependencyError::UnknownNumber { job: title(specs, index), number, last })
        }
        None => Ok((from..=to).collect()),
    }
}

/// The jobs of a cycle as errors name them.
fn titles(specs: &[Arc<JobSpec>], cycle: &[u32]) -> Vec<String> {
    let title = |index: &u32| title(specs, *index);
    let Some((last, others)) = cycle.split_last().filter(|_| cycle.len() > MAX_NAMED) else {
        return cycle.iter().map(title).collect();
    };
    let (named, left_out) = others.split_at(MAX_NAMED - 1);
    let left_out = counted(left_out.len() as u64, "more job");
    named.iter().map(title).chain([left_out, title(last)]).collect()
}

/// A job as errors name it.
fn title(specs: &[Arc<JobSpec>], index: u32) -> String {
    match specs.get(index as usize) {
        Some(spec) => from_job::title(spec, index),
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

    fn group(members: &[u32], dependants: &[u32]) -> Group {
        let (members, dependants) = (members.to_vec(), dependants.to_vec());
        Group { members, dependants, ..Group::default() }
    }

    fn name(name: &str) -> After {
        After::Name(name.into())
    }

    #[test]
    fn name_means_all_jobs_that_have_it() {
        let jobs = [job("a", &[]), job("a", &[]), job("b", &[name("a")]), job("c", &[name("a")])];
        let found = Dependencies::resolve(&jobs).unwrap();
        assert_eq!(found.groups(), [group(&[0, 1], &[2, 3])]);
        assert_eq!(found.waits(2), [0]);
        assert_eq!(found.member_of(1), [0]);
        assert!(found.waits(0).is_empty());
    }

    #[test]
    fn glob_means_all_jobs_whose_names_match_unless_it_is_a_name_itself() {
        let jobs = [job("fit-1", &[]), job("x", &[name("fit-?")]), job("fit-2", &[])];
        let found = Dependencies::resolve(&jobs).unwrap();
        assert_eq!(found.groups(), [group(&[0, 2], &[1])]);
        let literal = [job("a*", &[]), job("ab", &[]), job("c", &[name("a*")])];
        let found = Dependencies::resolve(&literal).unwrap();
        assert_eq!(found.groups(), [group(&[0], &[2])]);
        let unknown = [job("a", &[name("b*")])];
        assert!(matches!(
            Dependencies::resolve(&unknown),
            Err(DependencyError::UnknownName { name, .. }) if name == "b*"
        ));
        assert!(matches!(
            Dependencies::resolve(&[job("a", &[name("a*")])]),
            Err(DependencyError::Cycle { .. })
        ));
    }

    #[test]
    fn work_of_globs_is_limited() {
        let many = (0..40_000).map(|at| job(&format!("x{at}"), &[]));
        let globbing = job("y", &[name(&format!("x{}*", "?".repeat(25_000)))]);
        let jobs: Vec<_> = many.chain([globbing]).collect();
        let error = Dependencies::resolve(&jobs).unwrap_err().to_string();
        assert!(error.contains("too many dependencies"), "{error}");
    }

    #[test]
    fn cycle_is_refused_with_its_jobs() {
        let jobs = [
            job("x", &[After::Job(1)]),
            job("a", &[name("c")]),
            job("b", &[name("a")]),
            job("c", &[After::Jobs(2, 2)]),
        ];
        let error = Dependencies::resolve(&jobs).unwrap_err().to_string();
        assert_eq!(
            error,
            "dependency cycle: job 1 (a) after job 3 (c) after job 2 (b) after job 1 (a)"
        );
        let alone = [job("a", &[name("a")])];
        assert!(matches!(Dependencies::resolve(&alone), Err(DependencyError::Cycle { .. })));
    }

    #[test]
    fn long_cycle_is_cut() {
        let next = |at: u32| job("", &[After::Job((at + 1) % 100_000)]);
        let jobs: Vec<_> = (0..100_000).map(next).collect();
        let error = Dependencies::resolve(&jobs).unwrap_err().to_string();
        assert!(error.ends_with("after job 18 () after 99981 more jobs after job 0 ()"), "{error}");
        assert!(error.len() < 1000, "{error}");
    }

    #[test]
    fn number_of_edges_is_limited() {
        let barrier = |at: u32| match at.checked_sub(1) {
            Some(last) => job("", &[After::Jobs(0, last)]),
            None => job("", &[]),
        };
        let jobs: Vec<_> = (0..100_000).map(barrier).collect();
        let error = Dependencies::resolve(&jobs).unwrap_err().to_string();
        assert!(
            error.starts_with("job 6325 (): too many dependencies: expected at most 20000000 "),
            "{error}"
        );
    }

    #[test]
    fn unknown_job_is_refused() {
        let error = |after| Dependencies::resolve(&[job("a", &[after])]).unwrap_err().to_string();
        assert_eq!(
            error(name("b")),
            "job 0 (a): unknown job \"b\" in after: expected the name of another job"
        );
        assert_eq!(
            error(After::Job(7)),
            "job 0 (a): unknown job 7 in after: expected a number from 0 to 0"
        );
    }

    #[test]
    fn job_is_after_those_whose_outputs_are_its_files() {
        let job = |name: &str, files: &[&str]| {
            let spec = JobSpec::new(["true"]).unwrap().name(name).outputs(["out"]);
            Arc::new(spec.files(files.iter().copied()))
        };
        let sum = ["@fit-*/out", "x", "@fit-*/log", "@fit-1/err"];
        let jobs = [job("fit-1", &[]), job("fit-2", &[]), job("sum", &sum)];
        let found = Dependencies::resolve(&jobs).unwrap();
        assert_eq!(found.waits(2), [0, 1]);
        assert_eq!(found.producers_first(3), [0, 1, 2]);
        let of = found.producers(2);
        let of: Vec<_> = of.iter().map(|one| (one.producer, one.place, one.paths.len())).collect();
        assert_eq!(of, [(0, "fit-1", 3), (1, "fit-2", 2)]);
        let error = |files: &[&str]| {
            let jobs = [job("fit", &[]), job("sum", files)];
            Dependencies::resolve(&jobs).unwrap_err().to_string()
        };
        assert_eq!(error(&["@s*/x"]), "dependency cycle: job 1 (sum) after job 1 (sum)");
        assert_eq!(
            error(&["a/fit", "@fit/x"]),
            "job 1 (sum): file \"a/fit\" and the outputs of job 0 (fit) have the same name: \
             expected a different one for each in the job directory"
        );
        assert!(error(&["@f/x"]).starts_with("job 1 (sum): file \"@f/x\": no job is called \"f\""));
    }

    #[test]
    fn outputs_of_past_runs_are_not_waited_for_and_have_the_place_that_they_would_have() {
        let job = |name: &str, files: &[&str]| {
            let spec = JobSpec::new(["true"]).unwrap().name(name).outputs(["out"]);
            Arc::new(spec.files(files.iter().copied()))
        };
        let past = |name: &str, place: &str| PastProducer {
            run: "2026-01-01-1".parse().unwrap(),
            index: 7,
            name: name.to_owned(),
            place: place.to_owned(),
        };
        let jobs = [job("fit", &[]), job("sum", &["@fit/out", "@a-*/out"]), job("x", &["@a-1/y"])];
        let past = PastProducers {
            jobs: vec![past("a-1", "a-1"), past("fit", "fit-0")],
            places: BTreeMap::from([(0, "fit-1".to_owned())]),
        };
        let found = Dependencies::resolve_with(&jobs, past).unwrap();
        let of = |found: Vec<FromOne<'_>>| -> Vec<(u32, String)> {
            found.into_iter().map(|one| (one.producer, one.place.to_owned())).collect()
        };
        assert_eq!(of(found.producers(1)), [(0, "fit-1".to_owned())]);
        let expected = [(0, "a-1".to_owned()), (1, "fit-0".to_owned())];
        assert_eq!(of(found.past_producers(1)), expected);
        assert_eq!((found.waits(1), found.waits(2)), (&[0][..], &[][..]));
        assert_eq!(found.producers_first(3), [0, 2, 1]);
        assert_eq!(found.past()[1].title(), "job fit of run 2026-01-01-1");
    }

    #[test]
    fn json_has_names_numbers_and_ranges() {
        let read: Vec<After> = serde_json::from_str(r#"["a", 3, [4, 9]]"#).unwrap();
        assert_eq!(read, [name("a"), After::Job(3), After::Jobs(4, 9)]);
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["a",3,[4,9]]"#);
    }
}
