//! Processes that not even KILL ends: those in a control group that is frozen.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::skip::skip;
use crate::tools::TIMEOUT;

/// Where control groups of the first version are frozen.
const FREEZER: &str = "/sys/fs/cgroup/freezer";

/// A control group whose processes nothing ends while it is frozen. Dropped, it
/// lets them go.
#[derive(Debug)]
pub struct Freezer {
    dir: PathBuf,
}

impl Freezer {
    /// None where there is no such thing, or it is not ours to use; the test
    /// counts as skipped.
    #[must_use]
    #[track_caller]
    pub fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = format!("{FREEZER}/gjob-test-{}-{number}", std::process::id());
        if fs::create_dir(&dir).is_ok() && Path::new(&dir).join("freezer.state").exists() {
            return Some(Freezer { dir: dir.into() });
        }
        skip("no process can be made unkillable: no freezer control group");
        None
    }

    /// True once all of its processes are frozen.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        fs::read_to_string(self.dir.join("freezer.state")).is_ok_and(|state| state == "FROZEN\n")
    }

    /// Shell commands that freeze the shell itself.
    #[must_use]
    pub fn script_of_shell(&self) -> String {
        self.freezing("$$")
    }

    /// Shell commands that freeze the shell's parent.
    #[must_use]
    pub fn script_of_parent(&self) -> String {
        self.freezing("$PPID")
    }

    /// By a process outside of the group: it could not freeze itself in one go.
    fn freezing(&self, pid: &str) -> String {
        let group = self.dir.display();
        format!(
            "echo {pid} > {group}/cgroup.procs\n\
             (echo $BASHPID > {FREEZER}/cgroup.procs; echo FROZEN > {group}/freezer.state)\n\
             while :; do sleep 1; done"
        )
    }

    /// Shell commands that start `sleep`, in a session of its own, freeze it,
    /// and write its pid to `escaped`.
    #[must_use]
    pub fn script(&self) -> String {
        let group = self.dir.display();
        format!(
            "setsid sleep 300 & echo $! > {group}/cgroup.procs\n\
             echo FROZEN > {group}/freezer.state\necho $! > escaped"
        )
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _ = fs::write(self.dir.join("freezer.state"), "THAWED");
        let procs = self.dir.join("cgroup.procs");
        let end = Instant::now() + TIMEOUT;
        while fs::read(&procs).is_ok_and(|it| !it.is_empty()) && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = fs::remove_dir(&self.dir);
    }
}
