//! Job numbers: `mkdir` decides which process gets one, and a hint file names the
//! one to try first, so that nothing is ever scanned.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};

use gjob_core::JobId;
use rustix::fs::OFlags;

use super::dir::JobDir;
use super::layout::{Layout, withdraw};
use crate::trust::DirError;

/// Makes the job directories of one host, across all its processes.
#[derive(Debug)]
pub(crate) struct Allocator {
    layout: Layout,
    hostname: String,
    /// `.next`: the date and the number to try next.
    hint: File,
}

impl Allocator {
    /// Makes the host's directory if need be.
    pub(crate) fn open(layout: Layout, hostname: String) -> Result<Self, DirError> {
        let host_dir = layout.host_dir(&hostname);
        layout.make_private(&host_dir)?;
        let path = host_dir.join(".next");
        let hint = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(&path)
            .map_err(DirError::at(&path))?;
        Ok(Allocator { layout, hostname, hint })
    }

    /// Makes the next job directory of `date`.
    pub(crate) fn allocate(&self, date: &str) -> io::Result<(JobId, JobDir)> {
        // Without the lock, which not every file system has, mkdir still decides.
        let locked = self.hint.lock().is_ok();
        let made = self.make_from(self.hinted(date), date);
        if locked {
            self.hint.unlock()?;
        }
        made
    }

    fn make_from(&self, first: u64, date: &str) -> io::Result<(JobId, JobDir)> {
        let mut number = first;
        loop {
            let id = JobId::new(&self.hostname, date, number).map_err(io::Error::other)?;
            let path = self.layout.job_dir(&id);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    withdraw(&path)?;
                    self.give_hint(date, number + 1);
                    return Ok((id, JobDir::open(&path)?));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The number to try first.
    fn hinted(&self, date: &str) -> u64 {
        let mut buffer = [0; 64];
        let length = self.hint.read_at(&mut buffer, 0).unwrap_or(0);
        std::str::from_utf8(&buffer[..length])
            .ok()
            .and_then(|text| text.lines().next()?.split_once(' '))
            .filter(|(hinted, _)| *hinted == date)
            .and_then(|(_, number)| number.parse().ok())
            .unwrap_or(1)
            .max(1)
    }

    /// A hint that cannot be written only costs the next allocation some tries.
    fn give_hint(&self, date: &str, number: u64) {
        // After the newline there may be a rest of a longer hint.
        let _ = self.hint.write_all_at(format!("{date} {number}\n").as_bytes(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_up_and_existing_directories_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().to_owned());
        let allocator = Allocator::open(layout.clone(), "h".into()).unwrap();
        std::fs::create_dir(dir.path().join("h/2026-11-22-2")).unwrap();
        let ids: Vec<String> =
            (0..3).map(|_| allocator.allocate("2026-11-22").unwrap().0.to_string()).collect();
        assert_eq!(ids, ["h/2026-11-22-1", "h/2026-11-22-3", "h/2026-11-22-4"]);
        let other = Allocator::open(layout, "h".into()).unwrap();
        assert_eq!(other.allocate("2026-11-22").unwrap().0.as_str(), "h/2026-11-22-5");
        assert_eq!(other.allocate("2026-11-23").unwrap().0.as_str(), "h/2026-11-23-1");
    }
}
