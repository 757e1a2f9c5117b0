//! Content that need not be sent, since a job has written it where it is wanted: the host is
//! asked to take it from the job's directory. Where it is not there any more, it is sent.

use std::collections::HashMap;

use gjob_core::JobId;
use gjob_core::os_text::from_os;
use gjob_core::scheduler::HostIx;
use gjob_core::wire::BlobHash;

use crate::inputs::InputDirectory;

/// The attempt that has written the files of a directory.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Its host.
    pub(crate) host: HostIx,
    /// Its job directory there.
    pub(crate) id: JobId,
}

/// A file in a job directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JobFile {
    pub(super) id: JobId,
    /// Below the job directory.
    pub(super) path: String,
    /// Its length, bytes.
    pub(super) size: u64,
}

/// Files of jobs, by the hosts that reach them.
#[derive(Debug, Default)]
pub(super) struct Origins {
    files: HashMap<(HostIx, BlobHash), JobFile>,
}

impl Origins {
    /// A host reaches the job directory with the files of a directory.
    pub(super) fn add(&mut self, host: HostIx, origin: &Origin, directory: &InputDirectory) {
        for file in &directory.files {
            let Ok(path) = file.path.strip_prefix(&directory.path) else { continue };
            self.files.entry((host, file.hash)).or_insert_with(|| JobFile {
                id: origin.id.clone(),
                path: from_os(path.as_os_str()).into_owned(),
                size: file.size,
            });
        }
    }

    /// Where a host finds the content of a blob.
    pub(super) fn find(&self, host: HostIx, hash: &BlobHash) -> Option<&JobFile> {
        self.files.get(&(host, *hash))
    }
}
