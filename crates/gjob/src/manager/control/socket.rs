//! The socket's file: `control` in the run's directory. A socket's address
//! holds 108 bytes, a path may be longer: so it is named by way of an open
//! descriptor of the directory.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

const NAME: &str = "control";

/// A directory that is open for as long as its short name is used.
struct ShortName(File);

impl ShortName {
    fn of(dir: &Path) -> io::Result<Self> {
        File::open(dir).map(ShortName)
    }

    fn socket(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{NAME}", self.0.as_raw_fd()))
    }
}

/// Listens in `dir`, which is the user's alone, in the place of whoever did
/// before: the caller holds the run's lock.
pub(super) fn bind(dir: &Path) -> io::Result<UnixListener> {
    remove(dir)?;
    let name = ShortName::of(dir)?;
    let listener = UnixListener::bind(name.socket())?;
    std::fs::set_permissions(name.socket(), Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Takes the socket's file away.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    match std::fs::remove_file(dir.join(NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Connects to whoever listens in `dir`; none if nobody does.
pub(super) fn connect(dir: &Path) -> io::Result<Option<UnixStream>> {
    match UnixStream::connect(ShortName::of(dir)?.socket()) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(error),
        },
    }
}
