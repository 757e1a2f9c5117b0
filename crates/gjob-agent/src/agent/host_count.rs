//! How many hosts the run has had, as its managers have said. A copy of the run that was made
//! earlier does not know the hosts that were added since, and may not begin what these have
//! run: the hosts that it does know tell it that there are others.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::log_error;
use crate::own_file;

/// More than any such file has, bytes.
const MAX_LENGTH: u64 = 32;

/// The greatest number of hosts that was named.
#[derive(Debug)]
pub(super) struct HostCount {
    path: PathBuf,
    number: u32,
}

impl HostCount {
    /// As it is kept at `path`. What cannot be read says nothing.
    pub(super) fn read(path: PathBuf) -> Self {
        let bytes = own_file::read(&path, MAX_LENGTH).unwrap_or_default();
        let text = String::from_utf8(bytes).unwrap_or_default();
        HostCount { path, number: text.trim_end().parse().unwrap_or(0) }
    }

    /// The greatest number that is kept; 0 for none.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Keeps a number, if it is greater. Gives the greatest one that is kept: without room
    /// for it, that is the one before.
    pub(super) fn note(&mut self, number: u32) -> u32 {
        if number > self.number {
            match self.write(number) {
                Ok(()) => self.number = number,
                Err(error) => log_error(&format!("write {}: {error}", self.path.display())),
            }
        }
        self.number
    }

    /// The new file takes the place of the old one when it is whole.
    fn write(&self, number: u32) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        own_file::open_in_place(&new, options)?.write_all(format!("{number}\n").as_bytes())?;
        own_file::clear_place(&self.path)?;
        std::fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greatest_number_is_kept_whatever_has_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        let mut count = HostCount::read(path.clone());
        assert_eq!((count.number(), count.note(3), count.note(2)), (0, 3, 3));
        assert_eq!(HostCount::read(path.clone()).number(), 3);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let mut count = HostCount::read(path.clone());
        assert_eq!((count.number(), count.note(4)), (0, 4));
        assert_eq!(HostCount::read(path).number(), 4);
    }

    #[test]
    fn number_that_cannot_be_written_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut count = HostCount::read(dir.path().join("missing/hosts"));
        assert_eq!(count.note(3), 0);
    }
}
