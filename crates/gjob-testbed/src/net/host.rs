//! A host in namespaces of its own: it has a network to lose and processes that
//! end with it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::range::Range;
use crate::process::{self, BED_MARK, Process};
use crate::site::Site;
use crate::tools::{TIMEOUT, wait_within};

const BOOT: &str = include_str!("boot.sh");

/// What a host has to itself. `--kill-child`: its processes end with `unshare`.
const NAMESPACES: [&str; 7] =
    ["--net", "--uts", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"];

/// A host of a [`NetBed`](crate::NetBed). What it has in common with those of a
/// [`Bed`](crate::Bed) is in [`Site`].
#[derive(Debug)]
pub struct NetHost {
    site: Site,
    number: usize,
    program: PathBuf,
    range: Arc<Range>,
    /// The `unshare` above the host's first process; none after a crash.
    machine: Mutex<Option<Child>>,
}

impl NetHost {
    pub(super) fn new(site: Site, number: usize, program: &Path, range: Arc<Range>) -> Self {
        let program = program.to_owned();
        Self { site, number, program, range, machine: Mutex::new(None) }
    }

    /// Its address in the bed's own range; its sshd listens on port 22 there.
    #[must_use]
    pub fn address(&self) -> String {
        self.range.address(self.number)
    }

    /// What `hostname` says there: the alias.
    #[must_use]
    pub fn hostname(&self) -> &str {
        self.alias()
    }

    /// Takes its network away without a word: what is sent, either way, is lost.
    /// No connection is closed or refused, old or new.
    pub fn cut_off(&self) {
        self.range.set_link(self.number, "down").expect("a link can be taken down");
    }

    /// Gives its network back.
    pub fn heal(&self) {
        self.range.set_link(self.number, "up").expect("a link can be brought up");
    }

    /// Ends all its processes at once and in silence, as a power cut does: its
    /// connections are not closed, and it is gone until it [boots](Self::boot).
    /// Its files stay.
    pub fn crash(&self) {
        let Some(mut machine) = self.machine().take() else { return };
        // First, so that the dying processes' farewells don't get out.
        self.range.remove_link(self.number).expect("a link can be removed");
        machine.kill().and_then(|()| machine.wait()).expect("a child can be ended");
        let quiet = || self.processes().is_empty();
        wait_within(TIMEOUT, "the crashed host's processes to end", quiet);
    }

    /// Boots it after a crash: same address, same files, new boot id, no
    /// processes. Waits until its sshd listens.
    pub fn boot(&self) {
        if self.machine().is_none() {
            self.power_on();
            self.settle();
        }
    }

    /// The sshd processes that serve connections now.
    #[must_use]
    pub fn connections(&self) -> Vec<Process> {
        self.init().map_or_else(Vec::new, |init| process::connections(init.pid()))
    }

    /// Ends all connections at once with SIGKILL to their sshds: clients see
    /// theirs closed, what the sessions have started is left alone. Returns how
    /// many sshd processes there were, one or two for a connection.
    pub fn kill_connections(&self) -> usize {
        process::kill_all(&self.connections())
    }

    /// Starts the host without waiting for its sshd.
    pub(super) fn power_on(&self) {
        fs::write(self.boot_id_file(), new_boot_id()).expect("the bed can be written");
        let mut machine = self.machine_command().spawn().expect("unshare can be started");
        let ready = machine.stdout.take().map(BufReader::new).and_then(|out| out.lines().next());
        assert!(
            matches!(&ready, Some(Ok(line)) if line == "ready"),
            "{} does not boot: {}",
            self.alias(),
            fs::read_to_string(self.errors_file()).unwrap_or_default()
        );
        self.range.lay_link(self.number, machine.id()).expect("a link can be laid");
        let go = machine.stdin.take().map(|mut stdin| stdin.write_all(b"go\n"));
        assert!(matches!(go, Some(Ok(()))), "{} ended while it booted", self.alias());
        *self.machine() = Some(machine);
    }

    /// Waits until its sshd listens, as its pid file says.
    pub(super) fn settle(&self) {
        wait_within(TIMEOUT, "a booted host's sshd", || {
            let ended = self.machine().as_mut().is_none_or(|machine| {
                machine.try_wait().expect("a child can be waited for").is_some()
            });
            let errors = || fs::read_to_string(self.errors_file()).unwrap_or_default();
            assert!(!ended, "{} does not boot:\n{}{}", self.alias(), errors(), self.log());
            self.pid_file().exists()
        });
        fs::remove_file(self.pid_file()).expect("the bed can be written");
    }

    fn machine_command(&self) -> Command {
        let errors = fs::File::create(self.errors_file()).expect("the bed can be written");
        let mut command = Command::new("unshare");
        command
            .args(NAMESPACES)
            .args(["sh", "-c", BOOT, "boot"])
            .args([self.alias(), &self.address(), &self.range.gateway(), &self.range.mac(0)])
            .arg(self.boot_id_file())
            .arg(&self.program)
            .arg("-D")
            .arg("-f")
            .arg(self.config_file())
            .arg("-E")
            .arg(self.log_file())
            .args(["-o", &format!("ListenAddress={}:22", self.address())])
            .args(["-o", &format!("PidFile={}", self.pid_file().display())])
            // By this the janitor finds it. Its sessions get marks of their own.
            .env(BED_MARK, self.bed())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .process_group(0);
        command
    }

    /// Its process 1, by the number it has outside: its namespaces can be entered
    /// by it. None after a crash.
    #[must_use]
    pub fn init(&self) -> Option<Process> {
        let machine = self.machine().as_ref().map(Child::id)?;
        process::children(machine).into_iter().next()
    }

    fn boot_id_file(&self) -> PathBuf {
        self.dir().join("boot_id")
    }

    /// The number in it is the namespace's, so it isn't where the janitor looks.
    fn pid_file(&self) -> PathBuf {
        self.dir().join("listening")
    }

    fn errors_file(&self) -> PathBuf {
        self.dir().join("boot.err")
    }

    fn machine(&self) -> MutexGuard<'_, Option<Child>> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for NetHost {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Drop for NetHost {
    /// Its processes end with it; the janitor takes the link down.
    fn drop(&mut self) {
        if let Some(machine) = self.machine().as_mut() {
            // Neither fails but for a machine that has ended by itself.
            let _ = machine.kill().and_then(|()| machine.wait());
        }
    }
}

/// The kernel's boot id is one for all namespaces, so each boot gets another.
fn new_boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/uuid").expect("the kernel makes uuids")
}
