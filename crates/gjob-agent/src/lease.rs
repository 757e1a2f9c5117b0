//! A run's lease: until when, by the host's own clock, its jobs may run without a
//! message from the manager. The agent writes it to the run's directory; every slot
//! of the run ends its job by it, whether or not the agent still lives.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gjob_core::Cause;
use serde::{Deserialize, Serialize};

use crate::host;
use crate::jobdir::{read_json, to_json};
use crate::own_file;

/// The file's length, bytes: always the same, so that a full disk has room for
/// the next one.
const LENGTH: usize = 160;

/// More of it is not read, bytes.
const MAX_BYTES: u64 = 4096;

/// The most messages that wait for their echo; of a manager that echoes none, the
/// older ones are forgotten.
const MAX_SENT: usize = 1000;

/// How often the file is read until it reads the same twice.
const MAX_READS: u32 = 5;

/// The two clocks are not read at once, and the wall clock is slewed: less than this
/// between their ends is no jump, milliseconds.
const MIN_JUMP_MS: u64 = 1000;

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct LeaseFile {
    /// The kernel's boot id, without which the time means nothing.
    boot_id: String,
    /// When it ends: milliseconds since the host was booted, sleep included.
    until_ms: u64,
    /// The same by the wall clock: the other one stands while a virtual machine does.
    until_clock_ms: u64,
}

/// When a lease ends: at the earlier one of two times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeaseEnd {
    /// Milliseconds since the host was booted.
    pub(crate) boot_ms: u64,
    /// Milliseconds since 1970.
    pub(crate) clock_ms: u64,
}

impl LeaseEnd {
    /// One that is over.
    pub(crate) const LONG_AGO: LeaseEnd = LeaseEnd { boot_ms: 0, clock_ms: 0 };

    /// That of an endless one.
    const NEVER: LeaseEnd = LeaseEnd { boot_ms: u64::MAX, clock_ms: u64::MAX };

    /// Until its end; zero after it.
    pub(crate) fn time_left(&self) -> Duration {
        let left = self.boot_ms.saturating_sub(host::since_boot_ms());
        Duration::from_millis(left.min(self.clock_ms.saturating_sub(host::now().0)))
    }

    /// True from its end on.
    pub(crate) fn is_over(&self) -> bool {
        self.time_left().is_zero()
    }

    /// For what a job ends then. Only the wall clock shows that a virtual machine stood
    /// still, and it does so when it is set right: that looks as if it were set forward.
    pub(crate) fn cause(&self) -> Cause {
        let is_jump = host::since_boot_ms() + MIN_JUMP_MS < self.boot_ms;
        if is_jump { Cause::Clock } else { Cause::Lease }
    }

    /// Since its end; zero before it.
    pub(crate) fn ago(&self) -> Duration {
        let ago = host::since_boot_ms().saturating_sub(self.boot_ms);
        Duration::from_millis(ago.max(host::now().0.saturating_sub(self.clock_ms)))
    }
}

/// The lease as the agent keeps it that holds the run's lock.
#[derive(Debug)]
pub(crate) struct KeptLease {
    /// None as long as there is none.
    file: Option<File>,
    path: PathBuf,
    lease_ms: u64,
    /// When the latest message was sent that the manager is known to have received.
    received_ms: u64,
    /// When later ones were sent: since boot, and by the wall clock, milliseconds.
    sent: VecDeque<(u64, u64)>,
    /// What was written last.
    end: LeaseEnd,
}

impl KeptLease {
    /// Begins a lease that runs from `since_ms`. When this attachment is to have none, an
    /// earlier one's is made endless: slots that have it look at it.
    pub(crate) fn begin(
        path: &Path,
        lease_ms: Option<u64>,
        since_ms: u64,
    ) -> io::Result<Option<Self>> {
        let mut lease = KeptLease {
            file: None,
            path: path.to_owned(),
            lease_ms: lease_ms.unwrap_or(u64::MAX),
            received_ms: since_ms,
            sent: VecDeque::new(),
            end: LeaseEnd::LONG_AGO,
        };
        if lease_ms.is_none() && std::fs::symlink_metadata(path).is_err() {
            return Ok(None);
        }
        // An earlier attachment's has its room even when the disk is full.
        lease.file = open(path, &mut OpenOptions::new()).ok();
        lease.write(since_ms, host::now().0.saturating_sub(host::since_boot_ms() - since_ms))?;
        Ok(lease_ms.map(|_| lease))
    }

    /// When it ends, as it was written last.
    pub(crate) fn end(&self) -> LeaseEnd {
        self.end
    }

    /// Something was sent at this time, which the manager may echo.
    pub(crate) fn note_sent(&mut self, boot_ms: u64, clock_ms: u64) {
        self.sent.truncate(MAX_SENT);
        self.sent.push_front((boot_ms, clock_ms));
    }

    /// The manager has received what was sent at `echo_ms`. An older time changes
    /// nothing, nor does one that is yet to come.
    pub(crate) fn renew(&mut self, echo_ms: u64) -> io::Result<()> {
        if echo_ms > self.received_ms && echo_ms <= host::since_boot_ms() {
            // By the wall clock of then: an echo that was under way while the machine
            // stood still proves nothing of the time since.
            let sent = self.sent.iter().find(|(boot_ms, _)| *boot_ms == echo_ms);
            let Some((_, clock_ms)) = sent.copied() else { return Ok(()) };
            self.write(echo_ms, clock_ms)?;
            self.received_ms = echo_ms;
            self.sent.retain(|(boot_ms, _)| *boot_ms > echo_ms);
        }
        Ok(())
    }

    /// True when nothing may be started.
    pub(crate) fn is_over(&self) -> bool {
        self.end.is_over()
    }

    fn write(&mut self, received_ms: u64, received_clock_ms: u64) -> io::Result<()> {
        let end = |received: u64| received.saturating_add(self.lease_ms);
        self.end = LeaseEnd { boot_ms: end(received_ms), clock_ms: end(received_clock_ms) };
        let mut json = to_json(LeaseFile {
            boot_id: host::boot_id().to_owned(),
            until_ms: self.end.boot_ms,
            until_clock_ms: self.end.clock_ms,
        })?;
        json.resize(LENGTH.max(json.len()), b' ');
        match &self.file {
            Some(file) if is_at(file, &self.path) => {
                file.write_all_at(&json, 0)?;
                // A job may have made it longer.
                file.set_len(json.len() as u64)
            }
            _ => self.replace(&json),
        }
    }

    /// Puts a new file in place, by rename: a slot finds a whole one.
    fn replace(&mut self, json: &[u8]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let file = own_file::open_in_place(&new, options)?;
        file.write_all_at(json, 0)?;
        own_file::clear_place(&self.path)?;
        std::fs::rename(&new, &self.path)?;
        self.file = Some(file);
        Ok(())
    }
}

/// True when a file still has its place.
fn is_at(file: &File, path: &Path) -> bool {
    let inode = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
    let there = std::fs::symlink_metadata(path).map(inode);
    there.is_ok_and(|there| file.metadata().map(inode).is_ok_and(|own| own == there))
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    own_file::open(path, options.write(true).mode(0o600))
}

/// The lease as slots read it. Jobs can put anything in its place: what cannot be read says
/// nothing, and what was known before holds.
#[derive(Debug)]
pub(crate) struct Lease {
    path: PathBuf,
}

impl Lease {
    /// The one at `path`.
    pub(crate) fn new(path: PathBuf) -> Self {
        Lease { path }
    }

    /// When it ends; none when it is endless. One of another boot has ended.
    pub(crate) fn end(&self) -> io::Result<Option<LeaseEnd>> {
        let LeaseFile { boot_id, until_ms, until_clock_ms } = read_json(&self.read()?)?;
        let end = LeaseEnd { boot_ms: until_ms, clock_ms: until_clock_ms };
        let end = Some(if boot_id == host::boot_id() { end } else { LeaseEnd::LONG_AGO });
        Ok(end.filter(|end| *end != LeaseEnd::NEVER))
    }

    /// Reads the file more than once, since it is written in place.
    fn read(&self) -> io::Result<Vec<u8>> {
        let mut last = None;
        for _ in 0..MAX_READS {
            let now = own_file::read(&self.path, MAX_BYTES)?;
            if last.as_ref() == Some(&now) {
                return Ok(now);
            }
            last = Some(now);
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(path: &Path, lease_ms: u64) -> KeptLease {
        KeptLease::begin(path, Some(lease_ms), host::since_boot_ms()).unwrap().unwrap()
    }

    #[test]
    fn lease_runs_from_the_latest_echo() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lease");
        let lease = Lease::new(path.clone());
        let until_ms = || lease.end().unwrap().map(|end| end.boot_ms);
        assert!(lease.end().is_err());
        let mut kept = begin(&path, 1_000_000);
        let since = kept.received_ms;
        assert_eq!(until_ms(), Some(since + 1_000_000));
        // What was never sent is no echo.
        for nothing_new in [0, since - 1, since, since + 1, since + 3_600_000] {
            kept.renew(nothing_new).unwrap();
            assert_eq!(until_ms(), Some(since + 1_000_000));
        }
        while host::since_boot_ms() == since {}
        kept.note_sent(since + 1, host::now().0);
        kept.renew(since + 1).unwrap();
        assert_eq!(until_ms(), Some(since + 1_000_001));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), LENGTH as u64);
        assert!(!kept.is_over());
        assert!(KeptLease::begin(&path, None, since).unwrap().is_none());
        assert_eq!(lease.end().unwrap(), None);
        std::fs::remove_file(&path).unwrap();
        assert!(KeptLease::begin(&path, None, since).unwrap().is_none());
        assert!(!path.exists());
    }

    #[test]
    fn what_takes_a_lease_s_place_says_nothing_until_it_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lease");
        let lease = Lease::new(path.clone());
        let remove = || std::fs::remove_file(&path).unwrap();
        let spoils: [&dyn Fn(); 4] = [
            &|| std::fs::write(&path, "x".repeat(1000)).unwrap(),
            &|| remove(),
            &|| {
                remove();
                std::fs::create_dir(&path).unwrap();
            },
            &|| {
                remove();
                std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
            },
        ];
        for spoil in spoils {
            let mut kept = begin(&path, 1_000_000);
            spoil();
            assert!(lease.end().is_err());
            let boot_ms = kept.received_ms + 1;
            while host::since_boot_ms() < boot_ms {}
            kept.note_sent(boot_ms, host::now().0);
            kept.renew(boot_ms).unwrap();
            assert_eq!(lease.end().unwrap(), Some(kept.end()));
            spoil();
        }
    }

    #[test]
    fn lease_of_another_boot_is_over_and_one_that_cannot_be_read_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lease");
        begin(&path, 1_000_000);
        let lease = Lease::new(path.clone());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(host::boot_id(), "x")).unwrap();
        assert_eq!(lease.end().unwrap(), Some(LeaseEnd::LONG_AGO));
        for other in [text.replace(":4,", ":9,"), "{".into()] {
            assert_ne!(other, text);
            std::fs::write(&path, other).unwrap();
            assert!(lease.end().is_err());
        }
    }

    #[test]
    fn no_jump_of_the_wall_clock_extends_a_lease() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = begin(&dir.path().join("lease"), 10_000);
        let boot_ms = kept.received_ms + 1;
        while host::since_boot_ms() < boot_ms {}
        // Sent an hour ago by the wall clock, of which the other one knows nothing.
        kept.note_sent(boot_ms, host::now().0 - 3_600_000);
        kept.renew(boot_ms).unwrap();
        assert!(kept.is_over());
        assert_eq!(kept.end.cause(), Cause::Clock);
        // The wall clock was set back since.
        kept.note_sent(boot_ms + 1, host::now().0 + 3_600_000);
        while host::since_boot_ms() <= boot_ms {}
        kept.renew(boot_ms + 1).unwrap();
        assert!(!kept.is_over() && kept.end.time_left() <= Duration::from_secs(10));
        assert_eq!(LeaseEnd::LONG_AGO.cause(), Cause::Lease);
        let soon = LeaseEnd { boot_ms: host::since_boot_ms() + 100, clock_ms: 0 };
        assert_eq!(soon.cause(), Cause::Lease);
    }

    #[test]
    fn lease_ends_at_the_earlier_one_of_its_times() {
        let (boot_ms, clock_ms) = (host::since_boot_ms(), host::now().0);
        let end = |boot: i64, clock: i64| LeaseEnd {
            boot_ms: boot_ms.saturating_add_signed(boot),
            clock_ms: clock_ms.saturating_add_signed(clock),
        };
        assert!(!end(100_000, 100_000).is_over());
        // The machine has stood still for longer than its own clock has counted.
        assert!(end(100_000, -9_000).is_over() && end(-1, 100_000).is_over());
        assert!(end(100_000, -9_000).ago() >= Duration::from_secs(9));
        assert!(LeaseEnd::LONG_AGO.is_over());
    }

    /// The format on disk: changing it needs a new RECORD_VERSION.
    #[test]
    fn format_of_a_lease_is_pinned() {
        let lease = LeaseFile { boot_id: "b".into(), until_ms: 7, until_clock_ms: 8 };
        let json = String::from_utf8(to_json(lease).unwrap()).unwrap();
        assert_eq!(json, "{\"version\":4,\"boot_id\":\"b\",\"until_ms\":7,\"until_clock_ms\":8}\n");
    }
}
