//! Acting on jobs of a run: through its manager if one lives, else by being the
//! manager for a moment.

use std::time::{Duration, Instant};

use gjob_core::Cause;

use super::control::{Act, Answer, Change, Changed, ControlClient, ControlError};
use super::engine::Engine;
use super::{ManagerError, NoHandler};
use crate::inputs::Inputs;
use crate::store::{NewInputs, RunDir};

/// How long hosts may take to be reached.
const REACH_TIMEOUT: Duration = Duration::from_secs(30);

/// How long another process may have the run without listening: it is about to
/// begin, to end, or acts on jobs itself.
const BUSY_TIMEOUT: Duration = Duration::from_secs(150);

/// Between two attempts to take up a run that another process has without
/// listening.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// How often what hosts report is taken while they are waited for.
const PUMP_INTERVAL: Duration = Duration::from_millis(500);

/// Who did what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// The run's manager, which continues.
    Manager,
    /// This process, which has left the run again.
    Itself,
}

/// Jobs could not be acted on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// The manager cannot be asked.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The run cannot be taken up.
    #[error(transparent)]
    Manager(#[from] ManagerError),
}

/// Does something to jobs of a run, and waits until it has taken effect.
///
/// # Errors
/// When neither the manager nor this process can do it.
pub fn act(dir: &RunDir, act: Act, jobs: &[u32]) -> Result<(Answer, Through), ActError> {
    act_with(dir, act, jobs, None, None)
}

/// Retries jobs with other files or other memory: `files` replace those of the same paths for
/// all attempts that are assigned from now on; jobs that were tried get `mem` bytes.
///
/// # Errors
/// As [`act`].
pub fn retry_with(
    dir: &RunDir,
    jobs: &[u32],
    files: Option<Inputs>,
    mem: Option<u64>,
) -> Result<(Answer, Through), ActError> {
    act_with(dir, Act::Retry, jobs, files, mem)
}

fn act_with(
    dir: &RunDir,
    act: Act,
    jobs: &[u32],
    mut files: Option<Inputs>,
    mem: Option<u64>,
) -> Result<(Answer, Through), ActError> {
    let handed_over = files.as_ref().map(|files| NewInputs::write(dir, files)).transpose();
    let handed_over = handed_over.map_err(ManagerError::Store)?;
    let name = || handed_over.as_ref().map(|files| files.name().to_owned());
    through(
        dir,
        |client| client.act_with(act, jobs, name(), mem),
        |cut_off| {
            let mut engine = Engine::act_alone(dir, act, jobs)?;
            if let Some(files) = files.take() {
                engine.replace_files(files)?;
            }
            alone(engine, act, jobs, mem, cut_off)
        },
    )
}

/// Changes a run: through its manager, or what the next one is to do.
///
/// # Errors
/// When neither the manager nor this process can do it.
pub fn change(dir: &RunDir, changes: &[Change]) -> Result<(Changed, Through), ActError> {
    through(
        dir,
        |client| client.change(changes),
        |_| {
            let mut engine = Engine::take_up_to_change(dir)?;
            let changed = engine.change(changes)?;
            engine.leave(&mut NoHandler)?;
            Ok(changed)
        },
    )
}

/// Asks the manager of a run, if one lives; else does it as its manager for a moment. That is
/// told whether a manager was asked before and exited without an answer.
fn through<T>(
    dir: &RunDir,
    mut ask: impl FnMut(&mut ControlClient) -> Result<Option<T>, ControlError>,
    mut alone: impl FnMut(bool) -> Result<T, ManagerError>,
) -> Result<(T, Through), ActError> {
    let began = Instant::now();
    let mut cut_off = false;
    loop {
        if let Some(mut client) = ControlClient::connect(dir)? {
            match ask(&mut client)? {
                Some(answer) => return Ok((answer, Through::Manager)),
                None => cut_off = true,
            }
        }
        match alone(cut_off) {
            Ok(answer) => return Ok((answer, Through::Itself)),
            Err(error) if error.is_managed_already() && began.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(RETRY_INTERVAL);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// `cut_off` says that a manager was asked before and exited without an answer.
fn alone(
    mut engine: Engine,
    act: Act,
    jobs: &[u32],
    mem: Option<u64>,
    cut_off: bool,
) -> Result<Answer, ManagerError> {
    let mut acting = engine.begin_to(act, jobs, mem);
    engine.settle(&mut NoHandler)?;
    while !engine.has_taken_effect(&mut acting, REACH_TIMEOUT) {
        engine.pump(PUMP_INTERVAL, &mut NoHandler)?;
    }
    engine.leave(&mut NoHandler)?;
    let mut answer = acting.answer;
    if cut_off && act == Act::Kill {
        // What that manager had ended already is what was asked for.
        let killed = Cause::Killed.to_string();
        answer.accept(|job| engine.job(job).reason.as_ref() == Some(&killed));
    }
    Ok(answer)
}
