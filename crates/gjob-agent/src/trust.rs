//! Looks at who could have written a file or directory before it is relied on; what
//! may be relied on is decided in `gjob-core/src/trust.rs`.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use gjob_core::trust::{Ownership, Trusted, ancestors};
use rustix::fs::lgetxattr_query;
use rustix::process::{getegid, geteuid};

/// The list that grants more than a file's mode does.
const ACL: &str = "system.posix_acl_access";

/// A directory that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}", path = .path.display())]
pub(crate) struct DirError {
    /// Which.
    pub(crate) path: PathBuf,
    /// What is wrong with it.
    pub(crate) source: io::Error,
}

impl DirError {
    /// The error of the directory at `path`.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> DirError + '_ {
        move |source| DirError { path: path.to_owned(), source }
    }
}

/// Checks a file or directory, and those that it lies in. There are no symbolic links
/// in its path; if it is one, its owner counts.
pub(crate) fn check_place(path: &Path) -> Result<(), DirError> {
    let home = std::env::var_os("HOME").and_then(|home| Path::new(&home).canonicalize().ok());
    let owned = |path: &'_ Path| ownership(path).map_err(DirError::at(path));
    let place = ancestors(path, home.as_deref());
    let place = place.map(|path| Ok((path, owned(path)?))).collect::<Result<Vec<_>, DirError>>()?;
    let checked = trusted(place.iter().any(|(_, it)| it.may_group_write())).check_place(place);
    checked.map_err(|(path, why)| {
        DirError::at(path)(io::Error::new(io::ErrorKind::PermissionDenied, why))
    })
}

fn ownership(path: &Path) -> io::Result<Ownership> {
    let meta = std::fs::symlink_metadata(path)?;
    // A link's own mode says nothing.
    let mode = if meta.is_symlink() { 0o755 } else { meta.mode() };
    let has_acl = lgetxattr_query(path, ACL).is_ok();
    Ok(Ownership { uid: meta.uid(), gid: meta.gid(), mode, has_acl })
}

/// Who is trusted; a private group is looked for if that matters.
fn trusted(do_groups_matter: bool) -> Trusted {
    let user = (geteuid().as_raw(), getegid().as_raw());
    let root = std::fs::metadata("/").map_or(0, |root| root.uid());
    Trusted::new(user, root, do_groups_matter, |path| {
        std::fs::read_to_string(path).unwrap_or_default()
    })
}
