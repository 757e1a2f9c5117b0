//! `--events FILE`: every event as one line of JSON.

use std::fs::File;
use std::io::{BufWriter, Write};

use gjob::manager::Handler;
use gjob_core::{Event, Run};

#[derive(Debug)]
pub(super) struct EventFile(BufWriter<File>);

impl EventFile {
    pub(super) fn new(file: File) -> Self {
        EventFile(BufWriter::new(file))
    }
}

impl Handler for EventFile {
    fn handle_event(&mut self, event: &Event, _run: &Run) {
        // A file that cannot be written never fails a run.
        if serde_json::to_writer(&mut self.0, event).is_ok() {
            let _ = self.0.write_all(b"\n").and_then(|()| self.0.flush());
        }
    }
}
