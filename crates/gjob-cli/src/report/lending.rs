//! Keys in `gjob run` and `gjob attach`. `d` leaves the run to others. With `t` the
//! terminal is lent to `top`, and taken back.
//! Who reports keeps what it has to say until then. Keys are read on a thread of their
//! own, which shows `top`, too; the two agree by the state of the loan. Who borrows it is
//! handed in by the command.

use std::io::{PipeReader, PipeWriter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use gjob::store::RunDir;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::tty::{self, Mode};

/// Makes ready what takes the whole screen, for a run and with colours or without; none
/// where there is nothing to show.
pub(crate) type Borrow = fn(&RunDir, bool) -> Option<Borrower>;

/// What keys lead to.
pub(crate) struct Keys {
    pub(crate) top: Borrow,
    /// Leaves the run, which goes on.
    pub(crate) detach: Box<dyn Fn() + Send>,
}

/// Shows it until a key or the flag ends it.
pub(crate) type Borrower = Box<dyn FnOnce(&AtomicBool)>;

/// How often whoever lends looks at the loan.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How long to wait for a key before looking at anything else.
const KEY_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// The terminal, while keys are read.
#[derive(Debug)]
pub(super) struct Lending {
    shared: Arc<Shared>,
    /// Closed, it wakes who waits for a key.
    awake: Option<PipeWriter>,
    keys: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    loan: Mutex<Loan>,
    changed: Condvar,
    /// True when no keys are wanted any more, and `top` is to end.
    over: AtomicBool,
}

/// Whose the terminal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Loan {
    /// The report's.
    #[default]
    None,
    /// The report's, until it has put away what it shows.
    Wanted,
    /// Lent to `top`.
    Lent,
    /// Given back: the report can say what it has kept.
    Back,
}

impl Lending {
    /// Reads keys from now on; none where there is no terminal to read them from.
    pub(super) fn start(dir: &RunDir, colour: bool, keys: Keys) -> Option<Lending> {
        if !tty::is_interactive() {
            return None;
        }
        let (wake, awake) = std::io::pipe().ok()?;
        let shared = Arc::new(Shared::default());
        let (dir, theirs) = (dir.clone(), Arc::clone(&shared));
        let Keys { top, detach } = keys;
        let keys = move || theirs.read_keys(&wake, || top(&dir, colour), detach);
        let keys = std::thread::Builder::new().name("gjob-keys".into()).spawn(keys).ok()?;
        Some(Lending { shared, awake: Some(awake), keys: Some(keys) })
    }

    /// Lends the terminal if that is wanted, once what is shown is put away. True if it
    /// is back since this was last asked.
    pub(super) fn settle(&self, put_away: impl FnOnce()) -> bool {
        let mut loan = self.shared.loan();
        let is_back = *loan == Loan::Back;
        match *loan {
            Loan::Wanted => {
                put_away();
                *loan = Loan::Lent;
            }
            Loan::Back => *loan = Loan::None,
            Loan::None | Loan::Lent => {}
        }
        self.shared.changed.notify_all();
        is_back
    }

    pub(super) fn is_lent(&self) -> bool {
        matches!(*self.shared.loan(), Loan::Lent | Loan::Back)
    }

    /// Takes the terminal back for good.
    pub(super) fn end(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.shared.changed.notify_all();
        self.awake = None;
        if let Some(keys) = self.keys.take() {
            // A thread that has panicked has said so.
            let _ = keys.join();
        }
    }
}

impl Shared {
    fn loan(&self) -> MutexGuard<'_, Loan> {
        self.loan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn read_keys(
        &self,
        wake: &PipeReader,
        borrow: impl Fn() -> Option<Borrower>,
        detach: impl FnOnce(),
    ) {
        let _keys = tty::enter(Mode::Keys);
        while !self.is_over() {
            match next_key(wake) {
                Key::None => {}
                Key::Top => borrow().into_iter().for_each(|borrower| self.lend(borrower)),
                Key::Detach => return detach(),
                Key::Gone => return,
            }
        }
    }

    fn lend(&self, show: Borrower) {
        let mut loan = self.loan();
        *loan = Loan::Wanted;
        while *loan == Loan::Wanted && !self.is_over() {
            let waited = self.changed.wait_timeout(loan, LOOK_INTERVAL);
            loan = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let is_lent = *loan == Loan::Lent;
        drop(loan);
        if is_lent {
            show(&self.over);
        }
        *self.loan() = Loan::Back;
    }
}

enum Key {
    None,
    Top,
    Detach,
    /// There is no terminal any more.
    Gone,
}

/// Waits a moment for a key, or until `wake` ends. In the background nothing is read: it
/// would stop this process.
fn next_key(wake: &PipeReader) -> Key {
    let stdin = std::io::stdin();
    let mut fds = [PollFd::new(wake, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
    let is_ours = tty::is_ready() && tty::is_foreground();
    let watched = if is_ours { &mut fds[..] } else { &mut fds[..1] };
    // It is asked again in a moment, whatever the answer.
    let _ = poll(watched, Some(&KEY_INTERVAL));
    if !is_ours || fds[1].revents().is_empty() || !tty::is_foreground() {
        return Key::None;
    }
    let mut typed = [0; 64];
    match rustix::io::read(&stdin, &mut typed) {
        Ok(0) => Key::Gone,
        Ok(length) if typed[..length].contains(&b'd') => Key::Detach,
        Ok(length) if typed[..length].contains(&b't') => Key::Top,
        Ok(_) | Err(rustix::io::Errno::INTR) => Key::None,
        Err(_) => Key::Gone,
    }
}
