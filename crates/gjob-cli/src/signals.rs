//! Signals as requests to the manager. Ctrl-C kills the run's jobs and keeps the
//! run. This process ends when they have ended, after a time limit, or at once at a
//! second Ctrl-C. SIGTERM and SIGHUP end it and leave the jobs running; a SIGHUP that is
//! ignored from the start (nohup) stays ignored. Before there is
//! a manager, any of them ends a running job script, and this process.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gjob::jobfile::Stopper;
use gjob::manager::Controller;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::exit::{ALL_DONE, INTERRUPTED};
use crate::stamped::Stderr;
use crate::tty;

/// What the second Ctrl-C prints.
const EXITING: &str = "gjob: exiting now; jobs keep running, resume with `gjob attach`";

/// What Ctrl-C prints where another process manages the run.
const NOT_FOLLOWING: &str = "gjob: no longer following; the run goes on";

/// How long jobs that are killed by the first Ctrl-C are waited for.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);

/// The signals that end this process. A hangup that it was started to ignore (nohup) is
/// none of them.
fn ending() -> impl Iterator<Item = i32> {
    [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored_hangup(*signal))
}

/// True for a hangup that does nothing to this process. Shells start what runs in the
/// background with other signals ignored, which are obeyed all the same.
pub(crate) fn is_ignored_hangup(signal: i32) -> bool {
    // Elsewhere than on Linux, it counts.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    signal == SIGHUP && mask >> (signal - 1) & 1 == 1
}

/// What the next signal does, instead of telling a manager that has ended.
static INSTEAD: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

/// Has the next signal do this, and nothing else.
pub(crate) fn instead(act: impl FnOnce() + Send + 'static) {
    *INSTEAD.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(act));
}

/// Does it, if there is something to do.
fn did_instead() -> bool {
    let act = INSTEAD.lock().unwrap_or_else(PoisonError::into_inner).take();
    act.map(|act| act()).is_some()
}

/// True once a manager receives the signals.
static LISTENING: AtomicBool = AtomicBool::new(false);

/// A script that a signal may have ended.
pub(crate) struct ScriptSignals {
    arrived: Arc<AtomicBool>,
}

impl ScriptSignals {
    /// Returns only if no signal has arrived; otherwise this process is ending.
    pub(crate) fn settle(&self) {
        while self.arrived.load(Ordering::SeqCst) {
            std::thread::park();
        }
    }
}

/// Until [`listen`] is called, signals end the script and this process.
pub(crate) fn end_script(stopper: Stopper) -> io::Result<ScriptSignals> {
    let mut signals = Signals::new(ending())?;
    // The script may have ended before the thread below receives the signal.
    let arrived = Arc::new(AtomicBool::new(false));
    for signal in ending() {
        flag::register(signal, Arc::clone(&arrived))?;
    }
    let listener = move || {
        let Some(signal) = signals.forever().next() else { return };
        if LISTENING.load(Ordering::SeqCst) {
            return;
        }
        stopper.stop();
        if signal == SIGINT {
            // Without stderr there is no reader.
            let _ = writeln!(io::stderr(), "gjob: interrupted; nothing was started");
            std::process::exit(i32::from(INTERRUPTED));
        }
        let _ = emulate_default_handler(signal);
    };
    std::thread::Builder::new().name("gjob-script".into()).spawn(listener)?;
    Ok(ScriptSignals { arrived })
}

/// Passes signals to the manager, for as long as the process lives.
pub(crate) fn listen(controller: Controller) -> io::Result<()> {
    let mut signals = Signals::new(ending())?;
    signals_of_terminal(&signals)?;
    LISTENING.store(true, Ordering::SeqCst);
    let listener = move || {
        let mut interrupted = false;
        for signal in &mut signals {
            match signal {
                SIGTSTP => tty::stop(),
                SIGQUIT => end_by(SIGQUIT),
                _ if did_instead() => {}
                SIGINT if interrupted => {
                    // Without stderr there is no reader.
                    tty::close();
                    let _ = writeln!(Stderr, "\n{EXITING}");
                    std::process::exit(i32::from(INTERRUPTED));
                }
                SIGINT => {
                    interrupted = true;
                    controller.interrupt();
                    leave_later(controller.clone());
                }
                _ => controller.leave(),
            }
        }
    };
    std::thread::Builder::new().name("gjob-signals".into()).spawn(listener).map(drop)
}

/// What a host does not end in time is left to it, and to the next manager.
fn leave_later(controller: Controller) {
    let leave = move || {
        std::thread::sleep(KILL_TIMEOUT);
        controller.leave();
    };
    // Without it a second Ctrl-C is needed.
    drop(std::thread::Builder::new().name("gjob-interrupted".into()).spawn(leave));
}

/// Ends this process with status 130 at Ctrl-C; nothing else depends on it. Other
/// signals do what they always do, to a terminal that is restored first.
pub(crate) fn end_at_interrupt() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT])?;
    if tty::is_interactive() {
        ending().try_for_each(|signal| signals.add_signal(signal))?;
    }
    signals_of_terminal(&signals)?;
    let listener = move || {
        for signal in &mut signals {
            match signal {
                SIGINT => {
                    tty::close();
                    // Without stderr there is no reader.
                    let _ = writeln!(io::stderr(), "\n{NOT_FOLLOWING}");
                    std::process::exit(i32::from(INTERRUPTED));
                }
                SIGTSTP => tty::stop(),
                other => end_by(other),
            }
        }
    };
    std::thread::Builder::new().name("gjob-signals".into()).spawn(listener).map(drop)
}

/// Ends this process, which does nothing but follow a run, with these words.
pub(crate) fn leave(words: &str) {
    tty::close();
    // Without stderr there is no reader.
    let _ = writeln!(Stderr, "\n{words}");
    std::process::exit(i32::from(ALL_DONE));
}

/// Signals that would leave a terminal as it is while keys are read from it.
fn signals_of_terminal(signals: &Signals) -> io::Result<()> {
    if tty::is_interactive() {
        [SIGTSTP, SIGQUIT].into_iter().try_for_each(|signal| signals.add_signal(signal))?;
    }
    Ok(())
}

/// Ends this process as the signal does by itself.
fn end_by(signal: i32) {
    tty::close();
    // It ends this process.
    let _ = emulate_default_handler(signal);
}
