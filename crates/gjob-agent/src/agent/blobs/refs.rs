//! Which blobs a run has asked for: an append-only list in its directory, a hash
//! a line. What a run that is in use has listed is not removed.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use gjob_core::wire::BlobHash;

use crate::jobdir::{Layout, RunDir};
use crate::own_file;

/// Bytes of a line.
const LINE: u64 = 65;

/// The blobs of one run.
#[derive(Debug)]
pub(super) struct BlobRefs {
    listed: HashSet<BlobHash>,
    /// Those that the disk did not take: only this agent knows them.
    unlisted: HashSet<BlobHash>,
    /// None where it cannot be written.
    file: Option<File>,
}

impl BlobRefs {
    /// Reads a run's list, to be added to.
    pub(super) fn open(run_dir: &RunDir) -> Self {
        let path = run_dir.blobs();
        let file = open_for_appending(&path).ok();
        BlobRefs { listed: read(&path), unlisted: HashSet::new(), file }
    }

    /// Adds to the list, as far as the disk takes it.
    pub(super) fn add(&mut self, hashes: &[BlobHash]) {
        let new: Vec<_> = hashes.iter().filter(|hash| !self.listed.contains(hash)).collect();
        if new.is_empty() {
            return;
        }
        let lines: String = new.iter().map(|hash| format!("{hash}\n")).collect();
        let written = self.file.as_mut().is_some_and(|file| append(file, &lines).is_ok());
        let noted = if written { &mut self.listed } else { &mut self.unlisted };
        noted.extend(new);
    }

    /// True for a blob that the run has asked for.
    pub(super) fn contains(&self, hash: &BlobHash) -> bool {
        self.listed.contains(hash) || self.unlisted.contains(hash)
    }
}

/// Adds whole lines, and begins a new one after a line that a full disk has cut.
fn append(file: &mut File, lines: &str) -> io::Result<()> {
    let written = file.write_all(lines.as_bytes());
    if written.is_err() {
        // Where this fails too, the line that follows is lost with the cut one.
        let _ = file.write_all(b"\n");
    }
    written
}

fn open_for_appending(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = own_file::open_in_place(path, options.append(true).create(true).mode(0o600))?;
    if file.metadata()?.len() % LINE != 0 {
        // A line that was cut stays a line of its own.
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// The hashes of a list; none when there is no list.
pub(in super::super) fn read(path: &Path) -> HashSet<BlobHash> {
    let text = own_file::read(path, u64::MAX).unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter_map(|line| std::str::from_utf8(line).ok()?.parse().ok()).collect()
}

/// The directories of all runs, under every label.
pub(in super::super) fn run_dirs(layout: &Layout) -> Vec<RunDir> {
    let below = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let labels = below(&layout.runs()).flat_map(|run| below(&run.path()));
    labels.map(|label| RunDir::at(label.path())).collect()
}

/// True when an agent serves the run.
pub(super) fn is_in_use(run_dir: &RunDir) -> bool {
    let file = own_file::open_to_read(&run_dir.lock());
    file.is_ok_and(|file| file.try_lock_shared().is_err())
}
