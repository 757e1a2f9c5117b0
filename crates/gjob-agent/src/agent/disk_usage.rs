//! How much room gjob takes in a results directory: what each run has left, staged
//! files, copies of the program.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, DirEntry, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use gjob_core::os_text::from_os;
use gjob_core::wire::{DiskUsage, MAX_RUNS, RunUsage};
use gjob_core::{JobId, RunId};

use super::welcome::{free_bytes, read_place};
use crate::jobdir::{JobDir, JobSummary, Layout};

/// The most files that are looked at.
const MAX_FILES: usize = 500_000;

/// Bytes of a block as `stat` counts them.
const BLOCK: u64 = 512;

/// Looks at everything below the results directory; that takes as long as the disk takes.
pub(super) fn disk_usage(layout: &Layout) -> DiskUsage {
    measure(layout, Walk::new())
}

fn measure(layout: &Layout, walk: Walk) -> DiskUsage {
    let mut survey = Survey { layout, walk, runs: BTreeMap::new(), by_hand: (0, 0), other: 0 };
    // Before the job directories: staged files that jobs have as hard links count here.
    let staged_bytes = survey.walk.bytes_in(&layout.blobs());
    let program_bytes = survey.walk.bytes_in(&layout.bin());
    survey.private();
    survey.hosts();
    let Survey { walk, mut runs, by_hand, mut other, .. } = survey;
    let mut is_partial = walk.is_cut;
    while runs.len() > MAX_RUNS {
        is_partial = true;
        let (_, run) = runs.pop_first().unzip();
        other += run.map_or(0, |run: RunUsage| run.job_bytes + run.log_bytes);
    }
    DiskUsage {
        results_dir: from_os(layout.results().as_os_str()).into_owned().into(),
        place: read_place(layout),
        free_bytes: free_bytes(layout.results()),
        runs: runs.into_values().collect(),
        by_hand,
        staged_bytes,
        program_bytes,
        other_bytes: other,
        is_partial,
    }
}

/// What was found so far.
struct Survey<'a> {
    layout: &'a Layout,
    walk: Walk,
    runs: BTreeMap<String, RunUsage>,
    by_hand: (u64, u64),
    other: u64,
}

impl Survey<'_> {
    /// gjob's own directory, without staged files and programs.
    fn private(&mut self) {
        let (blobs, bin, runs) = (self.layout.blobs(), self.layout.bin(), self.layout.runs());
        for (path, meta) in self.walk.entries(&self.layout.private()) {
            if path == blobs || path == bin {
                continue;
            }
            if path != runs {
                self.other += self.walk.bytes_of(&path, &meta);
                continue;
            }
            for (path, meta) in self.walk.entries(&runs) {
                let bytes = self.walk.bytes_of(&path, &meta);
                match name(&path).and_then(|name| name.parse().ok()) {
                    Some(run) => self.run(&run).log_bytes += bytes,
                    None => self.other += bytes,
                }
            }
        }
    }

    /// The job directories of each host that has some here.
    fn hosts(&mut self) {
        let private = self.layout.private();
        for (host, meta) in self.walk.entries(self.layout.results()) {
            if host == private {
                continue;
            }
            if !meta.is_dir() {
                self.other += self.walk.bytes_of(&host, &meta);
                continue;
            }
            for (path, meta) in self.walk.entries(&host) {
                let bytes = self.walk.bytes_of(&path, &meta);
                match job_id(&host, &path).filter(|_| meta.is_dir()) {
                    Some(id) => self.job(&id, bytes),
                    None => self.other += bytes,
                }
            }
        }
    }

    fn job(&mut self, id: &JobId, bytes: u64) {
        let dir = JobDir::open_below(self.layout.results(), id).ok();
        match dir.and_then(|dir| JobSummary::read(&dir)?.run) {
            Some(run) => {
                let run = self.run(&run);
                (run.jobs, run.job_bytes) = (run.jobs + 1, run.job_bytes + bytes);
            }
            None => self.by_hand = (self.by_hand.0 + 1, self.by_hand.1 + bytes),
        }
    }

    fn run(&mut self, run: &RunId) -> &mut RunUsage {
        let new = || RunUsage { run: run.clone(), jobs: 0, job_bytes: 0, log_bytes: 0 };
        self.runs.entry(run.to_string()).or_insert_with(new)
    }
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn job_id(host: &Path, path: &Path) -> Option<JobId> {
    format!("{}/{}", name(host)?, name(path)?).parse().ok()
}

/// A walk of directories that stops after a number of files and follows no links.
pub(super) struct Walk {
    /// Files that may still be looked at.
    left: usize,
    /// True once there was more.
    is_cut: bool,
    /// Files with several names that were counted.
    counted: HashSet<(u64, u64)>,
}

impl Walk {
    pub(super) fn new() -> Self {
        Walk { left: MAX_FILES, is_cut: false, counted: HashSet::new() }
    }

    /// What everything below a directory takes, bytes.
    pub(super) fn bytes_in(&mut self, dir: &Path) -> u64 {
        let (mut dirs, mut bytes) = (vec![dir.to_owned()], 0);
        while let Some(dir) = dirs.pop() {
            for (path, meta) in self.entries(&dir) {
                bytes += self.own_bytes(&meta);
                if meta.is_dir() {
                    dirs.push(path);
                }
            }
        }
        bytes
    }

    /// What a file takes, or a directory with all that is in it.
    fn bytes_of(&mut self, path: &Path, meta: &Metadata) -> u64 {
        let own = self.own_bytes(meta);
        if meta.is_dir() { own + self.bytes_in(path) } else { own }
    }

    fn own_bytes(&mut self, meta: &Metadata) -> u64 {
        let is_new =
            meta.is_dir() || meta.nlink() == 1 || self.counted.insert((meta.dev(), meta.ino()));
        if is_new { meta.blocks() * BLOCK } else { 0 }
    }

    /// What is in a directory, as far as it may be looked at.
    fn entries(&mut self, dir: &Path) -> Vec<(PathBuf, Metadata)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if self.left == 0 {
                self.is_cut = true;
                break;
            }
            self.left -= 1;
            let with_meta = |entry: DirEntry| Some((entry.path(), entry.metadata().ok()?));
            found.extend(with_meta(entry));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use gjob_core::record::RECORD_VERSION;

    use super::*;

    fn layout(dir: &Path) -> Layout {
        let layout = Layout::new(dir.to_owned());
        for path in
            [layout.blobs(), layout.bin(), layout.runs().join("2026-11-22-1+000000000000001f/h1")]
        {
            fs::create_dir_all(path).unwrap();
        }
        layout
    }

    #[test]
    fn room_is_told_by_run_and_a_file_with_two_names_once() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        let job = |name: &str, record: &str| {
            let job = dir.path().join("host").join(name);
            fs::create_dir_all(&job).unwrap();
            fs::write(job.join(".job"), record).unwrap();
            job
        };
        let record = r#""run":"2026-11-22-1+000000000000001f","request":{"cpus":1,"mem":0}}"#;
        let record = format!("{{\"version\":{RECORD_VERSION},{record}");
        let first = job("2026-11-22-1", &record);
        job("2026-11-22-2", "not JSON");
        fs::write(layout.blobs().join("b"), vec![1; 100_000]).unwrap();
        fs::hard_link(layout.blobs().join("b"), first.join("b")).unwrap();
        fs::write(layout.runs().join("2026-11-22-1+000000000000001f/h1/log"), vec![1; 50_000])
            .unwrap();
        std::os::unix::fs::symlink("/usr", first.join("usr")).unwrap();
        let usage = disk_usage(&layout);
        let [run] = usage.runs.as_slice() else { panic!("{usage:?}") };
        assert_eq!(
            (run.run.as_str(), run.jobs, usage.by_hand.0),
            ("2026-11-22-1+000000000000001f", 1, 1)
        );
        assert!(usage.staged_bytes >= 100_000 && run.job_bytes < 100_000, "{usage:?}");
        assert!(run.log_bytes >= 50_000 && !usage.is_partial, "{usage:?}");
    }

    #[test]
    fn look_at_too_many_files_ends_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        for number in 0..20 {
            fs::write(layout.bin().join(number.to_string()), "x").unwrap();
        }
        let usage = measure(&layout, Walk { left: 10, ..Walk::new() });
        assert!(usage.is_partial);
    }
}
