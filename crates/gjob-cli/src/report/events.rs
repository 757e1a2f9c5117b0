//! `--events FILE`: every event as one line of JSON.

use std::fs::File;
use std::io::{BufWriter, Write};

use gjob_core::Event;

#[derive(Debug)]
pub(crate) struct EventFile(BufWriter<File>);

impl EventFile {
    pub(crate) fn new(file: File) -> Self {
        EventFile(BufWriter::new(file))
    }

    pub(crate) fn write(&mut self, event: &Event) {
        // A file that can't be written never fails a run.
        if serde_json::to_writer(&mut self.0, event).is_ok() {
            let _ = self.0.write_all(b"\n").and_then(|()| self.0.flush());
        }
    }
}
