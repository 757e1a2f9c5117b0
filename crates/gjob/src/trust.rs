//! Looks at who could have written a file or directory before it is relied on; what
//! may be relied on is decided in `gjob-core/src/trust.rs`.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use gjob_core::trust::{Distrust, Ownership, Trusted, ancestors};
use rustix::fs::{fgetxattr_query, getxattr_query};
use rustix::process::{getegid, geteuid};

/// The list that grants more than a file's mode does.
const ACL: &str = "system.posix_acl_access";

/// Why a file or directory is not relied on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// Another user could have written it, or put it there.
    #[error("{path}: {why}", path = .path.display())]
    Distrusted {
        /// It, or a directory that it lies in.
        path: PathBuf,
        /// Why.
        why: Distrust,
    },
    /// It cannot be looked at.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// It, or a directory that it lies in.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// Where `path` leads to, once that and all that it lies in was checked.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, PlaceError> {
    let real = path.canonicalize().map_err(|source| io_error(path, source))?;
    let home = std::env::var_os("HOME").and_then(|home| Path::new(&home).canonicalize().ok());
    check_links(path, home.as_deref())?;
    check_place(&[], &real, home.as_deref())?;
    Ok(real)
}

/// Whoever could have made a link decides where it leads: those on the way are checked
/// with the directories that they lie in.
fn check_links(path: &Path, home: Option<&Path>) -> Result<(), PlaceError> {
    let fail = |source| io_error(path, source);
    let mut left = reversed(&std::path::absolute(path).map_err(fail)?);
    let mut at = PathBuf::from("/");
    // The system follows no more.
    let mut links_left = 40;
    while let Some(part) = left.pop() {
        let next = at.join(&part);
        let meta = next.symlink_metadata().map_err(|source| io_error(&next, source))?;
        if part == ".." || part == "/" || !meta.is_symlink() || links_left == 0 {
            at = if part == ".." { at.parent().unwrap_or(&at).to_owned() } else { next };
            continue;
        }
        links_left -= 1;
        // A link has no mode of its own.
        let link = Ownership { uid: meta.uid(), gid: meta.gid(), mode: 0o755, has_acl: false };
        check_place(&[(&next, link)], &at, home)?;
        let target = std::fs::read_link(&next).map_err(|source| io_error(&next, source))?;
        left.extend(reversed(&target));
    }
    Ok(())
}

/// The parts of a path, the last one first.
fn reversed(path: &Path) -> Vec<OsString> {
    path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
}

/// Checks what lies in a directory, that directory, and those above.
fn check_place(
    within: &[(&Path, Ownership)],
    dir: &Path,
    home: Option<&Path>,
) -> Result<(), PlaceError> {
    let mut place = within.to_vec();
    for path in ancestors(dir, home) {
        place.push((path, ownership(path).map_err(|source| io_error(path, source))?));
    }
    let checked = trusted(place.iter().any(|(_, it)| it.may_group_write())).check_place(place);
    checked.map_err(|(path, why)| PlaceError::Distrusted { path: path.to_owned(), why })
}

/// The user whom a file or link belongs to, if that is neither this one nor root.
pub(crate) fn stranger(path: &Path) -> Option<u32> {
    let uid = path.symlink_metadata().ok()?.uid();
    let it = Ownership { uid, gid: 0, mode: 0, has_acl: false };
    trusted(false).check(&it).is_err().then_some(uid)
}

/// Checks a file, without what it lies in.
pub(crate) fn check_file(path: &Path) -> Result<(), PlaceError> {
    let it = ownership(path).map_err(|source| io_error(path, source))?;
    let distrusted = |why| PlaceError::Distrusted { path: path.to_owned(), why };
    trusted(it.may_group_write()).check(&it).map_err(distrusted)
}

/// Checks an open file, without what it lies in.
pub(crate) fn check_open(file: &File) -> io::Result<()> {
    let meta = file.metadata()?;
    let has_acl = fgetxattr_query(file, ACL).is_ok();
    let it = Ownership { uid: meta.uid(), gid: meta.gid(), mode: meta.mode(), has_acl };
    let checked = trusted(it.may_group_write()).check(&it);
    checked.map_err(|why| io::Error::new(io::ErrorKind::PermissionDenied, why))
}

fn io_error(path: &Path, source: io::Error) -> PlaceError {
    PlaceError::Io { path: path.to_owned(), source }
}

fn ownership(path: &Path) -> io::Result<Ownership> {
    let meta = path.metadata()?;
    let has_acl = getxattr_query(path, ACL).is_ok();
    Ok(Ownership { uid: meta.uid(), gid: meta.gid(), mode: meta.mode(), has_acl })
}

/// Who is trusted; a private group is looked for if that matters.
fn trusted(do_groups_matter: bool) -> Trusted {
    let user = (geteuid().as_raw(), getegid().as_raw());
    let root = std::fs::metadata("/").map_or(0, |root| root.uid());
    Trusted::new(user, root, do_groups_matter, |path| {
        std::fs::read_to_string(path).unwrap_or_default()
    })
}
