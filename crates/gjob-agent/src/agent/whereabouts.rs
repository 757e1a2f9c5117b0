//! Where the slot of an attempt ran, as far as this machine can tell. Names of machines
//! change, and several machines may share a results directory, even under one label:
//! neither the name nor the directory says whether a job is this machine's.

use std::io;

use gjob_core::JobId;
use gjob_core::record::Loss;

use crate::host::{self, Machine};
use crate::jobdir::{JobDir, LockFile, LockState};

/// Where a slot ran that does not live here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// Here: it is dead, and its orphans would be seen.
    Here,
    /// On this machine, where nothing of its job is left.
    Gone(Loss),
    /// On another machine, which may still run it.
    Elsewhere,
}

impl Whereabouts {
    /// Those of the slot that has a job, in its directory `dir`, if any is named.
    pub(super) fn of(slot: Option<&LockFile>, id: &JobId, dir: &io::Result<JobDir>) -> Self {
        let has_our_name = id.as_str().starts_with(&format!("{}/", host::hostname()));
        let Some(slot) = slot else {
            return if has_our_name { Whereabouts::Here } else { Whereabouts::Elsewhere };
        };
        judge(slot.slot.is_of_another_boot(), &slot.machine, has_our_name, || {
            let lock = dir.as_ref().map_or(Ok(LockState::Absent), JobDir::lock_state);
            // One that cannot be examined may be held.
            lock.unwrap_or(LockState::Held)
        })
    }
}

/// `lock` is examined only where identities do not tell: it is held as long as the slot
/// or a process of its job lives, and not every file system shows that to others.
fn judge(
    is_of_another_boot: bool,
    theirs: &Machine,
    has_our_name: bool,
    lock: impl FnOnce() -> LockState,
) -> Whereabouts {
    let ours = host::machine();
    let is_same_machine = ours.id == theirs.id && !ours.id.is_empty();
    let is_known = !ours.id.is_empty() && !theirs.id.is_empty();
    match (is_of_another_boot, has_our_name) {
        (false, _) if ours.pids == theirs.pids => Whereabouts::Here,
        // Another container of the same kernel, which ends with its processes.
        (false, _) => match lock() {
            LockState::Held => Whereabouts::Elsewhere,
            LockState::Free => Whereabouts::Gone(Loss::Restart),
            LockState::Absent => Whereabouts::Gone(Loss::Slot),
        },
        (true, true) if is_same_machine || !is_known => Whereabouts::Gone(Loss::Restart),
        // Renamed and restarted, or one of several with copies of an image; or else
        // the same machine made anew under its name.
        (true, _) if is_same_machine || has_our_name => match lock() {
            LockState::Held => Whereabouts::Elsewhere,
            LockState::Free | LockState::Absent => Whereabouts::Gone(Loss::Restart),
        },
        (true, _) => Whereabouts::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(id: &str) -> Machine {
        Machine { id: id.into(), ..host::machine().clone() }
    }

    #[test]
    fn name_alone_decides_only_where_there_is_no_machine_id() {
        let ours = host::machine().clone();
        let free = || LockState::Free;
        let held = || LockState::Held;
        assert_eq!(judge(false, &ours, false, held), Whereabouts::Here);
        assert_eq!(judge(true, &machine("other"), false, free), Whereabouts::Elsewhere);
        assert_eq!(judge(true, &machine(""), false, free), Whereabouts::Elsewhere);
        assert_eq!(judge(true, &machine(""), true, held), Whereabouts::Gone(Loss::Restart));
        if !ours.id.is_empty() {
            assert_eq!(judge(true, &ours, true, held), Whereabouts::Gone(Loss::Restart));
            assert_eq!(judge(true, &ours, false, free), Whereabouts::Gone(Loss::Restart));
            assert_eq!(judge(true, &ours, false, held), Whereabouts::Elsewhere);
            assert_eq!(judge(true, &machine("other"), true, held), Whereabouts::Elsewhere);
            assert_eq!(
                judge(true, &machine("other"), true, free),
                Whereabouts::Gone(Loss::Restart)
            );
        }
    }

    #[test]
    fn processes_of_another_container_are_known_by_their_lock() {
        let theirs = Machine { pids: 1, ..host::machine().clone() };
        assert_eq!(judge(false, &theirs, true, || LockState::Held), Whereabouts::Elsewhere);
        let gone = judge(false, &theirs, false, || LockState::Free);
        assert_eq!(gone, Whereabouts::Gone(Loss::Restart));
    }
}
