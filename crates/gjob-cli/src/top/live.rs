//! The log of a job that runs, as it grows: a thread keeps the job's outputs open while
//! the log is shown, and hands on what is new. It ends with whoever reads.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Weak};

use gjob::network::{Followed, NetworkError};
use gjob_core::Job;
use gjob_core::plural::counted;
use gjob_core::text::printable;
use gjob_core::wire::Stream;

use super::view::Pager;
use crate::commands::job_outputs::JobOutputs;

/// As many new lines of a stream are kept at a time, and about twice as many in all.
const MOST_LINES: usize = 5000;

/// A longer line is cut, bytes.
const MAX_LINE: usize = 4096;

/// As many pieces wait for a reader; then the thread waits, too.
const QUEUE: usize = 4;

/// What a stream has got.
#[derive(Debug)]
pub(crate) struct Piece {
    stream: Stream,
    /// How many lines came before these and are left out.
    left_out: u64,
    lines: VecDeque<String>,
    /// A last line that has no end yet.
    open: Option<String>,
}

#[derive(Debug)]
pub(crate) enum News {
    /// The log, with nothing in it so far.
    Begin(Pager),
    Piece(Piece),
    /// The job has ended: this was all.
    End,
}

/// News of a log; dropped, nobody asks for them any more.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) news: Receiver<News>,
    /// True once the log is shown.
    pub(crate) is_shown: bool,
    _reader: Arc<()>,
}

/// Reads for a [`Live`].
pub(crate) struct Follower {
    to: SyncSender<News>,
    reader: Weak<()>,
}

pub(crate) fn channel() -> (Live, Follower) {
    let (to, news) = mpsc::sync_channel(QUEUE);
    let reader = Arc::new(());
    let follower = Follower { to, reader: Arc::downgrade(&reader) };
    (Live { news, is_shown: false, _reader: reader }, follower)
}

impl Follower {
    /// Hands on what a job prints until it has ended, or nobody reads any more.
    ///
    /// # Errors
    /// When the outputs cannot be read.
    pub(crate) fn follow(
        &self,
        log: Pager,
        job: &Job,
        outputs: &mut JobOutputs,
    ) -> Result<(), NetworkError> {
        let mut sinks = [Stream::Stdout, Stream::Stderr].map(|stream| Sink::new(stream, self));
        let [stdout, stderr] = &mut sinks;
        let mut streams = [
            Followed { stream: Stream::Stdout, from: 0, to: stdout },
            Followed { stream: Stream::Stderr, from: 0, to: stderr },
        ];
        if self.put(News::Begin(log)).is_err() {
            return Ok(());
        }
        match outputs.follow(job, &mut streams) {
            Err(_) if self.reader.strong_count() == 0 => return Ok(()),
            followed => followed?,
        }
        // A reader that is gone needs no end.
        let _ = self.put(News::End);
        Ok(())
    }

    fn put(&self, news: News) -> io::Result<()> {
        self.to.send(news).map_err(|_| io::Error::other("nobody reads the log any more"))
    }
}

/// Takes what comes of a stream, and hands it on at each flush.
struct Sink<'a> {
    stream: Stream,
    left_out: u64,
    lines: VecDeque<String>,
    open: Vec<u8>,
    has_news: bool,
    follower: &'a Follower,
}

impl<'a> Sink<'a> {
    fn new(stream: Stream, follower: &'a Follower) -> Self {
        let (left_out, lines, open) = (0, VecDeque::new(), Vec::new());
        Sink { stream, left_out, lines, open, has_news: false, follower }
    }

    /// Goes on with a line. What a carriage return has led to overwrite is dropped.
    fn extend(&mut self, text: &[u8]) {
        for piece in text.chunks(MAX_LINE) {
            self.open.extend_from_slice(piece);
            let before_last = self.open.len().saturating_sub(1);
            if let Some(at) = self.open[..before_last].iter().rposition(|byte| *byte == b'\r') {
                self.open.drain(..=at);
            }
            self.open.truncate(MAX_LINE);
        }
    }

    fn end_line(&mut self) {
        self.lines.push_back(harmless(&self.open));
        self.open.clear();
        if self.lines.len() > MOST_LINES {
            self.lines.pop_front();
            self.left_out += 1;
        }
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.has_news |= !bytes.is_empty();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.extend(part.strip_suffix(b"\n").unwrap_or(part));
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
        Ok(bytes.len())
    }

    /// Comes after each look at the host, so this is where a reader that is gone is seen.
    fn flush(&mut self) -> io::Result<()> {
        if self.follower.reader.strong_count() == 0 {
            return Err(io::Error::other("nobody reads the log any more"));
        }
        if !std::mem::take(&mut self.has_news) {
            return Ok(());
        }
        let open = (!self.open.is_empty()).then(|| harmless(&self.open));
        let (left_out, lines) =
            (std::mem::take(&mut self.left_out), std::mem::take(&mut self.lines));
        self.follower.put(News::Piece(Piece { stream: self.stream, left_out, lines, open }))
    }
}

/// Where a log goes on that is read while it grows.
#[derive(Debug, Default)]
pub(crate) struct LiveLog {
    /// The stream that came last.
    last: Option<Stream>,
    /// The rows of lines without an end, of standard output and standard error.
    open: [Option<usize>; 2],
}

impl Pager {
    /// Goes on with what has come: below a heading if it is of another stream than what
    /// came before.
    pub(crate) fn go_on(&mut self, piece: Piece) {
        let Some(live) = &mut self.live else { return };
        let Piece { stream, left_out, mut lines, open } = piece;
        let open_row = &mut live.open[usize::from(stream == Stream::Stderr)];
        let is_open = open.is_some();
        lines.extend(open);
        if let Some(row) = open_row.take() {
            // The line that had no end is whole now, or longer.
            match lines.pop_front() {
                Some(line) if left_out == 0 => self.lines[row] = line,
                Some(line) => lines.push_front(line),
                None => {}
            }
            if lines.is_empty() && is_open {
                *open_row = Some(row);
            }
        }
        if !lines.is_empty() {
            if left_out > 0 || live.last != Some(stream) {
                self.lines.extend((!self.lines.is_empty()).then(String::new));
                self.lines.push(heading(stream, left_out));
            }
            live.last = Some(stream);
            self.lines.extend(lines);
            *open_row = is_open.then(|| self.lines.len() - 1);
        }
        self.forget_first();
    }

    /// Drops the first lines if there are too many.
    fn forget_first(&mut self) {
        let surplus = self.lines.len().saturating_sub(2 * MOST_LINES);
        let Some(live) = self.live.as_mut().filter(|_| surplus > 0) else { return };
        self.lines.drain(..surplus);
        self.top = self.top.saturating_sub(surplus);
        live.open = live.open.map(|row| row.and_then(|row| row.checked_sub(surplus)));
    }

    /// The job has ended.
    pub(crate) fn end(&mut self) {
        self.live = None;
        self.lines.extend((!self.lines.is_empty()).then(String::new));
        self.lines.push("the job has ended".to_owned());
    }
}

fn heading(stream: Stream, left_out: u64) -> String {
    let name = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    match left_out {
        0 => format!("{name}:"),
        lines => format!("{name}, after {} left out:", counted(lines, "line")),
    }
}

/// A line as a terminal would leave it, without all that controls the terminal.
pub(super) fn harmless(line: &[u8]) -> String {
    let text = anstream::adapter::strip_bytes(line).into_vec();
    let text = String::from_utf8_lossy(&text).replace('\t', "    ");
    let text = text.trim_end_matches('\r');
    printable(text.rsplit('\r').next().unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pager() -> Pager {
        Pager { live: Some(LiveLog::default()), follows: true, ..Pager::default() }
    }

    /// What is shown after each text has come.
    fn shown(texts: &[(Stream, &str)]) -> Vec<String> {
        let (live, follower) = channel();
        let mut sinks = [Stream::Stdout, Stream::Stderr].map(|stream| Sink::new(stream, &follower));
        let mut pager = pager();
        for (stream, text) in texts {
            let sink = &mut sinks[usize::from(*stream == Stream::Stderr)];
            sink.write_all(text.as_bytes()).unwrap();
            sink.flush().unwrap();
            while let Ok(News::Piece(piece)) = live.news.try_recv() {
                pager.go_on(piece);
            }
        }
        pager.lines
    }

    #[test]
    fn lines_of_a_log_are_harmless_and_as_they_were_last_written() {
        assert_eq!(harmless(b"\x1b[31mred\x1b[0m\x1b]0;title\x07 \x1b[2Jend"), "red end");
        assert_eq!(harmless(b"10%\r20%\r30%\r"), "30%");
        assert_eq!(harmless("a\tb\u{9b}2J\u{202e}".as_bytes()), "a    b 2J ");
    }

    #[test]
    fn streams_are_told_apart_and_unfinished_lines_go_on_in_their_place() {
        use Stream::{Stderr, Stdout};
        let texts = [(Stdout, "a\nb"), (Stderr, "warning\n"), (Stdout, "c\n"), (Stdout, "d\n")];
        let expected = ["stdout:", "a", "bc", "", "stderr:", "warning", "", "stdout:", "d"];
        assert_eq!(shown(&texts), expected);
        let bar = [(Stdout, "1%\r"), (Stdout, "20%\r"), (Stdout, "100%"), (Stdout, "\nend")];
        assert_eq!(shown(&bar), ["stdout:", "100%", "end"]);
    }

    #[test]
    fn endless_output_takes_bounded_room() {
        let many = "x\n".repeat(MOST_LINES + 7);
        let lines = shown(&[(Stream::Stdout, &many)]);
        assert_eq!(lines[0], "stdout, after 7 lines left out:");
        let texts = vec![(Stream::Stdout, many.as_str()); 4];
        assert_eq!(shown(&texts).len(), 2 * MOST_LINES);
        let long = "x".repeat(10 * MAX_LINE);
        let lines = shown(&[(Stream::Stdout, &long), (Stream::Stdout, &long)]);
        assert_eq!(lines[1].len(), MAX_LINE);
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn thread_ends_with_its_reader() {
        let (live, follower) = channel();
        let mut sink = Sink::new(Stream::Stdout, &follower);
        assert!(sink.flush().is_ok());
        drop(live);
        assert!(sink.flush().is_err());
    }
}
