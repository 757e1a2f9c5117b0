//! What dead slots leave behind. The agent is the reaper of all that descends
//! from the slots it has started, so that what nothing else leads to any more is
//! its child as soon as its slot is dead.

use std::collections::HashSet;

use rustix::process::{WaitId, WaitIdOptions, getpid, set_child_subreaper, waitid};

use crate::processes;

/// The agent's children that are no slots.
#[derive(Debug)]
pub(crate) struct Strays {
    /// True when everything that becomes a child of the agent comes of a slot.
    reaps: bool,
    /// Those that could not be ended, and were named. Nobody else reaps them:
    /// their pids are not handed out again.
    known: HashSet<u32>,
}

impl Strays {
    /// Becomes the reaper, if there is nothing yet that could leave anything:
    /// what has become this agent by exec may have started what is not ours.
    pub(crate) fn begin() -> Self {
        let looked = waitid(
            WaitId::All,
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT,
        );
        let alone = matches!(looked, Err(rustix::io::Errno::CHILD));
        Strays {
            reaps: alone && set_child_subreaper(Some(getpid())).is_ok(),
            known: HashSet::new(),
        }
    }

    /// The children that are none of a dead slot's, `slots` among them; none
    /// when children lead nowhere.
    pub(crate) fn not_of_the_dead(&self, slots: impl Iterator<Item = u32>) -> Option<HashSet<u32>> {
        self.reaps.then(|| self.known.iter().copied().chain(slots).collect())
    }

    /// Reaps what has ended, and takes the rest for named.
    pub(crate) fn settle(&mut self, slots: impl Iterator<Item = u32>) {
        if !self.reaps {
            return;
        }
        let slots: HashSet<u32> = slots.collect();
        let strays = processes::own_children().into_iter().filter(|pid| !slots.contains(pid));
        self.known = strays.filter(|pid| !processes::reap(*pid)).collect();
    }
}
