//! Claims: who decided, once and for all, whether an attempt starts here.
//!
//! `keys/INDEX.ATTEMPT` is a symbolic link, made by one atomic `symlink(2)`. Its
//! target is the job id that the attempt got, or `withdrawn`: a tombstone.

use std::io;
use std::path::PathBuf;

use gjob_core::{JobId, Key};

/// The target of a tombstone.
const WITHDRAWN: &str = "withdrawn";

/// What a key leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The attempt was begun under this id.
    Job(JobId),
    /// The attempt never starts here.
    Withdrawn,
}

/// The claims of one run on one host.
#[derive(Debug)]
pub(crate) struct Claims {
    dir: PathBuf,
}

impl Claims {
    /// The claims below `dir`, which exists.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Claims { dir }
    }

    /// Claims `key` for a job; false when something else has it already.
    pub(crate) fn claim(&self, key: Key, id: &JobId) -> io::Result<bool> {
        self.link(key, id.as_str())
    }

    /// Puts a tombstone under `key`; false when something else has it already.
    pub(crate) fn withdraw(&self, key: Key) -> io::Result<bool> {
        self.link(key, WITHDRAWN)
    }

    fn link(&self, key: Key, target: &str) -> io::Result<bool> {
        match std::os::unix::fs::symlink(target, self.dir.join(key.to_string())) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What `key` leads to; none when nobody has claimed it.
    pub(crate) fn read(&self, key: Key) -> io::Result<Option<Claim>> {
        let target = match std::fs::read_link(self.dir.join(key.to_string())) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match target.to_str() {
            Some(WITHDRAWN) => Ok(Some(Claim::Withdrawn)),
            Some(text) => text
                .parse()
                .map(|id| Some(Claim::Job(id)))
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Every claimed key, in order.
    pub(crate) fn all(&self) -> io::Result<Vec<Key>> {
        let mut keys: Vec<Key> = std::fs::read_dir(&self.dir)?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        keys.sort_unstable();
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_claim_stands() {
        let dir = tempfile::tempdir().unwrap();
        let claims = Claims::new(dir.path().to_owned());
        let (key, id) = (Key::new(3, 1), "h/2026-11-22-1".parse().unwrap());
        assert_eq!(claims.read(key).unwrap(), None);
        assert!(claims.claim(key, &id).unwrap());
        assert!(!claims.withdraw(key).unwrap());
        assert_eq!(claims.read(key).unwrap(), Some(Claim::Job(id.clone())));
        assert!(claims.withdraw(Key::new(2, 1)).unwrap());
        assert!(!claims.claim(Key::new(2, 1), &id).unwrap());
        assert_eq!(claims.all().unwrap(), [Key::new(2, 1), key]);
    }
}
