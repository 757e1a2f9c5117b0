//! Standard error, each line with the local time where it goes to a log: that of a manager in
//! the background, which is read later.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use gjob::store::now;

use crate::local_time::local_time;

/// True once standard error is a log.
static IS_LOG: AtomicBool = AtomicBool::new(false);

/// True while the last line that was written has no end.
static IS_WITHIN_LINE: AtomicBool = AtomicBool::new(false);

/// From now on each line begins with a time.
pub(crate) fn begin_log() {
    IS_LOG.store(true, Ordering::SeqCst);
}

/// Standard error.
#[derive(Debug, Default)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !IS_LOG.load(Ordering::SeqCst) {
            return io::stderr().write(bytes);
        }
        let mut log = io::stderr().lock();
        let time = local_time(now());
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let is_within = IS_WITHIN_LINE.swap(!line.ends_with(b"\n"), Ordering::SeqCst);
            if line == b"\n" && !is_within {
                continue;
            }
            // One write, so that what another process writes is not within a line.
            let start = if is_within { String::new() } else { format!("{time} ") };
            log.write_all(&[start.as_bytes(), line].concat())?;
        }
        Ok(bytes.len())
    }

    /// A line is one write.
    fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        self.write_all(text.to_string().as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
