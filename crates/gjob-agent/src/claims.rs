//! Claims: what was decided, once and for all, about whether an attempt starts on
//! this host.
//!
//! `keys/INDEX.ATTEMPT` is a symbolic link, made by one atomic `symlink(2)`. Its
//! target names the job id of the attempt and its slot, out of the job's reach; or
//! it is `withdrawn`: a tombstone. `keys/kept` shows that the directory was not
//! removed and made anew, or emptied.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use gjob_core::record::RECORD_VERSION;
use gjob_core::{JobId, Key};

use crate::host::{self, Machine};
use crate::identity::ProcessIdentity;
use crate::jobdir::LockFile;

/// The target of a tombstone.
const WITHDRAWN: &str = "withdrawn";

/// No key's name: it shows that what was claimed is still there.
const MARK: &str = "kept";

/// Why an attempt does not begin in whose claim's place there is something else.
pub(crate) const ODD_CLAIM: &str = "its claim was replaced";

/// What was decided about an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The attempt was begun under this id, by this slot if the claim names one.
    Job(JobId, Option<LockFile>),
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

    /// Marks the directory: as long as it has the mark, nothing was taken from it.
    pub(crate) fn mark(&self) -> io::Result<()> {
        match std::os::unix::fs::symlink(RECORD_VERSION.to_string(), self.dir.join(MARK)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// True when the directory is the one that was marked.
    pub(crate) fn are_marked(&self) -> io::Result<bool> {
        match target_of(&self.dir.join(MARK)) {
            Ok(version) => Ok(version.to_str() == Some(&RECORD_VERSION.to_string())),
            Err(error) if is_odd(&error) => Ok(false),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Claims `key` for a job; false when it is claimed already.
    pub(crate) fn claim(&self, key: Key, id: &JobId, slot: &LockFile) -> io::Result<bool> {
        let LockFile { slot: ProcessIdentity { boot_id, pid, start }, number, machine } = slot;
        let (boot, machine, pids) = (short(boot_id), &machine.id, namespace(machine.pids));
        self.make(key, &format!("{id} {number} {pid} {start} {boot} {machine}{pids}"))
    }

    /// Puts a tombstone under `key`; false when it is claimed already.
    pub(crate) fn withdraw(&self, key: Key) -> io::Result<bool> {
        self.make(key, WITHDRAWN)
    }

    fn make(&self, key: Key, target: &str) -> io::Result<bool> {
        match std::os::unix::fs::symlink(target, self.dir.join(key.to_string())) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The claim of `key`; none when it is not claimed. What has its place and is no claim
    /// is an error that [`is_odd`] is true for.
    pub(crate) fn read(&self, key: Key) -> io::Result<Option<Claim>> {
        let target = match target_of(&self.dir.join(key.to_string())) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match target.to_str() {
            Some(WITHDRAWN) => Ok(Some(Claim::Withdrawn)),
            Some(text) => {
                let (id, slot) = text.split_once(' ').unzip();
                id.unwrap_or(text)
                    .parse()
                    .map(|id| Some(Claim::Job(id, slot.and_then(parse_slot))))
                    .map_err(|_| odd("it leads elsewhere"))
            }
            None => Err(odd("it leads elsewhere")),
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

/// The target of a claim. Jobs can put anything in its place.
fn target_of(path: &Path) -> io::Result<PathBuf> {
    let meta = std::fs::symlink_metadata(path)?;
    if !meta.is_symlink() {
        return Err(odd("it is no symbolic link"));
    }
    if ![rustix::process::geteuid().as_raw(), 0].contains(&meta.uid()) {
        return Err(odd("it belongs to another user"));
    }
    std::fs::read_link(path)
}

fn odd(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// True for the error of what has a claim's place and is none. It keeps the place: whether
/// the attempt was begun cannot be seen any more, and so it never begins again.
pub(crate) fn is_odd(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// Enough of a boot id to distinguish boots: most targets are to be short enough to
/// need no block of their own.
fn short(boot_id: &str) -> &str {
    boot_id.get(..8).unwrap_or(boot_id)
}

/// The pid namespace that machines have without containers (`PROC_PID_INIT_INO`).
const FIRST_NAMESPACE: u64 = 0xefff_fffc;

/// A pid namespace behind a machine; nothing for the first one.
fn namespace(pids: u64) -> String {
    if pids == FIRST_NAMESPACE { String::new() } else { format!("+{pids:x}") }
}

fn parse_machine(text: &str) -> Option<Machine> {
    let (id, pids) = text.split_once('+').map_or((text, None), |(id, pids)| (id, Some(pids)));
    let pids = pids.map_or(Some(FIRST_NAMESPACE), |pids| u64::from_str_radix(pids, 16).ok())?;
    Some(Machine { id: id.to_owned(), pids })
}

fn parse_slot(text: &str) -> Option<LockFile> {
    let mut parts = text.split(' ');
    let number = parts.next()?.parse().ok()?;
    let (pid, start) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let boot_id = parts.next()?;
    let this = host::boot_id();
    let boot_id = if short(this) == boot_id { this } else { boot_id }.to_owned();
    let machine = parse_machine(parts.next()?)?;
    Some(LockFile { slot: ProcessIdentity { boot_id, pid, start }, number, machine })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_claim_stands() {
        let dir = tempfile::tempdir().unwrap();
        let claims = Claims::new(dir.path().to_owned());
        let (key, id) = (Key::new(3, 1), "h/2026-11-22-1".parse().unwrap());
        assert_eq!(claims.read(key).unwrap(), None);
        let slot = LockFile::new(ProcessIdentity::of_self().unwrap(), 4);
        assert!(claims.claim(key, &id, &slot).unwrap());
        assert!(!claims.withdraw(key).unwrap());
        assert_eq!(claims.read(key).unwrap(), Some(Claim::Job(id.clone(), Some(slot.clone()))));
        assert!(claims.withdraw(Key::new(2, 1)).unwrap());
        assert!(!claims.claim(Key::new(2, 1), &id, &slot).unwrap());
        assert_eq!(claims.all().unwrap(), [Key::new(2, 1), key]);
    }

    #[test]
    fn what_is_no_claim_keeps_its_place_and_is_odd() {
        let dir = tempfile::tempdir().unwrap();
        let claims = Claims::new(dir.path().to_owned());
        let path = dir.path().join("3.1");
        let fifo = |path: &Path| {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
        };
        let odd: [&dyn Fn(&Path); 4] = [
            &|path| std::fs::create_dir(path).unwrap(),
            &|path| std::fs::write(path, "h/2026-11-22-1").unwrap(),
            &|path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
            &fifo,
        ];
        for put in odd {
            put(&path);
            assert!(is_odd(&claims.read(Key::new(3, 1)).unwrap_err()));
            assert!(!claims.withdraw(Key::new(3, 1)).unwrap());
            assert_eq!(claims.all().unwrap(), [Key::new(3, 1)]);
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
        }
        let mark = dir.path().join(MARK);
        std::fs::write(&mark, "").unwrap();
        assert!(!claims.are_marked().unwrap());
    }

    #[test]
    fn claim_names_its_slot_and_boot_or_neither() {
        let dir = tempfile::tempdir().unwrap();
        let claims = Claims::new(dir.path().to_owned());
        let (key, id): (_, JobId) = (Key::new(3, 1), "h/2026-11-22-1".parse().unwrap());
        let identity = ProcessIdentity { boot_id: "another-boot".into(), pid: 5, start: 6 };
        let machine = Machine { id: "0a0b0c0d".into(), pids: 0xefff_fffd };
        let slot = LockFile { slot: identity, number: 7, machine: machine.clone() };
        claims.claim(key, &id, &slot).unwrap();
        let Some(Claim::Job(_, Some(found))) = claims.read(key).unwrap() else { panic!() };
        assert!(found.slot.is_of_another_boot());
        assert_eq!((found.number, found.slot.pid, found.slot.start), (7, 5, 6));
        assert_eq!(found.machine, machine);
        claims.make(Key::new(4, 1), id.as_str()).unwrap();
        assert_eq!(claims.read(Key::new(4, 1)).unwrap(), Some(Claim::Job(id, None)));
    }
}
