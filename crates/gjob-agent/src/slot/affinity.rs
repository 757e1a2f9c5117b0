//! The processors that a job is bound to: its slot has them alone while it starts the job,
//! which inherits them.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::log_error;

/// Does `act` bound to these processors; to what it may use anyway without any.
pub(super) fn bound_to<T>(processors: &[u32], act: impl FnOnce() -> T) -> io::Result<T> {
    if processors.is_empty() {
        return Ok(act());
    }
    let own = sched_getaffinity(None)?;
    let mut chosen = CpuSet::new();
    let known = processors.iter().map(|number| *number as usize);
    known.filter(|number| *number < CpuSet::MAX_CPU).for_each(|number| chosen.set(number));
    sched_setaffinity(None, &chosen)?;
    let done = act();
    if let Err(error) = sched_setaffinity(None, &own) {
        log_error(&format!("failed to leave the processors of a job: {error}"));
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host;

    #[test]
    fn only_the_act_is_bound() {
        let own: Vec<u32> = host::processors().collect();
        let last = *own.last().unwrap();
        let within = bound_to(&[last], || host::processors().collect::<Vec<_>>()).unwrap();
        assert_eq!(within, [last]);
        assert_eq!(host::processors().collect::<Vec<_>>(), own);
        assert_eq!(bound_to(&[], || host::processors().count()).unwrap(), own.len());
        assert!(bound_to(&[u32::MAX], || ()).is_err());
    }
}
