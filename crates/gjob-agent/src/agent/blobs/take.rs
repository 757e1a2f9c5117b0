//! A blob that is made of a file that a job has written here, and so need not be sent. What
//! the file is by now, its hash tells.

use std::fs::File;

use gjob_core::JobId;
use gjob_core::wire::BlobHash;
use rustix::fs::FileType;

use super::super::collect::open_output;
use super::part::Part;
use super::{BlobError, open_dir};
use crate::jobdir::Layout;

/// What the manager wants.
#[derive(Debug)]
pub(in super::super) struct TakeRequest {
    /// The hash that the file must have.
    pub(in super::super) hash: BlobHash,
    /// Its length, bytes.
    pub(in super::super) size: u64,
    /// Whose file it is.
    pub(in super::super) id: JobId,
    /// Below the job directory.
    pub(in super::super) path: String,
}

/// What has come of it.
#[derive(Debug)]
pub(in super::super) struct Taken {
    pub(super) hash: BlobHash,
    pub(super) size: u64,
    pub(super) result: Result<(), BlobError>,
}

impl TakeRequest {
    /// Does it.
    pub(super) fn run(self, layout: &Layout, hostname: &str) -> Taken {
        let result = self.make(layout, hostname);
        Taken { hash: self.hash, size: self.size, result }
    }

    fn make(&self, layout: &Layout, hostname: &str) -> Result<(), BlobError> {
        let read = |source| BlobError::Read { path: self.path.clone(), source };
        let (file, kind) = open_output(layout, &self.id, &self.path).map_err(read)?;
        if kind != FileType::RegularFile {
            return Err(BlobError::Irregular);
        }
        let source = File::from(file);
        let length = source.metadata().map_err(read)?.len();
        if length != self.size {
            return Err(BlobError::Length(length));
        }
        let blobs = open_dir(layout)?;
        let (part, digest) = Part::copy(&blobs, hostname, (self.hash, self.size), &source)?;
        part.store(digest, &blobs)
    }
}
