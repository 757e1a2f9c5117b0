//! Hashing many files with several threads. A single one is slower than most disks,
//! and far slower than memory, which holds the files that were just written.

use std::fs::Metadata;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{InputError, InputFile};

/// More readers would only compete for the disk.
const MAX_THREADS: usize = 8;

/// A file to hash, with its metadata.
pub(super) type Unhashed<'a> = (PathBuf, &'a Metadata);

/// Hashes `files`; the results are in their order.
pub(super) fn hash_all(files: &[Unhashed<'_>]) -> Vec<Result<InputFile, InputError>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(MAX_THREADS).min(files.len());
    let next = AtomicUsize::new(0);
    let hash_some = || {
        let mut hashed = Vec::new();
        while let at = next.fetch_add(1, Ordering::Relaxed)
            && let Some((path, meta)) = files.get(at)
        {
            hashed.push((at, InputFile::hash_as(path, meta)));
        }
        hashed
    };
    let mut hashed = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(hash_some)).collect();
        let mut hashed = hash_some();
        for other in others {
            match other.join() {
                Ok(more) => hashed.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        hashed
    });
    hashed.sort_unstable_by_key(|(at, _)| *at);
    hashed.into_iter().map(|(_, result)| result).collect()
}
