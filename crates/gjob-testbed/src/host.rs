//! A host on loopback: a site with an sshd that listens on a port of its own.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::ops::{Deref, Range};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Signal;

use crate::process::{self, Process};
use crate::site::Site;
use crate::tools::{TIMEOUT, wait_within};

/// Ports to choose from: below those the kernel hands out by itself.
const PORTS: Range<u16> = 20_000..32_000;

/// A host of a [`Bed`](crate::Bed). What it has in common with those of a
/// [`NetBed`](crate::NetBed) is in [`Site`].
#[derive(Debug)]
pub struct Host {
    site: Site,
    program: PathBuf,
    port: u16,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    listener: Option<Listener>,
    /// Connections that were open when their listener was stopped.
    orphans: Vec<Process>,
}

#[derive(Debug)]
struct Listener {
    sshd: Child,
    /// Where in the log its own lines begin.
    log_start: usize,
}

impl Host {
    /// Starts an sshd on some port, without waiting for it.
    pub(crate) fn launch(site: Site, program: &Path) -> Self {
        let state = Mutex::new(State::default());
        let host = Self { site, program: program.to_owned(), port: random_port(), state };
        host.spawn();
        host
    }

    /// Waits until it listens; on other ports when that one is taken. To be
    /// able to bind is what makes a port free: nobody looks beforehand.
    pub(crate) fn settle(&mut self) {
        let mut attempts = 0;
        while !self.listens() {
            attempts += 1;
            assert!(attempts < 20, "sshd finds no free port:\n{}", self.log());
            self.port = random_port();
            self.spawn();
        }
    }

    /// The port on 127.0.0.1 that its sshd listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The sshd processes that serve connections now, also those that began
    /// before the listener was stopped.
    #[must_use]
    pub fn connections(&self) -> Vec<Process> {
        let state = self.state();
        let listener = state.listener.iter();
        let mut found: Vec<Process> =
            listener.flat_map(|listener| process::connections(listener.sshd.id())).collect();
        found.extend(state.orphans.iter().filter(|orphan| orphan.is_alive()).cloned());
        found
    }

    /// Ends all connections at once with SIGKILL to their sshds: clients see
    /// theirs closed, what the sessions have started is left alone. Returns how
    /// many sshd processes there were, one or two for a connection.
    pub fn kill_connections(&self) -> usize {
        process::kill_all(&self.connections())
    }

    /// Ends the listening sshd: new connections are refused, existing ones stay.
    pub fn stop(&self) {
        let mut state = self.state();
        let Some(Listener { mut sshd, .. }) = state.listener.take() else { return };
        // Held still, so that no connection begins between counting and ending.
        if let Some(process) = Process::find(sshd.id()) {
            process.signal(Signal::STOP);
        }
        state.orphans.extend(process::connections(sshd.id()));
        // Where the janitor looks for them.
        let line = |orphan: &Process| format!("{} {}\n", orphan.pid(), orphan.started());
        let lines: String = state.orphans.iter().map(line).collect();
        fs::write(self.dir().join("orphans"), lines).expect("the bed can be written");
        sshd.kill().and_then(|()| sshd.wait()).expect("a child can be ended");
    }

    /// Starts the sshd again, on the same port.
    ///
    /// # Panics
    ///
    /// When something else has taken the port meanwhile.
    pub fn start(&self) {
        if self.state().listener.is_none() {
            self.spawn();
            assert!(self.listens(), "port {} is taken:\n{}", self.port, self.log());
        }
    }

    /// In a group of its own: ^C at the terminal is the janitor's to deal with.
    fn spawn(&self) {
        let errors = File::create(self.errors_file()).expect("the bed can be written");
        let log_start = self.log().len();
        let sshd = Command::new(&self.program)
            .arg("-D")
            .arg("-f")
            .arg(self.config_file())
            .arg("-E")
            .arg(self.log_file())
            .args(["-o", &format!("ListenAddress=127.0.0.1:{}", self.port)])
            .args(["-o", &format!("PidFile={}/sshd.pid", self.dir().display())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .process_group(0)
            .spawn()
            .expect("sshd can be started");
        self.state().listener = Some(Listener { sshd, log_start });
    }

    /// Waits for the sshd just started: true when it listens, false when its
    /// port is taken.
    fn listens(&self) -> bool {
        let mut listens = false;
        wait_within(TIMEOUT, "an sshd to listen or to give up", || {
            let mut state = self.state();
            let Some(Listener { sshd, log_start }) = &mut state.listener else { return true };
            let ended = sshd.try_wait().expect("a child can be waited for").is_some();
            let log = self.log().split_off(*log_start);
            listens = log.contains("Server listening on");
            if ended && !listens {
                let errors = fs::read_to_string(self.errors_file()).unwrap_or_default();
                assert!(log.contains("in use"), "sshd does not start:\n{log}{errors}");
            }
            listens || ended
        });
        listens
    }

    fn errors_file(&self) -> PathBuf {
        self.dir().join("sshd.err")
    }

    /// A test that panics with the lock held has said so already.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Host {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Drop for Host {
    /// The janitor ends what this one may have left behind.
    fn drop(&mut self) {
        self.stop();
    }
}

fn random_port() -> u16 {
    let random = RandomState::new().build_hasher().finish();
    let offset = random % u64::from(PORTS.end - PORTS.start);
    PORTS.start + u16::try_from(offset).expect("an offset below the range's length fits")
}
