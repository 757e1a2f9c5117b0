//! A results directory of its own, and agents in it that are spoken to as a
//! manager does. Whatever a test leaves running is ended with its bed.

use std::collections::{HashSet, VecDeque};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use gjob_core::hosts::HostLimits;
use gjob_core::wire::{
    Attach, BlobHash, FrameBuffer, FromAgent, Launch, ManagedAt, ToAgent, Welcome, encode,
};
use gjob_core::{Cause, Epoch, Finish, JobRequest, Key, Order, Record};
pub(crate) use gjob_testbed::eventually;
use rustix::process::{Pid, Signal, kill_process};

/// The user that unprivileged agents run as where the tests run as root.
const NOBODY: u32 = 65534;

/// No wait in a test is longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_gjob-agent").into()
}

pub(crate) struct Bed {
    dir: tempfile::TempDir,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Bed { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn results(&self) -> PathBuf {
        self.path().join("results")
    }

    /// Its agents know of no others.
    fn ledger(&self) -> PathBuf {
        self.path().join("ledger")
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.results().join(".gjob/runs/2026-11-22-1/%3A")
    }

    /// The program with this bed's mark, which everything it starts inherits.
    pub(crate) fn command(&self, word: &str) -> Command {
        let mut command = Command::new(program());
        command.arg(word).env("TEST_BED", self.path()).env("GJOB_LEDGER_DIR", self.ledger());
        command
    }

    pub(crate) fn attach_message(&self, epoch: u64, offset: u64, slots: u32) -> ToAgent {
        ToAgent::Attach(Attach {
            run: Some("2026-11-22-1".parse().unwrap()),
            host: ":".parse().unwrap(),
            results_dir: self.results().to_str().unwrap().to_owned(),
            epoch: Epoch(epoch),
            offset,
            slots: Some(slots),
            lease_ms: None,
            blob_budget: u64::MAX,
            limits: HostLimits::default(),
            within: Vec::new(),
            managed: ManagedAt::default(),
        })
    }

    /// An agent that has answered an attachment with a welcome.
    pub(crate) fn attach(&self, epoch: u64, offset: u64, slots: u32) -> Agent {
        self.attach_with(offset, &self.attach_message(epoch, offset, slots))
    }

    /// One whose attachment, the first of one slot, was changed by `change`.
    pub(crate) fn attach_changed(&self, change: impl FnOnce(&mut Attach)) -> Agent {
        let ToAgent::Attach(mut attach) = self.attach_message(1, 0, 1) else {
            unreachable!("it is an attachment");
        };
        change(&mut attach);
        self.attach_with(attach.offset, &ToAgent::Attach(attach))
    }

    /// The same, of one slot, with a lease.
    pub(crate) fn attach_leased(&self, epoch: u64, offset: u64, lease_ms: u64) -> Agent {
        self.attach_with(offset, &self.leased_message(epoch, offset, 1, lease_ms))
    }

    /// The same, whose user modes hold for.
    pub(crate) fn look_unprivileged(&self) -> Agent {
        let ToAgent::Attach(mut attach) = self.attach_message(1, 0, 1) else {
            unreachable!("it is an attachment");
        };
        attach.run = None;
        let mut command = self.unprivileged();
        command.arg("agent").env("TEST_BED", self.path()).env("GJOB_LEDGER_DIR", self.ledger());
        Agent::spawn(command).attached(0, &ToAgent::Attach(attach))
    }

    fn attach_with(&self, offset: u64, message: &ToAgent) -> Agent {
        Agent::start(self).attached(offset, message)
    }

    /// One of one slot whose user modes hold for: root ignores them.
    pub(crate) fn attach_unprivileged(&self, epoch: u64, offset: u64) -> Agent {
        let mut command = self.unprivileged();
        command.arg("agent").env("TEST_BED", self.path()).env("GJOB_LEDGER_DIR", self.ledger());
        Agent::spawn(command).attached(offset, &self.attach_message(epoch, offset, 1))
    }

    /// The program, as nobody if this is root. The bed becomes that user's.
    pub(crate) fn unprivileged(&self) -> Command {
        let copy = self.unprivileged_program();
        if !rustix::process::geteuid().is_root() {
            return Command::new(copy);
        }
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]);
        command.arg("--clear-groups").arg(copy);
        command
    }

    /// Does `act` on a thread that is nobody's if this is root. The bed becomes that
    /// user's.
    pub(crate) fn as_nobody(&self, act: impl FnOnce() + Send) {
        self.unprivileged_program();
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    if rustix::process::geteuid().is_root() {
                        let nobody = rustix::process::Uid::from_raw(NOBODY);
                        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
                    }
                    act();
                })
                .join()
                .unwrap();
        });
    }

    /// The program where nobody can run it. The bed becomes that user's.
    pub(crate) fn unprivileged_program(&self) -> PathBuf {
        if !rustix::process::geteuid().is_root() {
            return program();
        }
        let copy = self.path().join("program");
        if !copy.exists() {
            std::os::unix::fs::chown(self.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            // By a child: see `by_hand::options`.
            let mut install = Command::new("install");
            assert!(
                install.args(["-m", "755"]).arg(program()).arg(&copy).status().unwrap().success()
            );
        }
        copy
    }

    /// An agent of one slot in mount and UTS namespaces of its own, where root has run
    /// `before` first; the agent itself is nobody's. None where that cannot be had.
    pub(crate) fn attach_apart(&self, before: &str, epoch: u64, offset: u64) -> Option<Agent> {
        let agent = self.unprivileged();
        let mut wrapper = Command::new("unshare");
        let script = format!("{before} && exec \"$0\" \"$@\"");
        wrapper.args(["--mount", "--uts", "sh", "-c", &script]);
        wrapper.arg(agent.get_program()).args(agent.get_args());
        let tried = Command::new("unshare").args(["--mount", "--uts", "sh", "-c", before]).output();
        if !tried.is_ok_and(|tried| tried.status.success()) {
            gjob_testbed::skip("only root can make namespaces");
            return None;
        }
        wrapper.arg("agent").env("TEST_BED", self.path()).env("GJOB_LEDGER_DIR", self.ledger());
        Some(Agent::spawn(wrapper).attached(offset, &self.attach_message(epoch, offset, 1)))
    }

    /// A program that runs another as root in every respect, so that this user cannot
    /// signal it; none where that cannot be made.
    pub(crate) fn as_root(&self) -> Option<PathBuf> {
        if !rustix::process::geteuid().is_root() {
            gjob_testbed::skip("only root can make a setuid program");
            return None;
        }
        let path = self.path().join("as-root");
        let install = "install -m 4755 \"$(command -v setpriv)\" \"$0\"";
        assert!(Command::new("sh").args(["-c", install]).arg(&path).status().unwrap().success());
        Some(path)
    }

    /// An agent that a shell has become after it had started something, in the
    /// bed's directory.
    pub(crate) fn attach_behind(&self, before: &str) -> Agent {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("cd \"$TEST_BED\"; {before}; exec \"$0\" agent")]);
        shell.arg(program()).env("TEST_BED", self.path()).env("GJOB_LEDGER_DIR", self.ledger());
        Agent::spawn(shell).attached(0, &self.attach_message(1, 0, 1))
    }

    /// An agent of two slots whose results directory is a small file system of
    /// its own, which only it and its slots see; none where that can't be had.
    pub(crate) fn attach_on_small_disk(&self) -> Option<Agent> {
        let mount = "mount -t tmpfs -o size=1m,mode=700 gjob \"$0\" && exec \"$@\"";
        self.attach_mounted(mount, &self.leased_message(1, 0, 2, 600_000))
    }

    /// An agent of one slot whose blobs are on a file system of their own; the same.
    pub(crate) fn attach_with_blobs_elsewhere(&self) -> Option<Agent> {
        let mount = "mkdir -p \"$0/.gjob/blobs\" && \
                     mount -t tmpfs -o mode=700 gjob \"$0/.gjob/blobs\" && exec \"$@\"";
        self.attach_mounted(mount, &self.attach_message(1, 0, 1))
    }

    fn attach_mounted(&self, mount: &str, message: &ToAgent) -> Option<Agent> {
        std::fs::create_dir(self.results()).unwrap();
        let wrapper = || {
            let mut wrapper = Command::new("unshare");
            wrapper.args(["-m", "sh", "-c", mount]).arg(self.results());
            wrapper
        };
        let tried = wrapper().arg("true").output();
        if !tried.is_ok_and(|tried| tried.status.success()) {
            gjob_testbed::skip("only root can mount a file system");
            return None;
        }
        let mut wrapper = wrapper();
        wrapper
            .arg(program())
            .arg("agent")
            .env("TEST_BED", self.path())
            .env("GJOB_LEDGER_DIR", self.ledger());
        Some(Agent::spawn(wrapper).attached(0, message))
    }

    /// One that sees the same file systems as the process `pid` does.
    pub(crate) fn attach_beside(&self, pid: u32, epoch: u64, offset: u64) -> Agent {
        let mut wrapper = Command::new("nsenter");
        wrapper.args(["-m", "-t", &pid.to_string()]).arg(program()).arg("agent");
        wrapper.env("TEST_BED", self.path()).env("GJOB_LEDGER_DIR", self.ledger());
        Agent::spawn(wrapper).attached(offset, &self.leased_message(epoch, offset, 2, 600_000))
    }

    fn leased_message(&self, epoch: u64, offset: u64, slots: u32, lease_ms: u64) -> ToAgent {
        let ToAgent::Attach(mut attach) = self.attach_message(epoch, offset, slots) else {
            unreachable!("it is an attachment");
        };
        attach.lease_ms = Some(lease_ms);
        ToAgent::Attach(attach)
    }
}

impl Agent {
    fn attached(self, offset: u64, message: &ToAgent) -> Agent {
        let mut agent = self;
        agent.offset = offset;
        agent.send(message);
        match agent.next() {
            FromAgent::Welcome(welcome) => agent.welcome = Some(*welcome),
            other => panic!("expected a welcome, not {other:?}"),
        }
        agent
    }

    /// A path as this agent sees it.
    pub(crate) fn sees(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid()));
        root.join(path.strip_prefix("/").unwrap())
    }
}

impl Bed {
    /// What the run log says of jobs.
    pub(crate) fn log(&self) -> Vec<Record> {
        let log = std::fs::read(self.run_dir().join("log")).unwrap();
        let records = log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        records
            .map(|line| Record::parse(line).unwrap())
            .filter(|record| record.key().is_some())
            .collect()
    }

    /// Waits for a job's end in the run log, without an agent.
    pub(crate) fn finish_in_log(&self, index: u32) -> Finish {
        let mut found = None;
        eventually("its end in the run log", || {
            found = self.log().into_iter().find_map(|record| match record {
                Record::Finished(finish) if finish.key == Some(Key::new(index, 1)) => Some(finish),
                _ => None,
            });
            found.is_some()
        });
        found.unwrap()
    }

    /// Where a blob is, or is not.
    pub(crate) fn blob(&self, name: impl std::fmt::Display) -> PathBuf {
        self.results().join(format!(".gjob/blobs/{name}"))
    }

    /// The file that the run's hard links to a blob are to: `l`, or `x` for programs.
    pub(crate) fn linked(&self, hash: BlobHash, kind: &str) -> PathBuf {
        let run = blake3::hash(b"2026-11-22-1").to_hex();
        self.blob(format!("{hash}.{}.{kind}", &run[..16]))
    }

    /// Living processes that were started in this bed.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mark = [b"TEST_BED=", self.path().as_os_str().as_bytes()].concat();
        let entries = std::fs::read_dir("/proc").unwrap();
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid: &u32| {
                let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environ.split(|byte| *byte == 0).any(|entry| entry == mark)
            })
            .collect()
    }

    /// Ends all of them, and what they fork meanwhile.
    pub(crate) fn empty(&self) {
        eventually("no process left", || {
            self.processes().into_iter().for_each(kill_9);
            self.processes().is_empty()
        });
    }

    pub(crate) fn wait_until_empty(&self) {
        eventually("no process left", || self.processes().is_empty());
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            left.into_iter().for_each(kill_9);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) fn kill_9(pid: u32) {
    let _ = kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL);
}

pub(crate) fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with('Z'))
}

/// A pid that a job writes into a file of its directory.
pub(crate) fn pid_in(path: &Path) -> u32 {
    let mut pid = None;
    eventually("a pid in a file", || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        pid = text.strip_suffix('\n').and_then(|text| text.parse().ok());
        pid.is_some()
    });
    pid.unwrap()
}

pub(crate) fn launch(index: u32, script: &str) -> Launch {
    Launch {
        key: Key::new(index, 1),
        request: JobRequest::default(),
        script: format!("{script}\n"),
        files: Vec::new(),
        is_task: false,
        dropped: 0,
    }
}

/// The order to end the first attempt of job `index`.
pub(crate) fn kill(index: u32, grace_ms: u32) -> ToAgent {
    kill_for(Cause::Killed, index, grace_ms)
}

/// The same for another cause.
pub(crate) fn kill_for(cause: Cause, index: u32, grace_ms: u32) -> ToAgent {
    let grace = Duration::from_millis(grace_ms.into());
    ToAgent::Order { key: Key::new(index, 1), order: Order::Kill { cause, grace } }
}

/// The order to pause the first attempt of job `index`.
pub(crate) fn pause(index: u32) -> ToAgent {
    ToAgent::Order { key: Key::new(index, 1), order: Order::Pause }
}

/// The order to resume the first attempt of job `index`.
pub(crate) fn resume(index: u32) -> ToAgent {
    ToAgent::Order { key: Key::new(index, 1), order: Order::Resume }
}

pub(crate) struct Agent {
    child: Child,
    stdin: Option<ChildStdin>,
    messages: Receiver<Result<FromAgent, String>>,
    records: VecDeque<Record>,
    /// Attempts whose start is not told again.
    started: HashSet<Key>,
    welcome: Option<Welcome>,
    /// True when a full disk may cut lines of the run log.
    pub(crate) may_tear: bool,
    /// Up to where the run log was received.
    pub(crate) offset: u64,
}

impl Agent {
    pub(crate) fn start(bed: &Bed) -> Self {
        Agent::spawn(bed.command("agent"))
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        Agent {
            stdin: child.stdin.take(),
            messages: receive(stdout),
            child,
            records: VecDeque::new(),
            started: HashSet::new(),
            welcome: None,
            may_tear: false,
            offset: 0,
        }
    }

    /// What the agent's host calls itself.
    pub(crate) fn hostname(&self) -> String {
        self.welcome().hostname.shown().into()
    }

    pub(crate) fn welcome(&self) -> &Welcome {
        self.welcome.as_ref().unwrap()
    }

    pub(crate) fn send(&mut self, message: &ToAgent) {
        self.stdin.as_mut().unwrap().write_all(&encode(message)).unwrap();
    }

    pub(crate) fn launch(&mut self, launch: Launch) {
        self.send(&ToAgent::Launch(Box::new(launch)));
    }

    /// The next message, of any kind.
    pub(crate) fn next(&mut self) -> FromAgent {
        self.next_before(Instant::now() + LIMIT).expect("a message before the deadline")
    }

    fn next_before(&mut self, deadline: Instant) -> Option<FromAgent> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.messages.recv_timeout(left) {
            Ok(message) => Some(message.unwrap()),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the agent has closed its output"),
        }
    }

    /// The next answer: what it says of records meanwhile is kept.
    pub(crate) fn answer(&mut self) -> FromAgent {
        loop {
            match self.next() {
                FromAgent::Records { offset, lines } => self.keep(offset, &lines),
                other => return other,
            }
        }
    }

    fn keep(&mut self, offset: u64, lines: &[u8]) {
        assert_eq!(offset, self.offset, "records are sent without a gap");
        self.offset += lines.len() as u64;
        let lines = lines.strip_suffix(b"\n").expect("whole lines only");
        // A line that is looked at while it is written seems torn, and is ended once more.
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match Record::parse(line) {
                Ok(record) => self.records.push_back(record),
                Err(error) => assert!(self.may_tear, "{error}"),
            }
        }
    }

    /// The next record about a job.
    pub(crate) fn record(&mut self) -> Record {
        self.record_before(Instant::now() + LIMIT).expect("a record before the deadline")
    }

    /// The next record about a job, before which something is done again and again.
    pub(crate) fn record_while(&mut self, mut act: impl FnMut(&Self)) -> Record {
        let deadline = Instant::now() + LIMIT;
        loop {
            act(self);
            let record = self.record_before(Instant::now() + Duration::from_millis(20));
            match record {
                Some(record) => return record,
                None => assert!(Instant::now() < deadline, "a record before the deadline"),
            }
        }
    }

    fn record_before(&mut self, deadline: Instant) -> Option<Record> {
        loop {
            match self.records.pop_front() {
                Some(Record::Log { .. }) => {}
                Some(Record::Started { key, .. }) if self.started.contains(&key) => {}
                Some(record) => return Some(record),
                None => match self.next_before(deadline)? {
                    FromAgent::Records { offset, lines } => self.keep(offset, &lines),
                    // That says nothing new.
                    FromAgent::Recorded { .. } => {}
                    other => panic!("expected records, not {other:?}"),
                },
            }
        }
    }

    /// Waits for a job's start; its id.
    pub(crate) fn started(&mut self, index: u32) -> String {
        match self.record() {
            Record::Started { key, id, .. } if key.index == index => id.to_string(),
            other => panic!("expected the start of {index}, not {other:?}"),
        }
    }

    /// Sends a launch, again and again as a manager does that hears nothing of it, and waits for
    /// the job's start; its id.
    pub(crate) fn started_at_last(&mut self, launch: &Launch) -> String {
        let deadline = Instant::now() + LIMIT;
        let key = launch.key;
        loop {
            self.launch(launch.clone());
            match self.record_before(Instant::now() + Duration::from_millis(100)) {
                Some(Record::Started { key: started, id, .. }) if started == key => {
                    // Its slot may say so as well, later.
                    self.started.insert(key);
                    return id.to_string();
                }
                Some(other) => panic!("expected the start of {key}, not {other:?}"),
                None => assert!(Instant::now() < deadline, "{key} starts before the deadline"),
            }
        }
    }

    /// Waits for a job's end.
    pub(crate) fn finished(&mut self, index: u32) -> Finish {
        match self.record() {
            Record::Finished(finish) if finish.key == Some(Key::new(index, 1)) => finish,
            other => panic!("expected the end of {index}, not {other:?}"),
        }
    }

    pub(crate) fn run(&mut self, launch: Launch) -> Finish {
        let index = launch.key.index;
        self.launch(launch);
        self.started(index);
        self.finished(index)
    }

    /// Fails when anything is said of a job within a short while.
    pub(crate) fn expect_no_record(&mut self) {
        // Two questions and answers: what was begun before has been said by then.
        let until = Instant::now() + Duration::from_millis(300);
        assert_eq!(self.record_before(until), None);
    }

    pub(crate) fn kill_9(mut self) {
        kill_9(self.child.id());
        self.child.wait().unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stop(&self) {
        kill_process(Pid::from_raw(self.pid() as i32).unwrap(), Signal::STOP).unwrap();
    }

    /// The host's clock, from the answer to a ping that says when the manager
    /// has last heard of it.
    pub(crate) fn ping(&mut self, echo_ms: u64) -> u64 {
        self.send(&ToAgent::Ping { nonce: 1, echo_ms });
        match self.answer() {
            FromAgent::Pong { nonce: 1, at_ms, .. } => at_ms,
            other => panic!("expected a pong, not {other:?}"),
        }
    }

    /// Closes its input and waits for its end.
    pub(crate) fn leave(mut self) -> Option<i32> {
        self.stdin = None;
        self.exit_code()
    }

    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("the agent's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }

    /// The fault it ends with.
    pub(crate) fn fault(&mut self) -> (String, bool) {
        match self.answer() {
            FromAgent::Fault { reason, permanent } => (reason.shown().into(), permanent),
            other => panic!("expected a fault, not {other:?}"),
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads an agent's output: the magic line, then frames and nothing else.
fn receive(mut stdout: impl std::io::Read + Send + 'static) -> Receiver<Result<FromAgent, String>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let magic = gjob_core::wire::magic_line();
        let mut line = vec![0; magic.len()];
        if stdout.read_exact(&mut line).is_err() {
            return;
        }
        if line != magic.as_bytes() {
            let _ = sender.send(Err(format!("no magic line: {line:?}")));
            return;
        }
        let mut buffer = FrameBuffer::new();
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = stdout.by_ref().read(&mut bytes) {
            buffer.extend(&bytes[..length]);
            loop {
                let message = match buffer.next() {
                    Ok(None) => break,
                    Ok(Some(message)) => Ok(message),
                    Err(error) => Err(error.to_string()),
                };
                if sender.send(message).is_err() {
                    return;
                }
            }
        }
        if buffer.is_mid_frame() {
            let _ = sender.send(Err("it ends within a frame".to_owned()));
        }
    });
    receiver
}
