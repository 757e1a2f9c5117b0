//! `--events FILE`: every event as one line of JSON.

use std::io;
use std::path::Path;

use gjob::manager::Handler;
use gjob_core::{Event, Run};

use super::lines::LineFile;

#[derive(Debug)]
pub(super) struct EventFile(pub(super) LineFile);

impl EventFile {
    pub(super) fn open(path: &Path, add: bool) -> io::Result<Self> {
        Ok(EventFile(LineFile::open(path, add)?))
    }
}

impl Handler for EventFile {
    fn handle_event(&mut self, event: &Event, _run: &Run) {
        // An event holds nothing that has no JSON.
        if let Ok(mut line) = serde_json::to_vec(event) {
            line.push(b'\n');
            self.0.write(&line);
        }
    }
}
