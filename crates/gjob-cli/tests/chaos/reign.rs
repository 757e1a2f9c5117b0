//! One manager after another over the same run: `gjob run`, then `gjob attach`
//! each time the last one was killed.

use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use gjob_testbed::Process;

use crate::support::Place;

pub(crate) struct Reign<'a> {
    place: &'a Place,
    manager: Child,
    pub(crate) attaches: usize,
}

impl<'a> Reign<'a> {
    /// Begins with `gjob run`. What managers say goes to a file of the place:
    /// a pipe that nobody reads would stop them.
    pub(crate) fn begin<S: AsRef<str>>(place: &'a Place, args: &[S]) -> Self {
        let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
        Reign { place, manager: spawn(place, &args), attaches: 0 }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.manager.id()
    }

    pub(crate) fn kill(&mut self) {
        self.manager.kill().unwrap();
        self.manager.wait().unwrap();
    }

    pub(crate) fn attach(&mut self) {
        self.manager = spawn(self.place, &["attach"]);
        self.attaches += 1;
    }

    pub(crate) fn process(&self) -> Option<Process> {
        Process::find(self.pid())
    }

    /// The ssh clients of the manager that is.
    pub(crate) fn clients(&self) -> Vec<Process> {
        let mut clients = children(self.pid());
        clients.retain(|child| child.argv().first().is_some_and(|arg| arg.ends_with("ssh")));
        clients
    }

    /// The exit code, once the manager has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.manager.try_wait().unwrap()?;
        assert_eq!(
            status.signal(),
            None,
            "the manager was killed by somebody else\n{}",
            self.said()
        );
        Some(status)
    }

    /// The last of what managers have printed.
    pub(crate) fn said(&self) -> String {
        let said = std::fs::read_to_string(self.place.path("managers")).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Reign<'_> {
    fn drop(&mut self) {
        let _ = self.manager.kill();
        let _ = self.manager.wait();
    }
}

fn spawn(place: &Place, args: &[&str]) -> Child {
    let said = OpenOptions::new().create(true).append(true).open(place.path("managers")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_gjob"))
        .args(args)
        .current_dir(place.path("here"))
        .env("GJOB_STATE_DIR", place.path("state"))
        .env("GJOB_LEDGER_DIR", place.path("machine"))
        .env("GJOB_REMOTE_PATH", place.path("results"))
        .env_remove("GJOB_SSH")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .unwrap()
}

/// The processes that any of its threads has started.
pub(crate) fn children(pid: u32) -> Vec<Process> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let lists: Vec<String> = lists.collect();
    let pids = lists.iter().flat_map(|list| list.split_whitespace());
    pids.filter_map(|pid| Process::find(pid.parse().ok()?)).collect()
}
