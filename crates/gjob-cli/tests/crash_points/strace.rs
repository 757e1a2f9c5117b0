//! Kills a program before the nth of its calls that make something last.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use gjob_testbed::{find_program, skip};

/// Whose calls count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope {
    /// Where the store is written.
    MainThread,
    /// Those of the links too; each thread counts for itself.
    AllThreads,
    /// Where outputs are written down and put in their place, in whichever thread:
    /// calls that are about the paths of outputs.
    Outputs,
    /// An agent, with the shell that starts it.
    Agent,
    /// What slots do from the claim on, which their jobs don't do. Each slot is
    /// killed, so a host whose slots die any earlier could start nothing.
    Slots,
}

impl Scope {
    /// `?`: not every processor has them all.
    fn calls(self) -> &'static str {
        match self {
            Scope::MainThread => {
                "?pwrite64,?write,?fsync,?fdatasync,?rename,?renameat,?renameat2,?unlink,\
                 ?unlinkat,?openat,?ftruncate,?mkdir,?mkdirat,?flock"
            }
            Scope::Outputs => {
                "?write,?pwrite64,?openat,?openat2,?mkdir,?mkdirat,?fsync,?fdatasync,?syncfs,\
                 ?rename,?renameat,?renameat2,?unlink,?unlinkat,?rmdir,?fchmod,?fchmodat,\
                 ?fchmodat2,?utimensat,?getdents64"
            }
            Scope::Agent => {
                "?write,?writev,?openat,?symlink,?symlinkat,?mkdir,?mkdirat,?rename,?renameat,\
                 ?renameat2,?unlink,?unlinkat,?ftruncate,?flock,?pipe2,?clone,?clone3,?vfork,\
                 ?read,?poll,?ppoll,?wait4,?waitid"
            }
            Scope::Slots => {
                "?symlink,?symlinkat,?mkdir,?mkdirat,?rename,?renameat,?renameat2,?fallocate,\
                 ?ftruncate"
            }
            Scope::AllThreads => {
                "?write,?writev,?sendto,?sendmsg,?pipe2,?socketpair,?epoll_ctl,?clone,?clone3,\
                 ?vfork,?close,?pidfd_open"
            }
        }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Scope::MainThread | Scope::Agent => &[],
            Scope::Slots => &["-f"],
            // Let go of whatever becomes another program.
            Scope::AllThreads | Scope::Outputs => &["-f", "-b", "execve"],
        }
    }
}

/// A thread's nth call of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) call: String,
    pub(crate) nth: u32,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.call, self.nth)
    }
}

/// The program, where it may do its work.
pub(crate) struct Strace {
    program: PathBuf,
}

impl Strace {
    pub(crate) fn find() -> Option<Self> {
        let Some(program) = find_program("strace") else {
            skip("strace is not installed");
            return None;
        };
        let tried = Command::new(&program).args(["-o", "/dev/null", "true"]).output().unwrap();
        if !tried.status.success() {
            let why = String::from_utf8_lossy(&tried.stderr).into_owned();
            skip(&format!("strace may not trace: {}", why.trim()));
            return None;
        }
        Some(Strace { program })
    }

    /// A program started below this is killed before this call, unless it ends
    /// without having made it. strace itself ends in the same way.
    pub(crate) fn kill(&self, scope: Scope, point: &Point) -> Command {
        let Point { call, nth } = point;
        let mut command = Command::new(&self.program);
        command
            .args(["-o", "/dev/null"])
            .args(scope.options())
            .args(["-e", &format!("trace={call}")])
            .args(["-e", &format!("inject={call}:signal=KILL:when={nth}")]);
        command
    }

    /// The calls that a program makes, in order.
    pub(crate) fn points(&self, scope: Scope, run: impl FnOnce(Command) -> bool) -> Vec<Point> {
        let trace = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new(&self.program);
        // Through a pipe it writes each line at once; it may be killed at the end.
        let pipe = format!("|cat >{}", trace.path().display());
        command.args(["-o", &pipe]).args(scope.options());
        command.args(["-e", &format!("trace={}", scope.calls())]);
        assert!(!run(command), "what is only counted is not killed");
        let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
        let mut points = Vec::new();
        for line in std::fs::read_to_string(trace.path()).unwrap().lines() {
            // `fsync(5) = 0`, with several threads `4711  fsync(5) = 0`; what is
            // resumed has been counted before.
            let Some((head, _)) = line.split_once('(') else { continue };
            let (thread, call) = head.rsplit_once(' ').unwrap_or(("", head));
            let thread = thread.trim_end();
            if !call.starts_with(|c: char| c.is_ascii_lowercase()) {
                continue;
            }
            let nth = counts.entry((thread.to_owned(), call.to_owned())).or_default();
            *nth += 1;
            let point = Point { call: call.to_owned(), nth: *nth };
            if !points.contains(&point) {
                points.push(point);
            }
        }
        points
    }
}
