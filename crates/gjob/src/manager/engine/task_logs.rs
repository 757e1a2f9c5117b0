//! What hosts' set-ups and teardowns have printed: fetched when they have ended, and kept
//! in the run's directory.

use std::fs::{DirBuilder, File};
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use gjob_core::Key;
use gjob_core::run::HostIx;
use gjob_core::text::{excerpt, printable};
use gjob_core::wire::Stream;

use super::Engine;
use crate::manager::Wanted;
use crate::network::Fetched;

/// As many of the last lines are told of a set-up that has failed.
const LAST_LINES: usize = 10;

impl Engine {
    /// Asks for what a task has printed.
    pub(super) fn fetch_task_log(&mut self, host: HostIx, key: Key) {
        let run = self.scheduler.run();
        let finish = run.task_attempt(key).and_then(|it| it.attempt.finish.as_deref());
        let both = Wanted { stdout: true, stderr: true };
        if let Some(finish) = finish {
            // What is empty is not fetched.
            if let Some(attempt) = run.task_attempt(key) {
                for stream in [Stream::Stdout, Stream::Stderr] {
                    let _ = keep(&self.dir.task_log(attempt, stream), &mut io::empty());
                }
            }
            self.streams.request_of(host, key, finish, both, &mut self.network);
        }
    }

    /// Keeps what a task has printed. Without room for it, it can be read from the host.
    pub(super) fn keep_task_log(
        &mut self,
        now: Duration,
        host: HostIx,
        key: Key,
        outputs: Vec<Fetched>,
    ) {
        let mut last = Vec::new();
        if let Some(attempt) = self.run().task_attempt(key) {
            for Fetched { stream, output, .. } in outputs {
                let path = self.dir.task_log(attempt, stream);
                let Ok(mut output) = output else { continue };
                if keep(&path, &mut output).is_ok() {
                    last.extend(last_lines(&path).unwrap_or_default());
                }
            }
        }
        let before = last.len().saturating_sub(LAST_LINES);
        let last = last.split_off(before);
        self.scheduler.handle_task_log(now, host, key, last);
    }
}

fn keep(path: &Path, output: &mut impl io::Read) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    io::copy(output, &mut File::create(path)?).map(drop)
}

/// The last lines of a file, fit to be shown.
fn last_lines(path: &Path) -> io::Result<Vec<String>> {
    let mut last = std::collections::VecDeque::new();
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        let line = printable(&excerpt(String::from_utf8_lossy(&line?).trim_end()));
        if !line.is_empty() {
            last.push_back(line);
        }
        if last.len() > LAST_LINES {
            last.pop_front();
        }
    }
    Ok(last.into())
}
