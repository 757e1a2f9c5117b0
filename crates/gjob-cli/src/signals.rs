//! Signals as wishes to the manager. Ctrl-C ends the run's jobs and keeps the
//! run; a second one ends this process at once. SIGTERM and SIGHUP leave the
//! jobs running.

use std::io::{self, Write};

use gjob::manager::Controller;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::INTERRUPTED;

/// Listens for as long as the process lives.
pub(crate) fn listen(controller: Controller) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let listener = move || {
        let mut interrupted = false;
        for signal in &mut signals {
            match signal {
                SIGINT if interrupted => {
                    // With stderr gone there is nobody to tell.
                    let _ = writeln!(io::stderr(), "\ngjob: left at once; `gjob attach` goes on");
                    std::process::exit(i32::from(INTERRUPTED));
                }
                SIGINT => {
                    interrupted = true;
                    controller.interrupt();
                }
                _ => controller.leave(),
            }
        }
    };
    std::thread::Builder::new().name("gjob-signals".into()).spawn(listener).map(drop)
}

/// Ends this process with status 130 at Ctrl-C: nothing else depends on it.
pub(crate) fn end_at_interrupt() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT])?;
    let listener = move || {
        if signals.forever().next().is_some() {
            std::process::exit(i32::from(INTERRUPTED));
        }
    };
    std::thread::Builder::new().name("gjob-signals".into()).spawn(listener).map(drop)
}
