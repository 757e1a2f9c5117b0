//! The real program on a terminal: what a person sees there after all sequences, and
//! the keys they type. Every wait is for what the screen shows, never for a time.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use super::Gjob;

/// How long anything may take to be seen.
const LIMIT: Duration = Duration::from_secs(60);

/// How often the reader looks whether the terminal is still wanted.
const READ_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Lines that are kept of what has scrolled away.
const SCROLLBACK: usize = 2000;

/// A program on a terminal of its own; it is killed at the end of its test.
pub(crate) struct Screen {
    child: Child,
    /// Gone once the terminal is closed.
    ours: Option<Arc<File>>,
    /// Kept open, so that the terminal outlives the program.
    theirs: OwnedFd,
    seen: Arc<Seen>,
    found: Termios,
}

struct Seen {
    parser: Mutex<Parsed>,
    news: Condvar,
}

struct Parsed {
    parser: vt100::Parser,
    /// All bytes that came.
    bytes: Vec<u8>,
    /// True while a frame is drawn: what is there is nothing to be looked at.
    in_frame: bool,
}

impl Parsed {
    fn take(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        let before = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let mark = b"\x1b[?2026";
        let from = before.saturating_sub(mark.len());
        let last = self.bytes[from..].windows(mark.len() + 1).rev().find(|w| w.starts_with(mark));
        if let Some(last) = last {
            self.in_frame = last[mark.len()] == b'h';
        }
    }
}

impl Gjob {
    /// Starts it on a terminal of this size.
    pub(crate) fn on_screen(mut self, rows: u16, columns: u16) -> Screen {
        self.command.env("TERM", "xterm-256color");
        Screen::start(&self.command, rows, columns)
    }
}

impl Screen {
    fn start(command: &Command, rows: u16, columns: u16) -> Screen {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        set_size(&ours, rows, columns);
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let open = || File::options().read(true).write(true).open(&name).unwrap();
        let theirs = OwnedFd::from(open());
        let found = tcgetattr(&theirs).unwrap();
        // `setsid -c` gives the program the terminal, as a login does. Tests may run under
        // nohup, and a hangup that is ignored from the start stays ignored.
        let mut session = Command::new("setsid");
        session.args(["-c", "env", "--default-signal=HUP"]);
        session.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        session.current_dir(command.get_current_dir().unwrap());
        session.stdin(open()).stdout(open()).stderr(open());
        let child = session.spawn().unwrap();
        let parser = vt100::Parser::new(rows, columns, SCROLLBACK);
        let seen = Arc::new(Seen {
            parser: Mutex::new(Parsed { parser, bytes: Vec::new(), in_frame: false }),
            news: Condvar::new(),
        });
        let ours = Arc::new(File::from(ours));
        let (reader, to) = (Arc::downgrade(&ours), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Some(reader) = reader.upgrade() {
                let mut fds = [PollFd::new(&*reader, PollFlags::IN)];
                if !matches!(poll(&mut fds, Some(&READ_INTERVAL)), Ok(1..)) {
                    continue;
                }
                let Ok(length @ 1..) = (&*reader).read(&mut buffer) else { return };
                let mut parsed = to.parser.lock().unwrap();
                parsed.take(&buffer[..length]);
                to.news.notify_all();
            }
        });
        Screen { child, ours: Some(ours), theirs, seen, found }
    }

    /// What is on the screen, without blanks at the ends of lines.
    pub(crate) fn text(&self) -> String {
        shown(&self.seen.parser.lock().unwrap().parser)
    }

    /// Everything that was ever on the main screen, scrolled away or not.
    pub(crate) fn history(&self) -> String {
        let mut parsed = self.seen.parser.lock().unwrap();
        let screen = parsed.parser.screen_mut();
        screen.set_scrollback(usize::MAX);
        let above = screen.scrollback();
        let (rows, _) = screen.size();
        let mut lines = Vec::new();
        let mut left = above;
        while left > 0 {
            screen.set_scrollback(left);
            let page = screen.contents();
            let page: Vec<&str> = page.split('\n').collect();
            let take = left.min(rows.into());
            lines.extend((0..take).map(|at| page.get(at).copied().unwrap_or("").to_owned()));
            left -= take;
        }
        screen.set_scrollback(0);
        lines.push(shown(&parsed.parser));
        lines.join("\n")
    }

    /// All bytes that the program has written.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.seen.parser.lock().unwrap().bytes.clone()
    }

    /// Waits until the screen is as it should be, and returns it.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + LIMIT;
        let mut parsed = self.seen.parser.lock().unwrap();
        loop {
            let text = shown(&parsed.parser);
            if !parsed.in_frame && is_so(&text) {
                return text;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never seen: {what}. The screen:\n{text}");
            parsed = self.seen.news.wait_timeout(parsed, left).unwrap().0;
        }
    }

    /// Waits until a text is on the screen.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, text: &str) -> String {
        self.wait_for(text, |screen| screen.contains(text))
    }

    /// Waits until a text is no longer on the screen.
    #[track_caller]
    pub(crate) fn wait_until_gone(&self, text: &str) -> String {
        self.wait_for(&format!("no {text}"), |screen| !screen.contains(text))
    }

    /// Types keys.
    pub(crate) fn keys(&self, keys: &str) {
        let mut ours = &**self.ours.as_ref().unwrap();
        ours.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        set_size(&self.theirs, rows, columns);
        self.seen.parser.lock().unwrap().parser.screen_mut().set_size(rows, columns);
    }

    /// Closes the terminal, as a lost connection does. Returns how the program ends.
    pub(crate) fn hang_up(&mut self) -> ExitStatus {
        // The reader lets it go in a moment, too.
        self.ours = None;
        let mut status = None;
        gjob_testbed::eventually("its end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// True while a program has the whole screen.
    pub(crate) fn has_whole_screen(&self) -> bool {
        self.seen.parser.lock().unwrap().parser.screen().alternate_screen()
    }

    /// The pid of the program: `setsid` has become it.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for the end of the program, and makes sure that the terminal is as it was.
    #[track_caller]
    pub(crate) fn end(&mut self) -> i32 {
        let (sender, receiver) = std::sync::mpsc::channel();
        let pid = Pid::from_child(&self.child);
        let watch = std::thread::spawn(move || {
            if receiver.recv_timeout(LIMIT).is_err() {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        let status: ExitStatus = self.child.wait().unwrap();
        let _ = sender.send(());
        watch.join().unwrap();
        self.drain();
        self.assert_restored();
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }

    /// Waits until all that was written has been read: a mark comes last.
    fn drain(&self) {
        const MARK: &[u8] = b"\x1b]777;end\x07";
        let mut theirs = File::from(self.theirs.try_clone().unwrap());
        theirs.write_all(MARK).unwrap();
        let mut parsed = self.seen.parser.lock().unwrap();
        while !parsed.bytes.ends_with(MARK) {
            parsed = self.seen.news.wait(parsed).unwrap();
        }
        let before = parsed.bytes.len() - MARK.len();
        parsed.bytes.truncate(before);
    }

    /// The terminal is as it was found.
    #[track_caller]
    pub(crate) fn assert_restored(&self) {
        assert!(!self.has_whole_screen(), "the screen was not given back");
        let now = tcgetattr(self.theirs.as_fd()).unwrap();
        assert_eq!(now.local_modes, self.found.local_modes);
        assert_eq!(now.input_modes, self.found.input_modes);
        let hidden = self.seen.parser.lock().unwrap().parser.screen().hide_cursor();
        assert!(!hidden, "the cursor was left hidden");
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn shown(parser: &vt100::Parser) -> String {
    let (_, columns) = parser.screen().size();
    let rows: Vec<String> = parser.screen().rows(0, columns).collect();
    rows.iter().map(|row| row.trim_end()).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

fn set_size(terminal: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).unwrap();
}
