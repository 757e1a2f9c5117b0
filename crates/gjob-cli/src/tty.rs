//! The modes of the terminal: keys that come at once and are not echoed, and a screen
//! that is given back as it was. The terminal is restored whatever ends this process,
//! and while it is stopped. Signals stay on: Ctrl-C and Ctrl-Z do what they always do.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};
use signal_hook::consts::SIGTSTP;
use signal_hook::low_level::emulate_default_handler;

/// What a terminal is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// As it was found.
    Found = 0,
    /// Keys are read one by one.
    Keys = 1,
    /// The same, and the whole screen is drawn.
    Screen = 2,
}

/// Takes the whole screen, without a cursor.
const TAKE_SCREEN: &[u8] = b"\x1b[?1049h\x1b[?25l";

/// A frame: terminals that know of it show all of it at once.
const BEGIN_FRAME: &[u8] = b"\x1b[?2026h";
const END_FRAME: &[u8] = b"\x1b[?2026l";

/// Gives it back.
const GIVE_SCREEN: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";

/// The mode that the terminal is in, and the one that it should be in: they differ while
/// this process is in the background.
static IS: AtomicU8 = AtomicU8::new(Mode::Found as u8);
static WANTED: AtomicU8 = AtomicU8::new(Mode::Found as u8);

/// How often the screen was taken: each time it is empty.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// The settings that were found.
static FOUND: Mutex<Option<Termios>> = Mutex::new(None);

/// Held while something is drawn, so that nothing is drawn into a restored terminal.
static DRAWING: Mutex<()> = Mutex::new(());

/// A terminal in a mode; dropped, it is in the mode before.
#[derive(Debug)]
pub(crate) struct Entered {
    before: Mode,
}

/// True if both ends of a conversation are terminals: keys come in, and a screen goes
/// out.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// True while the terminal is this process's to use.
pub(crate) fn is_foreground() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp())
}

/// Puts the terminal into a mode; in the background, as soon as it is in the foreground.
pub(crate) fn enter(mode: Mode) -> Entered {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            report(panic);
        }));
    });
    let before = of(&WANTED);
    set(mode);
    Entered { before }
}

impl Drop for Entered {
    fn drop(&mut self) {
        set(self.before);
    }
}

fn set(mode: Mode) {
    let _drawing = lock(&DRAWING);
    WANTED.store(mode as u8, Ordering::SeqCst);
    catch_up();
}

/// True when the terminal is in the mode that it should be in, or could be put into it.
pub(crate) fn is_ready() -> bool {
    let _drawing = lock(&DRAWING);
    catch_up();
    of(&IS) == of(&WANTED)
}

fn catch_up() {
    let (is, wanted) = (of(&IS), of(&WANTED));
    if is == wanted {
        return;
    }
    if wanted == Mode::Found {
        return restore();
    }
    // What changes a terminal from the background is stopped.
    if !is_foreground() {
        return;
    }
    if is == Mode::Found && !read_keys() {
        return;
    }
    IS.store(wanted as u8, Ordering::SeqCst);
    match (is, wanted) {
        (_, Mode::Screen) => {
            write(TAKE_SCREEN);
            TAKEN.fetch_add(1, Ordering::SeqCst);
        }
        (Mode::Screen, _) => write(GIVE_SCREEN),
        _ => {}
    }
}

/// False if the terminal's settings cannot be changed.
fn read_keys() -> bool {
    let Ok(found) = tcgetattr(io::stdin()) else { return false };
    let mut keys = found.clone();
    keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    keys.special_codes[SpecialCodeIndex::VMIN] = 1;
    keys.special_codes[SpecialCodeIndex::VTIME] = 0;
    *lock(&FOUND) = Some(found);
    tcsetattr(io::stdin(), OptionalActions::Now, &keys).is_ok()
}

/// Restores the terminal for good: this process is about to end, on whatever thread.
pub(crate) fn close() {
    WANTED.store(Mode::Found as u8, Ordering::SeqCst);
    restore();
}

/// Restores the terminal. It can be called anywhere.
fn restore() {
    let is = IS.swap(Mode::Found as u8, Ordering::SeqCst);
    if is == Mode::Found as u8 {
        return;
    }
    if is == Mode::Screen as u8 {
        write(GIVE_SCREEN);
    }
    if let Some(found) = &*lock(&FOUND) {
        // A terminal that is gone needs no settings.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, found);
    }
}

/// Stops this process, as Ctrl-Z does; returns when it continues.
pub(crate) fn stop() {
    let _drawing = lock(&DRAWING);
    restore();
    // It stops this process, or does nothing.
    let _ = emulate_default_handler(SIGTSTP);
    catch_up();
}

/// Waits for a key, at most so long; false when there is no terminal any more.
pub(crate) fn wait_for_key(most: Duration) -> bool {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    let most = Timespec { tv_sec: 0, tv_nsec: most.subsec_nanos().into() };
    // A signal ends the wait early.
    let _ = poll(&mut fds, Some(&most));
    !fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
}

/// Draws, if the screen is there to be drawn on.
pub(crate) fn draw(frame: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let _drawing = lock(&DRAWING);
    if of(&IS) != Mode::Screen {
        return Ok(());
    }
    write(BEGIN_FRAME);
    let drawn = frame();
    write(END_FRAME);
    drawn
}

/// How often the screen was taken so far.
pub(crate) fn times_taken() -> usize {
    TAKEN.load(Ordering::SeqCst)
}

/// What is written to the terminal. One that is gone shows nothing, and that is no error:
/// [`wait_for_key`] tells it.
#[derive(Debug)]
pub(crate) struct Output(bool);

pub(crate) fn output() -> Output {
    Output(io::stderr().is_terminal())
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self.0 {
            true => io::stderr().write(bytes),
            false => io::stdout().write(bytes),
        };
        match written {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Ok(bytes.len()),
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.0 {
            let _ = io::stdout().flush();
        }
        Ok(())
    }
}

fn write(sequence: &[u8]) {
    let mut out = output();
    // It never fails.
    let _ = out.write_all(sequence).and_then(|()| out.flush());
}

fn of(mode: &AtomicU8) -> Mode {
    match mode.load(Ordering::SeqCst) {
        1 => Mode::Keys,
        2 => Mode::Screen,
        _ => Mode::Found,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
