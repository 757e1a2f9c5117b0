//! The manager: N jobs to M hosts, with N larger than M (the seed's
//! `Manager`). It feeds the scheduler with what the hosts report, commits what
//! the scheduler says happened, tells the handler, and only then carries out
//! what the scheduler wants done.

mod act;
mod control;
mod controller;
mod dispatch;
mod engine;
mod error;
mod handler;
mod logging;
mod streams;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gjob_core::event::RunEnd;
use gjob_core::{Job, JobSpec, Run};

use crate::inputs::Inputs;
use crate::network::Network;
use crate::settings::RunSettings;
use crate::store::{RunDir, StateDir, Store, StoreError};
pub use act::{ActError, Through, act, change, retry_with};
pub use control::{
    Act, Answer, CONTROL_VERSION, Change, Changed, ControlClient, ControlError, MAX_JOBS, MAX_LINE,
    Received, Refusal, Request, Snapshot,
};
pub use controller::Controller;
use engine::Engine;
pub use error::{ManagerError, NoSuchHost};
pub use handler::{Handler, NoHandler, Wanted};
pub use logging::{JobLog, LoggingManager};
pub use watch::{Happened, WatchError, Watched, Watcher};

/// Allocates N jobs to M hosts (the seed's `Manager`).
///
/// [`Manager::process_jobs`] runs everything; [`Manager::launch_job`] and
/// [`Manager::update_job_status`] are its steps, for driving it by hand.
#[derive(Debug)]
pub struct Manager<H: Handler = NoHandler> {
    sleep_time: Duration,
    handler: H,
    engine: Option<Engine>,
}

impl Manager {
    /// A manager that waits `sleep_time` for news before it says that it
    /// sleeps (the seed's `sleep_time_in_secs`).
    #[must_use]
    pub fn new(sleep_time: Duration) -> Self {
        Manager::with_handler(sleep_time, NoHandler)
    }

    /// Records a run without beginning it, for another process to take up
    /// ([`Manager::attach`]). The arguments are those of [`Manager::setup_with`].
    ///
    /// # Errors
    /// As [`Manager::setup`].
    pub fn record(
        state: &StateDir,
        specs: Vec<Arc<JobSpec>>,
        hashed: Option<Inputs>,
        settings: &RunSettings,
    ) -> Result<RunDir, ManagerError> {
        Engine::record(state, specs, hashed, settings)
    }
}

impl<H: Handler> Manager<H> {
    /// A manager that tells `handler` what happens.
    pub fn with_handler(sleep_time: Duration, handler: H) -> Self {
        Manager { sleep_time, handler, engine: None }
    }

    /// Prepares to process a set of jobs on a network (the seed's `Setup`).
    /// The run is recorded in the user's state directory.
    ///
    /// # Errors
    /// When a job or a file of one is not acceptable, or the run can't be
    /// recorded; nothing was started.
    pub fn setup(
        &mut self,
        job_specs: impl IntoIterator<Item = JobSpec>,
        network: Network,
    ) -> Result<(), ManagerError> {
        let specs = job_specs.into_iter().map(Arc::new).collect();
        let settings =
            RunSettings { network: network.settings().clone(), ..RunSettings::default() };
        let state = StateDir::from_env()?;
        self.engine = Some(Engine::create(&state, specs, None, network, &settings)?);
        Ok(())
    }

    /// The same from the settings of a whole run, recorded in `state`. `hashed`
    /// are files that were hashed before: all that the jobs need, or more.
    ///
    /// # Errors
    /// As [`Manager::setup`].
    pub fn setup_with(
        &mut self,
        state: &StateDir,
        specs: Vec<Arc<JobSpec>>,
        hashed: Option<Inputs>,
        settings: &RunSettings,
    ) -> Result<(), ManagerError> {
        let network = Network::from_settings(settings)?;
        self.engine = Some(Engine::create(state, specs, hashed, network, settings)?);
        Ok(())
    }

    /// Takes up a run that another manager has left (`gjob attach`), with the
    /// settings it was begun with.
    ///
    /// # Errors
    /// When another process manages the run, or its store can't be read.
    pub fn attach(&mut self, dir: &RunDir) -> Result<(), ManagerError> {
        self.attach_with(dir, Store::take_up, |_| (), &[])
    }

    /// The same with other settings and changes from now on; `take_up` is [`Store::take_up`], or
    /// [`Store::take_up_moved`] for a copy whose original is used no more.
    ///
    /// # Errors
    /// As [`Manager::attach`].
    pub fn attach_with(
        &mut self,
        dir: &RunDir,
        take_up: fn(&RunDir) -> Result<Store, StoreError>,
        change: impl FnOnce(&mut RunSettings),
        changes: &[Change],
    ) -> Result<(), ManagerError> {
        self.engine = Some(Engine::attach(dir, take_up(dir)?, change, changes)?);
        Ok(())
    }

    /// Launches the next waiting job on a free host and waits until it has
    /// begun (the seed's `LaunchJob`). None when no job waits or no host has
    /// room.
    ///
    /// # Errors
    /// When the store fails, or no host can be used.
    pub fn launch_job(&mut self) -> Result<Option<Job>, ManagerError> {
        let engine = self.engine.as_mut().ok_or(ManagerError::NotSetUp)?;
        engine.launch_one(&mut self.handler)
    }

    /// Takes what the hosts have reported meanwhile (the seed's
    /// `UpdateJobStatus`). True if any job has ended since it was last called.
    ///
    /// # Errors
    /// When the store fails.
    pub fn update_job_status(&mut self) -> Result<bool, ManagerError> {
        let engine = self.engine.as_mut().ok_or(ManagerError::NotSetUp)?;
        engine.pump(Duration::ZERO, &mut self.handler)?;
        Ok(engine.take_ended_jobs())
    }

    /// Runs all jobs, blocking until they have ended (the seed's
    /// `ProcessJobs`), or until a [`Controller`] says otherwise.
    ///
    /// # Errors
    /// When the store fails. Jobs that run on hosts continue.
    pub fn process_jobs(&mut self) -> Result<RunEnd, ManagerError> {
        let engine = self.engine.as_mut().ok_or(ManagerError::NotSetUp)?;
        engine.launch_all(&mut self.handler)?;
        let mut news = Instant::now();
        loop {
            if let Some(end) = engine.ended() {
                engine.close(end)?;
                return Ok(end);
            }
            let quiet = self.sleep_time.saturating_sub(news.elapsed());
            let anything = engine.pump(quiet, &mut self.handler)?;
            // It may have been woken for other things than news.
            let slept = news.elapsed() >= self.sleep_time;
            if !anything && slept {
                self.handler.handle_sleep();
            }
            if anything || slept {
                news = Instant::now();
            }
        }
    }

    /// Interrupts or leaves the run from another thread.
    #[must_use]
    pub fn controller(&self) -> Option<Controller> {
        self.engine.as_ref().map(Engine::controller)
    }

    /// Why other processes can't ask this manager anything (`gjob kill`), if so.
    #[must_use]
    pub fn control_problem(&self) -> Option<&str> {
        self.engine.as_ref().and_then(Engine::control_problem)
    }

    /// The jobs, in their order.
    #[must_use]
    pub fn jobs(&self) -> &[Job] {
        self.run().map_or(&[], Run::jobs)
    }

    /// The run as it is, once it is set up.
    #[must_use]
    pub fn run(&self) -> Option<&Run> {
        self.engine.as_ref().map(Engine::run)
    }

    /// The run's directory, once it is set up.
    #[must_use]
    pub fn run_dir(&self) -> Option<&RunDir> {
        self.engine.as_ref().map(Engine::run_dir)
    }

    /// The network, for asking for outputs.
    pub fn network(&mut self) -> Option<&mut Network> {
        self.engine.as_mut().map(Engine::network)
    }

    /// The handler.
    #[must_use]
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// The handler, to be changed.
    pub fn handler_mut(&mut self) -> &mut H {
        &mut self.handler
    }

    /// True when every job is `done`.
    #[must_use]
    pub fn all_done(&self) -> bool {
        self.run().is_some_and(Run::is_all_done)
    }
}
