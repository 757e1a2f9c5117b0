//! The ground a bed stands on: a private directory, the lock that says its test
//! lives, and the janitor that sweeps it.
//!
//! What is in the directory is the beds' business; how it is swept is written
//! down in `janitor.sh` alone, for all the ways a test can end.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{getpid, getuid};

const PREFIX: &str = "gjob-testbed-";
const JANITOR: &str = include_str!("janitor.sh");

/// A private directory with its janitor. Dropping it has it swept.
#[derive(Debug)]
pub(crate) struct Ground {
    dir: PathBuf,
    janitor: Child,
    /// Locked as long as this process lives; others take it for abandoned then.
    _lock: File,
}

impl Ground {
    /// In the directory for temporary files.
    pub(crate) fn new() -> Self {
        Self::below(&env::temp_dir())
    }

    /// Sweeps what dead tests left in `parent`, then makes a new directory there.
    pub(crate) fn below(parent: &Path) -> Self {
        sweep_abandoned(parent);
        let prefix = format!("{PREFIX}{}-", getpid());
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent);
        let dir = dir.map(tempfile::TempDir::keep).expect("the bed's parent can be written");
        assert!(
            !dir.to_string_lossy().contains(|c: char| c.is_whitespace() || "'\"%#".contains(c)),
            "the bed's path has characters that ssh's configuration can't hold: {}",
            dir.display()
        );
        let lock = lock_new(&dir).expect("a new directory can be locked");
        let janitor = start_janitor(&dir, Stdio::piped()).expect("sh can be started");
        Self { dir, janitor, _lock: lock }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        let end = Instant::now() + Duration::from_secs(20);
        while matches!(self.janitor.try_wait(), Ok(None)) && Instant::now() < end {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The lock appears under its name only when it is held, so that a directory
/// just made is never taken for abandoned.
fn lock_new(dir: &Path) -> io::Result<File> {
    let file = File::create(dir.join("lock.new"))?;
    flock(&file, FlockOperation::LockExclusive)?;
    fs::rename(dir.join("lock.new"), dir.join("lock"))?;
    Ok(file)
}

/// A group of its own: ^C at the terminal ends the test, not its janitor.
fn start_janitor(dir: &Path, stdin: Stdio) -> io::Result<Child> {
    let keep = env::var_os("GJOB_TESTBED_KEEP").map_or("", |_| "keep");
    Command::new("sh")
        .args(["-c", JANITOR, "janitor"])
        .arg(dir)
        .arg(keep)
        .current_dir("/")
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// Beds of this user whose test has died together with its janitor.
fn sweep_abandoned(temp: &Path) {
    let Ok(entries) = fs::read_dir(temp) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == getuid().as_raw());
        if ours {
            sweep_if_abandoned(&entry.path());
        }
    }
}

fn sweep_if_abandoned(dir: &Path) {
    let Ok(lock) = File::open(dir.join("lock")) else { return };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return;
    }
    if let Ok(mut janitor) = start_janitor(dir, Stdio::null()) {
        // It fails at nothing that could be mended here.
        let _ = janitor.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_swept_when_its_lock_is_free_and_not_before() {
        let ground = Ground::new();
        let dir = ground.dir().to_owned();
        sweep_if_abandoned(&dir);
        assert!(dir.exists());

        let abandoned = tempfile::tempdir().unwrap().keep();
        sweep_if_abandoned(&abandoned);
        assert!(abandoned.exists(), "a directory without a lock is just being made");
        drop(lock_new(&abandoned).unwrap());
        sweep_if_abandoned(&abandoned);
        assert!(!abandoned.exists());

        drop(ground);
        assert!(!dir.exists());
    }
}
