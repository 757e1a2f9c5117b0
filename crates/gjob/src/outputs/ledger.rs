//! What a run has put in the directory of outputs: a list that is kept there, so
//! that nothing else is ever replaced or removed.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::SystemTime;

use cap_std::fs::{Dir, Metadata, MetadataExt};
use rustix::fs::{Mode, OFlags, openat};

use crate::trust::check_open;

/// What the names of such lists begin with; the run's tag follows.
const LEDGER: &str = ".gjob-run";

/// A directory, whatever it is called at the moment. A number alone may be
/// another's once it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    inode: u64,
    /// Nanoseconds since 1970; 0 where the file system doesn't say.
    born: u128,
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok().map(cap_std::time::SystemTime::into_std);
        let since = born.and_then(|born| born.duration_since(SystemTime::UNIX_EPOCH).ok());
        Identity { inode: metadata.ino(), born: since.map_or(0, |since| since.as_nanos()) }
    }
}

/// The list of one run. Other processes of that run may add to it, too.
#[derive(Debug)]
pub(super) struct Ledger {
    file_name: String,
    /// What was read so far.
    known: HashSet<(String, Identity)>,
    at: u64,
}

impl Ledger {
    pub(super) fn new(tag: &str) -> Self {
        Ledger { file_name: format!("{LEDGER}.{tag}"), known: HashSet::new(), at: 0 }
    }

    /// True when this run has given that directory this name.
    pub(super) fn has(&mut self, dir: &Dir, name: &str, identity: Identity) -> io::Result<bool> {
        let entry = (name.to_owned(), identity);
        if !self.known.contains(&entry) {
            self.read_on(dir)?;
        }
        Ok(self.known.contains(&entry))
    }

    /// Notes directories that are about to be given names. It is durable only
    /// with the content of the directory it is in.
    pub(super) fn add<'a>(
        &self,
        dir: &Dir,
        entries: impl IntoIterator<Item = (&'a str, Identity)>,
    ) -> io::Result<()> {
        // A line that was cut off by a full disk spoils no other.
        let mut lines = "\n".to_owned();
        for (name, Identity { inode, born }) in entries {
            lines += &format!("{inode} {born} {name}\n");
        }
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
        self.open(dir, flags)?.write_all(lines.as_bytes())
    }

    fn open(&self, dir: &Dir, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(dir, &self.file_name, flags, Mode::from_raw_mode(0o644))?.into())
    }

    fn read_on(&mut self, dir: &Dir) -> io::Result<()> {
        let mut file = match self.open(dir, OFlags::RDONLY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        // What it names is replaced: in a shared directory it could be anybody's.
        check_open(&file)?;
        file.seek(SeekFrom::Start(self.at))?;
        let mut rest = Vec::new();
        file.read_to_end(&mut rest)?;
        // Another process may be about to write what follows.
        let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.at += end as u64;
        self.known.extend(String::from_utf8_lossy(&rest[..end]).lines().filter_map(parse));
        Ok(())
    }
}

fn parse(line: &str) -> Option<(String, Identity)> {
    let mut fields = line.splitn(3, ' ');
    let inode = fields.next()?.parse().ok()?;
    let born = fields.next()?.parse().ok()?;
    Some((fields.next()?.to_owned(), Identity { inode, born }))
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    #[test]
    fn what_one_process_notes_another_one_reads_past_lines_that_were_cut_off() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(temp.path(), ambient_authority()).unwrap();
        let identity = |inode| Identity { inode, born: 5 };
        let mut reader = Ledger::new("r");
        assert!(!reader.has(&dir, "a 0", identity(1)).unwrap());
        let writer = Ledger::new("r");
        writer.add(&dir, [("a 0", identity(1))]).unwrap();
        assert!(reader.has(&dir, "a 0", identity(1)).unwrap());
        writer.open(&dir, OFlags::WRONLY | OFlags::APPEND).unwrap().write_all(b"7 5").unwrap();
        assert!(!reader.has(&dir, "1", identity(2)).unwrap());
        writer.add(&dir, [("1", identity(2)), ("2", identity(3))]).unwrap();
        assert!(reader.has(&dir, "1", identity(2)).unwrap());
        assert!(reader.has(&dir, "2", identity(3)).unwrap());
        assert!(!reader.has(&dir, "2", identity(2)).unwrap(), "another directory");
        assert!(!Ledger::new("s").has(&dir, "2", identity(3)).unwrap(), "another run");
    }
    #[test]
    fn list_that_another_user_could_have_written_is_not_read() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(temp.path(), ambient_authority()).unwrap();
        let identity = Identity { inode: 1, born: 5 };
        Ledger::new("r").add(&dir, [("a", identity)]).unwrap();
        let path = temp.path().join(".gjob-run.r");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o646);
        std::fs::set_permissions(path, mode).unwrap();
        let error = Ledger::new("r").has(&dir, "a", identity).unwrap_err();
        assert_eq!(error.to_string(), "other users can write to it");
    }
}
