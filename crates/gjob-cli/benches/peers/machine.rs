//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use gjob_testbed::find_program;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processors: usize,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
}

impl Machine {
    /// This machine, with the file system of `dir`.
    pub(crate) fn find(dir: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            processors: thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(&read("/proc/self/mounts"), dir).to_owned(),
        }
    }
}

/// That of the mount point that is deepest above `dir`.
pub(crate) fn file_system<'a>(mounts: &'a str, dir: &Path) -> &'a str {
    let parse = |line: &'a str| {
        let mut words = line.split(' ').skip(1);
        Some((Path::new(words.next()?), words.next()?))
    };
    let above = mounts.lines().filter_map(parse).filter(|(point, _)| dir.starts_with(point));
    // Of several at one place the last is seen.
    above.max_by_key(|(point, _)| point.components().count()).map_or("unknown", |(_, kind)| kind)
}

/// True if this program is installed.
pub(crate) fn has(program: &str) -> bool {
    find_program(program).is_some()
}

/// The first line that a program prints with these arguments, on either stream.
pub(crate) fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let Ok(output) = output else { return String::new() };
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}
