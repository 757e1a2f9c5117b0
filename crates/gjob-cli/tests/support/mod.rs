//! Running the real program: its arguments, state and results directory in one
//! builder, which compares all that it prints with what is expected.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod expected;
mod screen;

use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use snapbox::IntoData;

use expected::Expected;
pub(crate) use gjob_testbed::eventually;
pub(crate) use screen::Screen;

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
        command.args(args.iter().map(AsRef::as_ref)).current_dir(self.path("here"));
        self.invoke(command)
    }

    /// A command that ends up in `gjob`.
    pub(crate) fn invoke(&self, mut command: Command) -> Gjob {
        command
            .env("GJOB_STATE_DIR", self.path("state"))
            .env("GJOB_LEDGER_DIR", self.path("machine"))
            .env("GJOB_REMOTE_PATH", self.path("results"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env_remove("GJOB_HOSTS")
            .env_remove("GJOB_SSH")
            .env_remove("COLUMNS")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Gjob { command, stdin: None, expected: Expected::in_place(self.dir.path()) }
    }

    /// `gjob status --jobs --json`.
    pub(crate) fn status(&self) -> Value {
        let answer = self.gjob(&["status", "--jobs", "--json"]).output();
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

/// One invocation: what it is given, and what is expected of it.
#[must_use]
pub(crate) struct Gjob {
    command: Command,
    stdin: Option<String>,
    expected: Expected,
}

/// What an invocation has printed, and its exit status.
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

    /// Sends standard output to a file instead.
    pub(crate) fn stdout_to(mut self, to: impl Into<Stdio>) -> Self {
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

    /// The exit status that is expected; 0 unless said.
    pub(crate) fn code(mut self, code: i32) -> Self {
        self.expected.code(code);
        self
    }

    /// All of the standard output that is expected; none unless said. With
    /// `.unordered()`, its lines may come in any order.
    pub(crate) fn stdout(mut self, text: impl IntoData) -> Self {
        self.expected.stdout(text);
        self
    }

    /// All of the standard error that is expected; none unless said.
    pub(crate) fn stderr(mut self, text: impl IntoData) -> Self {
        self.expected.stderr(text);
        self
    }

    /// In expected texts this stands for that value.
    pub(crate) fn redact(mut self, placeholder: &'static str, value: &str) -> Self {
        self.expected.redact(placeholder, value);
        self
    }

    /// Jobs run side by side: lines on stderr come in any order, and each job id is
    /// `[JOB]`, since the first to start gets the first directory.
    pub(crate) fn side_by_side(mut self) -> Self {
        self.expected.side_by_side();
        self
    }

    /// Columns on stdout are as wide as the host names and directories in them: two
    /// blanks are expected between them.
    pub(crate) fn any_width(mut self) -> Self {
        self.expected.any_width();
        self
    }

    pub(crate) fn start(mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        if let Some(text) = self.stdin {
            // A program that refuses its arguments ends without reading.
            match child.stdin.take().unwrap().write_all(text.as_bytes()) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                written => written.unwrap(),
            }
        }
        let command = format!("{:?}", self.command);
        Running { child: Some(child), printed: Vec::new(), command, expected: self.expected }
    }

    /// Runs to the end, and compares everything with what is expected.
    #[track_caller]
    pub(crate) fn run(self) {
        self.start().wait();
    }

    /// Runs to the end, and compares nothing.
    pub(crate) fn output(self) -> Answer {
        self.start().output()
    }
}

/// An invocation under way; it is killed at the end of its test.
pub(crate) struct Running {
    child: Option<Child>,
    /// What was read of its stderr before its end.
    printed: Vec<u8>,
    command: String,
    expected: Expected,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid() as i32).unwrap(), signal).unwrap();
    }

    /// Waits until it has printed this on stderr, or prints nothing any more.
    pub(crate) fn wait_until_printed(&mut self, text: &str) {
        let stderr = self.child.as_mut().unwrap().stderr.as_mut().unwrap();
        let mut byte = [0];
        while !self.printed.ends_with(text.as_bytes()) && stderr.read(&mut byte).unwrap() == 1 {
            self.printed.push(byte[0]);
        }
    }

    /// In expected texts this stands for that value, known since it runs.
    pub(crate) fn redact(mut self, placeholder: &'static str, value: &str) -> Self {
        self.expected.redact(placeholder, value);
        self
    }

    pub(crate) fn kill_9(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits for its end, and compares everything with what is expected.
    #[track_caller]
    pub(crate) fn wait(mut self) {
        let answer = self.end(LIMIT);
        let expected = std::mem::replace(&mut self.expected, Expected::in_place(Path::new("")));
        expected.compare(&self.command, &answer);
    }

    /// Waits for its end, and compares nothing.
    pub(crate) fn output(mut self) -> Answer {
        self.end(LIMIT)
    }

    /// Waits for its end, and fails if that takes longer than `limit`.
    pub(crate) fn output_within(mut self, limit: Duration) -> Answer {
        self.end(limit)
    }

    fn end(&mut self, limit: Duration) -> Answer {
        let printed = std::mem::take(&mut self.printed);
        let child = self.child.take().unwrap();
        let pid = child.id();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(output) = receiver.recv_timeout(limit) else {
            let _ = kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL);
            panic!("{}: no end within {limit:?}", self.command);
        };
        let output = output.unwrap();
        Answer {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&[printed, output.stderr].concat()).into_owned(),
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

/// The lines of a file, none if it is not there.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}
