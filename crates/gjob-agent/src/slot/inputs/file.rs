//! From a blob to a file in a job directory. A copy shares its bytes with the blob
//! where the file system can do that; a hard link is to a copy made for its run.

use std::fs::File;
use std::io::{self, Seek as _};
use std::os::fd::{AsFd, OwnedFd};

use gjob_core::RunId;
use gjob_core::os_text::to_os;
use gjob_core::record::Scope;
use gjob_core::tree::ParseTreeError;
use gjob_core::wire::BlobHash;
use rustix::fs::{
    AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, fchmod, futimens, ioctl_ficlone,
    linkat, openat,
};
use rustix::io::Errno;

use crate::blobs::{BlobDir, PART, RunTag, Variant, file_name, is_as_stored};
use crate::jobdir::Layout;

/// Why an input is not placed.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum InputError {
    /// The manager has to send it again.
    #[error("its content {0} is missing on this host")]
    Missing(BlobHash),
    /// The list of a directory is malformed.
    #[error(transparent)]
    List(#[from] ParseTreeError),
    /// An entry of its list cannot be in a directory.
    #[error("its {path:?} {problem}")]
    Entry {
        /// Below the directory.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Errno> for InputError {
    fn from(error: Errno) -> Self {
        InputError::Io(error.into())
    }
}

impl InputError {
    /// Whose fault it is.
    pub(in super::super) fn scope(&self) -> Scope {
        match self {
            InputError::Missing(_) | InputError::Io(_) => Scope::Host,
            InputError::List(_) | InputError::Entry { .. } => Scope::Job,
        }
    }
}

/// One file to be placed.
#[derive(Debug)]
pub(super) struct Content {
    /// What is in it.
    pub(super) hash: BlobHash,
    /// Its permission bits.
    pub(super) mode: u32,
    /// When it was last modified, nanoseconds since 1970.
    pub(super) mtime_ns: i64,
    /// True for a read-only hard link instead of a copy.
    pub(super) hard_link: bool,
}

/// Places files from blobs.
#[derive(Debug)]
pub(super) struct Placer {
    blobs: BlobDir,
    run: RunTag,
}

impl Placer {
    /// Looks at the blobs as they are now.
    pub(super) fn open(layout: &Layout, run: &RunId) -> io::Result<Self> {
        Ok(Placer { blobs: BlobDir::open(layout)?, run: RunTag::of(run.as_str()) })
    }

    /// Places one file.
    pub(super) fn place(
        &self,
        dir: &impl AsFd,
        name: &str,
        content: &Content,
    ) -> Result<(), InputError> {
        let blob = self.find(&content.hash)?;
        if !content.hard_link {
            return copy(&blob, dir, name, content);
        }
        let is_program = content.mode & 0o111 != 0;
        let variant = if is_program { Variant::Executable } else { Variant::Linked }(self.run);
        if self.blobs.find(&content.hash, variant)?.is_none() {
            self.make_variant(&blob, content, variant)?;
        }
        let blob_name = file_name(&content.hash, variant);
        match linkat(&self.blobs, blob_name, dir, &*to_os(name), AtFlags::empty()) {
            Ok(()) => Ok(()),
            Err(Errno::NOENT) => Err(InputError::Missing(content.hash)),
            // A blob with as many as it can have, another file system, or one without any.
            Err(Errno::MLINK | Errno::XDEV | Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => {
                copy(&blob, dir, name, &Content { mode: variant.mode(), ..*content })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a blob.
    pub(super) fn find(&self, hash: &BlobHash) -> Result<File, InputError> {
        self.blobs.find(hash, Variant::Plain)?.ok_or(InputError::Missing(*hash))
    }

    /// Makes another file of a blob, for hard links.
    fn make_variant(
        &self,
        blob: &File,
        content: &Content,
        variant: Variant,
    ) -> Result<(), InputError> {
        let name = file_name(&content.hash, variant);
        let part = format!("{name}.{}.{}{PART}", crate::host::hostname(), std::process::id());
        self.blobs.remove(&part)?;
        let made = copy_bytes(blob, &self.blobs, &part, content.hash)
            .and_then(|file| Ok(self.blobs.store(&file, &part, &content.hash, variant)?));
        if made.is_err() {
            // Otherwise it is removed one day as stale.
            let _ = self.blobs.remove(&part);
        }
        made
    }
}

fn copy(blob: &File, dir: &impl AsFd, name: &str, content: &Content) -> Result<(), InputError> {
    let file = copy_bytes(blob, dir, name, content.hash)?;
    finish(&file.into(), content.mode, content.mtime_ns)
}

fn copy_bytes(
    blob: &File,
    dir: &impl AsFd,
    name: &str,
    hash: BlobHash,
) -> Result<File, InputError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(dir, &*to_os(name), flags, Mode::from_raw_mode(0o600))?);
    if ioctl_ficlone(&file, blob).is_err() {
        let mut bytes = blob;
        // It may have been read from before.
        bytes.rewind()?;
        io::copy(&mut bytes, &mut file)?;
    }
    // A crash may have cut it, or somebody may have written to it.
    let is_whole = file.metadata()?.len() == blob.metadata()?.len();
    if is_whole && is_as_stored(blob, Variant::Plain)? {
        Ok(file)
    } else {
        Err(InputError::Missing(hash))
    }
}

/// Gives a file or directory the permissions and the time it is to have.
pub(super) fn finish(file: &OwnedFd, mode: u32, mtime_ns: i64) -> Result<(), InputError> {
    fchmod(file, Mode::from_raw_mode(mode & 0o777))?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec {
            tv_sec: mtime_ns.div_euclid(1_000_000_000),
            tv_nsec: mtime_ns.rem_euclid(1_000_000_000),
        },
    };
    Ok(futimens(file, &times)?)
}
