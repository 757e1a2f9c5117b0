//! Some jobs of a list as a list of their own. Jobs no longer wait for those that
//! are left out.

use std::sync::Arc;

use crate::dependency::After;
use crate::spec::JobSpec;

/// The jobs of `specs` for which `is_kept` is true, in their order. The others count
/// as done: numbers and ranges in [`JobSpec::after`] become those of the jobs that
/// are kept, and a name stays if a job with it is kept.
///
/// The jobs in `after` have to exist; see
/// [`Dependencies::resolve`](crate::dependency::Dependencies::resolve).
#[must_use]
pub fn subset(specs: Vec<Arc<JobSpec>>, is_kept: &[bool]) -> Vec<Arc<JobSpec>> {
    let mut names = std::collections::HashSet::new();
    let mut before = vec![0];
    let mut count = 0;
    for (spec, kept) in specs.iter().zip(is_kept) {
        count += u32::from(*kept);
        before.push(count);
        if let (true, Some(name)) = (*kept, &spec.name) {
            names.insert(name.clone());
        }
    }
    let rewritten = |after: &After| match after {
        After::Name(name) => names.contains(name).then(|| after.clone()),
        After::Job(number) => numbers(&before, *number, *number),
        After::Jobs(first, last) => numbers(&before, *first, *last),
    };
    let kept = specs.into_iter().zip(is_kept).filter(|(_, kept)| **kept);
    kept.map(|(mut spec, _)| {
        if !spec.after.is_empty() {
            let spec = Arc::make_mut(&mut spec);
            spec.after = spec.after.iter().filter_map(rewritten).collect();
        }
        spec
    })
    .collect()
}

/// The jobs with these numbers that are kept, if any. `before` has the number of kept
/// jobs before each.
fn numbers(before: &[u32], first: u32, last: u32) -> Option<After> {
    let begin = *before.get(first as usize)?;
    let end = *before.get(last as usize + 1)?;
    match end.saturating_sub(begin) {
        0 => None,
        1 => Some(After::Job(begin)),
        _ => Some(After::Jobs(begin, end - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependents_of_left_out_jobs_wait_for_the_others() {
        let job = |name: &str, after: &[After]| {
            let spec = JobSpec::new(["true"]).unwrap().name(name);
            Arc::new(spec.after(after.to_vec()))
        };
        let name = |name: &str| After::Name(name.to_owned());
        let jobs = vec![
            job("a", &[]),
            job("a", &[]),
            job("b", &[name("a"), After::Job(0)]),
            job("c", &[After::Jobs(0, 2), name("b"), After::Job(1)]),
            job("d", &[After::Jobs(1, 3), After::Jobs(0, 0), After::Jobs(2, 3), name("a")]),
        ];
        let kept = |kept: [bool; 5]| -> Vec<(String, Vec<After>)> {
            let kept = subset(jobs.clone(), &kept);
            kept.iter().map(|job| (job.name.clone().unwrap(), job.after.clone())).collect()
        };
        assert_eq!(kept([true; 5]).len(), 5);
        assert_eq!(kept([false; 5]), []);
        let of = |name: &str, after: &[After]| (name.to_owned(), after.to_vec());
        assert_eq!(
            kept([false, true, false, true, true]),
            [
                of("a", &[]),
                of("c", &[After::Job(0), After::Job(0)]),
                of("d", &[After::Jobs(0, 1), After::Job(1), name("a")]),
            ]
        );
        assert_eq!(
            kept([false, false, true, true, true]),
            [
                of("b", &[]),
                of("c", &[After::Job(0), name("b")]),
                of("d", &[After::Jobs(0, 1), After::Jobs(0, 1)]),
            ]
        );
    }
}
