//! Running the real program: its arguments, state and results directory in one
//! builder, everything it printed and left behind in one answer.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long any one run may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A place of its own: state directory, working directory, results directory.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Place { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.path("here")).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file in the working directory.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path("here").join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// `gjob` with these arguments, in this place.
    pub(crate) fn gjob<S: AsRef<str>>(&self, args: &[S]) -> Gjob {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gjob"));
        command
            .args(args.iter().map(AsRef::as_ref))
            .current_dir(self.path("here"))
            .env("GJOB_STATE_DIR", self.path("state"))
            .env("GJOB_REMOTE_PATH", self.path("results"))
            .env_remove("GJOB_SSH")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Gjob { command, stdin: None }
    }

    /// `gjob status --jobs --json`.
    pub(crate) fn status(&self) -> Value {
        let answer = self.gjob(&["status", "--jobs", "--json"]).run();
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        serde_json::from_str(&answer.stdout).unwrap()
    }

    /// One value of every job of the latest run.
    pub(crate) fn of_jobs(&self, field: &str) -> Vec<Value> {
        let status = self.status();
        let jobs = status["jobs"].as_array().unwrap();
        jobs.iter().map(|job| job[field].clone()).collect()
    }

    /// True once anything of a run has been recorded.
    pub(crate) fn has_run(&self) -> bool {
        let Ok(runs) = std::fs::read_dir(self.path("state/runs")) else { return false };
        runs.flatten().any(|run| run.path().join("run.db").exists())
    }
}

/// One invocation.
pub(crate) struct Gjob {
    command: Command,
    stdin: Option<String>,
}

/// What an invocation has said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Gjob {
    pub(crate) fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.to_owned());
        self.command.stdin(Stdio::piped());
        self
    }

    pub(crate) fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stdout(to);
        self
    }

    /// Runs in another directory than the place's own.
    pub(crate) fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn start(mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        if let Some(text) = self.stdin {
            child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        }
        Running { child: Some(child), heard: Vec::new() }
    }

    pub(crate) fn run(self) -> Answer {
        self.start().wait()
    }
}

/// An invocation under way; it is ended with its test.
pub(crate) struct Running {
    child: Option<Child>,
    /// What it has said on stderr and was listened to.
    heard: Vec<u8>,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Waits until it has said this on stderr, or says nothing any more.
    pub(crate) fn hear(&mut self, text: &str) {
        let stderr = self.child.as_mut().unwrap().stderr.as_mut().unwrap();
        let mut byte = [0];
        while !self.heard.ends_with(text.as_bytes()) && stderr.read(&mut byte).unwrap() == 1 {
            self.heard.push(byte[0]);
        }
    }

    pub(crate) fn kill_9(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn wait(self) -> Answer {
        self.wait_for(LIMIT)
    }

    /// Waits for its end, and fails if that takes longer than `limit`.
    pub(crate) fn wait_for(mut self, limit: Duration) -> Answer {
        let heard = std::mem::take(&mut self.heard);
        let child = self.child.take().unwrap();
        let pid = child.id();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(output) = receiver.recv_timeout(limit) else {
            let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            panic!("gjob did not end within {limit:?}");
        };
        let output = output.unwrap();
        Answer {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&[heard, output.stderr].concat()).into_owned(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until something is so, and fails if that takes too long.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The lines of a file, none if it is not there.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}
