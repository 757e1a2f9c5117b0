//! `gjob top`: a run on the whole screen. Ctrl-C leaves it, and stops nothing.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::anyhow;
use gjob::store::RunDir;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::flag;
use signal_hook::low_level::emulate_default_handler;

use super::find_run;
use crate::cli::{Color, TopArgs};
use crate::exit::{ALL_DONE, Failure};
use crate::report::{Borrower, wants_colour};
use crate::signals;
use crate::top::Top;
use crate::tty;

pub(crate) fn run(args: &TopArgs) -> Result<u8, Failure> {
    if !(tty::is_interactive() && io::stdout().is_terminal()) {
        return Err(Failure::input(anyhow!(
            "top needs a terminal\nhelp: `gjob status` prints the same once, `gjob status --watch` again and again"
        )));
    }
    let dir = find_run(args.run.word())?;
    let top = Top::open(&dir, wants_colour(Color::Auto)).map_err(Failure::machinery)?;
    let (arrived, leave) = (Arc::new(AtomicUsize::new(0)), AtomicBool::new(false));
    let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP];
    for signal in signals.into_iter().filter(|signal| !signals::is_ignored_hangup(*signal)) {
        let number = signal.unsigned_abs() as usize;
        flag::register_usize(signal, Arc::clone(&arrived), number).map_err(Failure::machinery)?;
    }
    let mut ended_by = 0;
    let attend = || match arrived.swap(0, Ordering::SeqCst) as i32 {
        0 => {}
        SIGTSTP => tty::stop(),
        signal => {
            ended_by = signal;
            leave.store(true, Ordering::SeqCst);
        }
    };
    top.show(&leave, attend).map_err(Failure::machinery)?;
    if ended_by != 0 && ended_by != SIGINT {
        // It ends this process, as it would any other.
        let _ = emulate_default_handler(ended_by);
    }
    Ok(ALL_DONE)
}

/// Makes it ready to be shown in the process that reports on the run; none if the run
/// cannot be read.
pub(super) fn beside_the_run(dir: &RunDir, colour: bool) -> Option<Borrower> {
    let top = Top::open(dir, colour).ok()?.beside_the_run();
    Some(Box::new(|over| {
        // A terminal that is gone shows nothing more.
        let _ = top.show(over, || {});
    }))
}
