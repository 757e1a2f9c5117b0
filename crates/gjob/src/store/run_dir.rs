//! Where runs live on the manager's side: `$GJOB_STATE_DIR/runs/RUN/`, else
//! below `$XDG_STATE_HOME/gjob`. A run's directory holds its database and the
//! lock of the process that manages it.

mod error;

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use etcetera::BaseStrategy;
use gjob_core::run::TaskAttempt;
use gjob_core::wire::{ManagedAt, Stream};
use gjob_core::{RunId, Timestamp};
use rustix::fs::{FlockOperation, OFlags, flock};

pub use error::RunDirError;

use crate::trust::resolve;

/// How long a lock is tried for before it is another manager's.
const LOOK_TIME: Duration = Duration::from_millis(300);

const NONBLOCK: i32 = OFlags::NONBLOCK.bits() as i32;

/// A run's database.
const DATABASE: &str = "run.db";

/// Below the state directory, where runs are.
const RUNS: &str = "runs";

/// Below the state directory, the symbolic link that leads to the run made last.
/// So users call that run, too.
pub const LATEST: &str = "latest";

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RunDirError + '_ {
    move |source| RunDirError::Io { path: path.to_owned(), source }
}

/// The directory below which runs live.
#[derive(Clone, Debug)]
pub struct StateDir {
    runs: PathBuf,
}

impl StateDir {
    /// `$GJOB_STATE_DIR`, else `gjob` below the user's state directory.
    ///
    /// # Errors
    /// When neither is known.
    pub fn from_env() -> Result<StateDir, RunDirError> {
        if let Some(dir) = std::env::var_os("GJOB_STATE_DIR").filter(|dir| !dir.is_empty()) {
            return Ok(StateDir::new(PathBuf::from(dir)));
        }
        let base = etcetera::base_strategy::Xdg::new().map_err(|_| RunDirError::NoHome)?;
        let state = base.state_dir().ok_or(RunDirError::NoHome)?;
        Ok(StateDir::new(state.join("gjob")))
    }

    /// Runs below `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> StateDir {
        StateDir { runs: dir.into().join(RUNS) }
    }

    /// Makes the directory of a new run; its id is today's next.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_run(&self, today: Timestamp) -> Result<RunDir, RunDirError> {
        private_dirs().create(&self.runs).map_err(io_error(&self.runs))?;
        let runs = resolve(&self.runs)?;
        let date = today.date_string();
        // A number is not used again, though the run that had it was removed.
        let made = self.runs()?.into_iter().chain(self.named_latest());
        let numbers = made.filter(|run| run.order().0 == date).map(|run| run.order().1);
        let mut number = numbers.max().unwrap_or(0);
        loop {
            number += 1;
            let Ok(run) = RunId::new(&date, number) else { return Err(RunDirError::NoHome) };
            let path = runs.join(run.as_str());
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(RunDir { path, run }),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(io_error(&path)(e)),
            }
        }
    }

    /// Every run, oldest first.
    ///
    /// # Errors
    /// When the directory cannot be read, or another user can write to it; a missing
    /// one has no runs.
    pub fn runs(&self) -> Result<Vec<RunId>, RunDirError> {
        let names = self.names()?;
        let mut runs: Vec<RunId> = names.iter().filter_map(|name| run_id(name)).collect();
        runs.sort_by(|a, b| a.order().cmp(&b.order()));
        Ok(runs)
    }

    /// What lies beside the runs, and is called as none can be.
    ///
    /// # Errors
    /// As [`StateDir::runs`].
    pub fn other_names(&self) -> Result<Vec<OsString>, RunDirError> {
        let mut names = self.names()?;
        names.retain(|name| run_id(name).is_none());
        names.sort();
        Ok(names)
    }

    fn names(&self) -> Result<Vec<OsString>, RunDirError> {
        let entries = match std::fs::read_dir(&self.runs) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(io_error(&self.runs)(e)),
        };
        resolve(&self.runs)?;
        Ok(entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect())
    }

    /// The directory that holds the runs.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.runs
    }

    /// The run that a user calls so: by its id, by the end of its id from a dash on, or
    /// [`LATEST`].
    ///
    /// # Errors
    /// When it is no name of a run, when there is none with this end, or several. A run
    /// with a whole id is looked for by whoever uses it.
    pub fn run_named(&self, word: &str) -> Result<RunId, RunDirError> {
        if word == LATEST {
            return Ok(self.find(None)?.run);
        }
        if let Ok(run) = word.parse() {
            return Ok(run);
        }
        let is_end = |byte: u8| byte.is_ascii_digit() || byte == b'-';
        if word.is_empty() || word.starts_with('-') || !word.bytes().all(is_end) {
            return Err(RunDirError::NoName { word: word.to_owned() });
        }
        let end = format!("-{word}");
        let mut runs = self.runs()?;
        runs.retain(|run| run.as_str().ends_with(&end));
        match runs.as_slice() {
            [run] => Ok(run.clone()),
            [] => Err(RunDirError::NoSuchEnd { end: word.to_owned(), path: self.runs.clone() }),
            _ => Err(RunDirError::SeveralRuns { end: word.to_owned(), runs }),
        }
    }

    /// The directory of `run`, or of the latest run that has a database.
    ///
    /// # Errors
    /// When there is none, or another user could have written it.
    pub fn find(&self, run: Option<&RunId>) -> Result<RunDir, RunDirError> {
        let dir = |run: RunId| RunDir { path: self.runs.join(run.as_str()), run };
        let found = match run {
            Some(run) => Some(dir(run.clone()))
                .filter(|dir| dir.database().exists())
                .ok_or_else(|| RunDirError::NoRun { run: run.clone(), path: self.runs.clone() }),
            None => self
                .made_last()
                .into_iter()
                .chain(self.runs()?.into_iter().rev())
                .map(dir)
                .find(|dir| dir.database().exists())
                .ok_or_else(|| RunDirError::NoRuns { path: self.runs.clone() }),
        };
        found?.checked()
    }

    /// The directory of a run, whatever is in it.
    ///
    /// # Errors
    /// When there is none, or another user could have written it.
    pub fn directory(&self, run: &RunId) -> Result<PathBuf, RunDirError> {
        let path = self.runs.join(run.as_str());
        if !path.is_dir() {
            return Err(RunDirError::NoRun { run: run.clone(), path: self.runs.clone() });
        }
        Ok(resolve(&path)?)
    }

    /// The run that was made last, whether its record is there or not.
    fn named_latest(&self) -> Option<RunId> {
        let target = std::fs::read_link(self.runs.parent()?.join(LATEST)).ok()?;
        target.file_name()?.to_str()?.parse().ok()
    }

    /// The run that was made last, if it is known.
    fn made_last(&self) -> Option<RunId> {
        let run = self.named_latest()?;
        self.runs.join(run.as_str()).join(DATABASE).exists().then_some(run)
    }

    /// True when a run has a later date than the one that was made last: which of
    /// them is meant by the latest is not obvious.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn is_latest_ambiguous(&self) -> Result<bool, RunDirError> {
        let last = self.runs()?.pop();
        Ok(self.made_last().is_some_and(|made| last.is_some_and(|last| last != made)))
    }
}

/// One run's directory.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
    run: RunId,
}

impl RunDir {
    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it is managed, as this machine names it.
    #[must_use]
    pub fn managed_at(&self) -> ManagedAt {
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        // The state directory has those of runs, which have this.
        let state = self.path.ancestors().nth(2).unwrap_or(&self.path);
        let state = state.canonicalize().unwrap_or_else(|_| state.to_owned());
        ManagedAt { machine, state_dir: state.to_string_lossy().into_owned() }
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The same, once it was checked: what its database holds is obeyed.
    fn checked(self) -> Result<RunDir, RunDirError> {
        let database = resolve(&self.database())?;
        let beside = ["run.db-wal", "run.db-shm", "run.db-journal", "lock"];
        let beside = beside.iter().map(|name| self.path.join(name)).filter(|path| path.exists());
        for path in beside.chain([database]) {
            // A pipe would be waited for when it is opened.
            if !path.is_file() {
                let source = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
                return Err(RunDirError::Io { path, source });
            }
        }
        let path = resolve(&self.path)?;
        Ok(RunDir { path, ..self })
    }

    /// Where what a host's set-up or teardown has printed is kept.
    #[must_use]
    pub fn task_log(&self, of: &TaskAttempt, stream: Stream) -> PathBuf {
        let kind = match stream {
            Stream::Stdout => "log",
            Stream::Stderr => "err",
        };
        let (task, attempt) = (of.task.as_str(), of.attempt.key.attempt);
        self.path
            .join("hosts")
            // A host may be called `..`.
            .join(of.attempt.host.to_file_name())
            .join(format!("{task}.{attempt}.{kind}"))
    }

    /// Its database's file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Makes the database's file under a name that nobody reads, empty and for
    /// the user alone.
    pub(super) fn create_database(&self) -> Result<PathBuf, RunDirError> {
        let path = self.path.join("run.db.new");
        let mut options = OpenOptions::new();
        options.create_new(true).write(true).mode(0o600);
        options.open(&path).map_err(io_error(&path))?;
        Ok(path)
    }

    /// Gives the database its name, once it is durable. So is the name when SQLite syncs the
    /// directory, which it does with the first commit.
    pub(super) fn publish_database(&self, unfinished: &Path) -> Result<(), RunDirError> {
        let synced = File::open(unfinished).and_then(|file| file.sync_all());
        synced.map_err(io_error(unfinished))?;
        std::fs::rename(unfinished, self.database()).map_err(io_error(unfinished))?;
        // Without it, the latest run is the one of the latest date.
        let _ = self.name_latest();
        Ok(())
    }

    /// Makes this the latest run, whatever its date: clocks are set back.
    fn name_latest(&self) -> io::Result<()> {
        let Some(state) = self.path.parent().and_then(Path::parent) else { return Ok(()) };
        let new = self.path.join("latest.new");
        std::os::unix::fs::symlink(Path::new(RUNS).join(self.run.as_str()), &new)?;
        std::fs::rename(new, state.join(LATEST))
    }

    /// Removes a run with all that is recorded of it. If it was the latest, that is the one
    /// of the latest date that is left.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self) -> Result<(), RunDirError> {
        std::fs::remove_dir_all(&self.path).map_err(io_error(&self.path))?;
        let Some(state) = self.path.parent().and_then(Path::parent) else { return Ok(()) };
        let state = StateDir::new(state);
        if state.made_last().is_none()
            && let Ok(last) = state.find(None)
        {
            // Without it, it is found by its date.
            let _ = last.name_latest();
        }
        Ok(())
    }

    /// Takes back a run that could not be recorded: it has not begun.
    pub(crate) fn discard(&self) {
        // What is left of it is no run, and in nobody's way.
        let _ = std::fs::remove_dir_all(&self.path);
    }

    /// Takes the run for this process, until the lock is dropped.
    pub(super) fn lock(&self) -> Result<RunLock, RunDirError> {
        let path = self.path.join("lock");
        let file = self.lock_file(&path)?;
        let deadline = Instant::now() + LOOK_TIME;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(RunLock(file)),
                // Whoever only looks holds the lock for a moment.
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(RunDirError::Locked { run: self.run.clone() });
                }
                Err(e) => return Err(io_error(&path)(e.into())),
            }
        }
    }

    fn lock_file(&self, path: &Path) -> Result<File, RunDirError> {
        let mut options = OpenOptions::new();
        // Opening a pipe that takes its place would wait for the other end.
        options.create(true).append(true).mode(0o600).custom_flags(NONBLOCK);
        options.open(path).map_err(io_error(path))
    }

    /// True while a process manages the run.
    ///
    /// # Errors
    /// When the lock cannot be examined.
    pub fn is_managed(&self) -> Result<bool, RunDirError> {
        let path = self.path.join("lock");
        let file = match OpenOptions::new().read(true).custom_flags(NONBLOCK).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(io_error(&path)(e)),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(e) => Err(io_error(&path)(e.into())),
        }
    }
}

/// Held while this process manages the run.
#[derive(Debug)]
pub(super) struct RunLock(#[expect(dead_code, reason = "dropping it gives the run back")] File);

fn run_id(name: &OsStr) -> Option<RunId> {
    name.to_str()?.parse().ok()
}

fn private_dirs() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
}
