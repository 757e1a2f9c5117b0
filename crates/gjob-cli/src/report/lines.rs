//! A report that is a file of lines, for programs: it never holds a part of a line,
//! and what a full disk does not take is written later, in its order. It cannot fail
//! the run; what is missing at the end, the exit status tells.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// The most that is kept of what could not be written, bytes.
const MOST_PENDING: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct LineFile {
    path: PathBuf,
    file: File,
    /// Lines that are not written yet.
    pending: Vec<u8>,
    /// Lines that there was no room for.
    dropped: u64,
    /// Its reader has gone: nobody wants more.
    closed: bool,
    problem: Problem,
}

/// A problem is reported once.
#[derive(Debug)]
enum Problem {
    None,
    Found(String),
    Reported,
}

impl LineFile {
    /// A new file, or (`add`) one that is appended to. A pipe that nothing reads is not
    /// waited for.
    ///
    /// # Errors
    /// When it cannot be opened; the path is in the error.
    pub(super) fn open(path: &Path, add: bool) -> io::Result<Self> {
        let mut options = File::options();
        options.create(true).append(add).write(true).truncate(!add);
        options.custom_flags(OFlags::NONBLOCK.bits() as i32);
        let opened = options.open(path).and_then(|file| {
            fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
            Ok(file)
        });
        let file = opened.map_err(|error| {
            let text = match error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) {
                true => "nothing reads this pipe: expected a file, or a pipe with a reader",
                false => &error.to_string(),
            };
            io::Error::new(error.kind(), format!("{}: {text}", path.display()))
        })?;
        Ok(LineFile {
            path: path.to_owned(),
            file,
            pending: Vec::new(),
            dropped: 0,
            closed: false,
            problem: Problem::None,
        })
    }

    pub(super) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == 0)
    }

    /// Adds a line, with its newline.
    pub(super) fn write(&mut self, line: &[u8]) {
        if self.pending.len() + line.len() > MOST_PENDING && !self.pending.is_empty() {
            self.dropped += 1;
        } else if !self.closed {
            self.pending.extend_from_slice(line);
        }
        if let Err(error) = self.flush()
            && matches!(self.problem, Problem::None)
        {
            let text = format!("cannot write {}: {error}", self.path.display());
            self.problem = Problem::Found(text);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            match self.file.write(&self.pending) {
                Ok(written) => self.take_off(written)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    (self.closed, self.dropped) = (true, 0);
                    self.pending.clear();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Forgets the whole lines of what was written, and takes the part of another
    /// back out of the file.
    fn take_off(&mut self, written: usize) -> io::Result<()> {
        let newline = self.pending[..written].iter().rposition(|byte| *byte == b'\n');
        let whole = newline.map_or(0, |at| at + 1);
        let torn = (written - whole) as u64;
        if torn > 0 {
            let length = self.file.metadata()?.len();
            self.file.set_len(length.saturating_sub(torn))?;
            // Where it is not appended to, the next line goes there.
            io::Seek::seek(&mut self.file, io::SeekFrom::End(0))?;
        }
        self.pending.drain(..whole);
        if torn > 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// What is to be said of it, once.
    pub(super) fn take_problem(&mut self) -> Option<String> {
        match std::mem::replace(&mut self.problem, Problem::Reported) {
            Problem::Found(text) => Some(text),
            other => {
                self.problem = other;
                None
            }
        }
    }

    /// Writes what can be written now; says what is missing for good.
    pub(super) fn finish(&mut self) -> Option<String> {
        let left = match self.flush() {
            Ok(()) => 0,
            Err(_) => self.pending.iter().filter(|byte| **byte == b'\n').count() as u64,
        };
        let missing = self.dropped + left;
        let lines = gjob_core::plural::counted(missing, "line");
        (missing > 0).then(|| format!("{} is incomplete: {lines} missing", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_which_a_part_was_written_is_taken_back_and_written_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for add in [false, true] {
            std::fs::write(&path, "").unwrap();
            let mut log = LineFile::open(&path, add).unwrap();
            log.pending = b"first\nsecond\n".to_vec();
            // What a short write does.
            log.file.write_all(b"first\nsec").unwrap();
            assert!(log.take_off(9).is_err());
            assert_eq!(std::fs::read(&path).unwrap(), b"first\n");
            log.write(b"third\n");
            assert_eq!(std::fs::read(&path).unwrap(), b"first\nsecond\nthird\n");
            assert_eq!(log.finish(), None);
        }
    }

    #[test]
    fn what_is_missing_is_said_once_and_counted_at_the_end() {
        let mut log = LineFile::open(Path::new("/dev/full"), true).unwrap();
        let said = "cannot write /dev/full: No space left on device (os error 28)";
        log.write(b"first\n");
        assert_eq!(log.take_problem().as_deref(), Some(said));
        log.write(&[vec![b'x'; MOST_PENDING], b"\n".to_vec()].concat());
        assert_eq!((log.take_problem(), log.dropped), (None, 1));
        assert_eq!(log.finish().unwrap(), "/dev/full is incomplete: 2 lines missing");
    }
}
