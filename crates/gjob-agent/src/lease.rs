//! A run's lease: until when, by the host's own clock, its jobs may run without a
//! message from the manager. The agent writes it to the run's directory; every slot
//! of the run ends its job by it, whether or not the agent still lives.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::host;
use crate::jobdir::{read_json, to_json};

/// The file's length, bytes: always the same, so that a full disk has room for
/// the next one.
const LENGTH: usize = 160;

/// How often the file is read until it reads the same twice.
const MAX_READS: u32 = 5;

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct LeaseFile {
    /// The kernel's boot id, without which the time means nothing.
    boot_id: String,
    /// When it ends: milliseconds since the host was booted, sleep included.
    until_ms: u64,
}

/// The lease as the agent keeps it that holds the run's lock.
#[derive(Debug)]
pub(crate) struct KeptLease {
    file: File,
    lease_ms: u64,
    /// When the latest message was sent that the manager is known to have received.
    received_ms: u64,
}

impl KeptLease {
    /// Begins a lease that runs from `since_ms`, or ends an earlier
    /// attachment's when this one is to have none.
    pub(crate) fn begin(
        path: &Path,
        lease_ms: Option<u64>,
        since_ms: u64,
    ) -> io::Result<Option<Self>> {
        let Some(lease_ms) = lease_ms else {
            return match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(None),
            };
        };
        let kept = |file| KeptLease { file, lease_ms, received_ms: since_ms };
        // An earlier attachment's has its room even when the disk is full.
        if let Ok(file) = open(path, &mut OpenOptions::new())
            && file.metadata()?.len() == LENGTH as u64
        {
            let lease = kept(file);
            lease.write(since_ms)?;
            return Ok(Some(lease));
        }
        // By rename: a slot finds no file or a whole one.
        let new = path.with_extension("new");
        let lease = kept(open(&new, OpenOptions::new().create(true).truncate(true))?);
        lease.write(since_ms)?;
        std::fs::rename(&new, path)?;
        Ok(Some(lease))
    }

    /// The manager has received what was sent at `echo_ms`. An older time changes
    /// nothing, nor does one that is yet to come.
    pub(crate) fn renew(&mut self, echo_ms: u64) -> io::Result<()> {
        if echo_ms > self.received_ms && echo_ms <= host::since_boot_ms() {
            self.write(echo_ms)?;
            self.received_ms = echo_ms;
        }
        Ok(())
    }

    /// True when nothing may be started.
    pub(crate) fn is_over(&self) -> bool {
        self.until_ms(self.received_ms) <= host::since_boot_ms()
    }

    fn until_ms(&self, received_ms: u64) -> u64 {
        received_ms.saturating_add(self.lease_ms)
    }

    fn write(&self, received_ms: u64) -> io::Result<()> {
        let until_ms = self.until_ms(received_ms);
        let mut json = to_json(LeaseFile { boot_id: host::boot_id().to_owned(), until_ms })?;
        json.resize(LENGTH.max(json.len()), b' ');
        self.file.write_all_at(&json, 0)
    }
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW.bits() as i32;
    options.write(true).mode(0o600).custom_flags(flags).open(path)
}

/// The lease as slots read it.
#[derive(Debug)]
pub(crate) struct Lease {
    path: PathBuf,
}

impl Lease {
    /// The one at `path`, which need not be there.
    pub(crate) fn new(path: PathBuf) -> Self {
        Lease { path }
    }

    /// When it ends, milliseconds since the host was booted; none when there is
    /// no lease. One of another boot has ended.
    pub(crate) fn until_ms(&self) -> io::Result<Option<u64>> {
        let Some(json) = self.read()? else { return Ok(None) };
        let lease: LeaseFile = read_json(&json)?;
        Ok(Some(if lease.boot_id == host::boot_id() { lease.until_ms } else { 0 }))
    }

    /// True when nothing may be started. A lease that cannot be read permits nothing.
    pub(crate) fn is_over(&self) -> bool {
        match self.until_ms() {
            Ok(None) => false,
            Ok(Some(until_ms)) => until_ms <= host::since_boot_ms(),
            Err(_) => true,
        }
    }

    /// Reads the file more than once, since it is written in place.
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let mut last = None;
        for _ in 0..MAX_READS {
            let now = match std::fs::read(&self.path) {
                Ok(json) => json,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            if last.as_ref() == Some(&now) {
                return Ok(last);
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
        assert!(lease.until_ms().unwrap().is_none() && !lease.is_over());
        let mut kept = begin(&path, 1_000_000);
        let since = kept.received_ms;
        assert_eq!(lease.until_ms().unwrap(), Some(since + 1_000_000));
        for nothing_new in [0, since - 1, since, since + 3_600_000] {
            kept.renew(nothing_new).unwrap();
            assert_eq!(lease.until_ms().unwrap(), Some(since + 1_000_000));
        }
        while host::since_boot_ms() == since {}
        kept.renew(since + 1).unwrap();
        assert_eq!(lease.until_ms().unwrap(), Some(since + 1_000_001));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), LENGTH as u64);
        assert!(!lease.is_over() && !kept.is_over());
        assert!(KeptLease::begin(&path, None, since).unwrap().is_none());
        assert!(!path.exists());
    }

    #[test]
    fn lease_of_another_boot_or_that_cannot_be_read_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lease");
        begin(&path, 1_000_000);
        let lease = Lease::new(path.clone());
        assert!(!lease.is_over());
        let text = std::fs::read_to_string(&path).unwrap();
        for other in [text.replace(host::boot_id(), "x"), text.replace(":4,", ":9,"), "{".into()] {
            assert_ne!(other, text);
            std::fs::write(&path, other).unwrap();
            assert!(lease.is_over());
        }
    }

    /// The format on disk: changing it needs a new RECORD_VERSION.
    #[test]
    fn format_of_a_lease_is_pinned() {
        let lease = LeaseFile { boot_id: "b".into(), until_ms: 7 };
        let json = String::from_utf8(to_json(lease).unwrap()).unwrap();
        assert_eq!(json, "{\"version\":4,\"boot_id\":\"b\",\"until_ms\":7}\n");
    }
}
