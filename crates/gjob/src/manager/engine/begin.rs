//! How a run comes into a manager's hands: made anew, or only recorded, taken up where
//! another has left it, or taken up only to act on some of its jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use gjob_core::JobSpec;
use gjob_core::dependency::Dependencies;
use gjob_core::run::{HostIx, HostTask, Run, TaskSpecs};
use gjob_core::scheduler::Scheduler;
use gjob_core::spec::{MAX_ENV_BYTES, env_bytes};

use super::Engine;
use super::books::Books;
use super::collecting::Collecting;
use super::from_jobs::FromJobs;
use super::requests::Requests;
use crate::inputs::Inputs;
use crate::manager::control::{Act, Change};
use crate::manager::controller::Controller;
use crate::manager::streams::Streams;
use crate::manager::{ManagerError, NoSuchHost};
use crate::network::{Network, NetworkError};
use crate::settings::RunSettings;
use crate::store::{RunDir, StateDir, Store, now};

/// A run that is in its store, and not begun.
struct Recorded {
    dir: RunDir,
    store: Store,
    run: Run,
    inputs: Inputs,
}

impl Engine {
    pub(in crate::manager) fn create(
        state: &StateDir,
        specs: Vec<Arc<JobSpec>>,
        hashed: Option<Inputs>,
        network: Network,
        settings: &RunSettings,
    ) -> Result<Self, ManagerError> {
        let collecting = Collecting::new(settings.outputs.clone());
        let Recorded { dir, store, run, inputs } =
            record(state, specs, hashed, &network, &collecting, settings)?;
        let scheduler = Scheduler::new(settings.scheduler(), run);
        let mut engine = Engine::begin(dir, store, scheduler, network, collecting, false)?;
        engine.open(inputs)?;
        engine.listen();
        Ok(engine)
    }

    /// Records a run for another process to begin.
    pub(in crate::manager) fn record(
        state: &StateDir,
        specs: Vec<Arc<JobSpec>>,
        hashed: Option<Inputs>,
        settings: &RunSettings,
    ) -> Result<RunDir, ManagerError> {
        let network = Network::from_settings(settings)?;
        let collecting = Collecting::new(settings.outputs.clone());
        Ok(record(state, specs, hashed, &network, &collecting, settings)?.dir)
    }

    pub(in crate::manager) fn attach(
        dir: &RunDir,
        store: Store,
        change: impl FnOnce(&mut RunSettings),
        changes: &[Change],
    ) -> Result<Self, ManagerError> {
        let mut engine = Engine::restore(dir, store, change)?;
        if !changes.is_empty()
            && let Some(why) = engine.change(changes)?.refused
        {
            return Err(ManagerError::Refused(why));
        }
        engine.open(engine.books.store().inputs()?)?;
        engine.listen();
        Ok(engine)
    }

    /// Takes a run up to act on some of its jobs only. No host is reached but
    /// those that have some of these jobs.
    pub(in crate::manager) fn act_alone(
        dir: &RunDir,
        act: Act,
        jobs: &[u32],
    ) -> Result<Self, ManagerError> {
        let mut engine = Engine::restore(dir, Store::take_up(dir)?, |_| ())?;
        engine.acts_alone = true;
        engine.scheduler.act_only();
        let concerned = jobs.iter().flat_map(|index| engine.hosts_concerned(act, *index));
        let hosts: BTreeSet<HostIx> = concerned.collect();
        if !hosts.is_empty() {
            let store = engine.books.store();
            let (epoch, offsets) = (store.epoch()?, store.offsets()?);
            engine.network.open_only(&engine.on_hosts, epoch, &offsets, &hosts)?;
        }
        Ok(engine)
    }

    /// Takes a run up to change it only: no host is reached.
    pub(in crate::manager) fn take_up_to_change(dir: &RunDir) -> Result<Self, ManagerError> {
        let mut engine = Engine::restore(dir, Store::take_up(dir)?, |_| ())?;
        engine.acts_alone = true;
        engine.scheduler.act_only();
        Ok(engine)
    }

    fn restore(
        dir: &RunDir,
        store: Store,
        change: impl FnOnce(&mut RunSettings),
    ) -> Result<Self, ManagerError> {
        let stored = RunSettings::from_json(&store.row()?.settings)?;
        let mut settings = stored.clone();
        change(&mut settings);
        if settings != stored {
            store.set_settings(&settings.to_json()?)?;
        }
        let network = Network::from_settings(&settings)?;
        let collecting = Collecting::new(settings.outputs.clone());
        let run = store.load()?;
        // One that was only recorded has no events.
        let resumed = run.seq() > 0;
        let scheduler = Scheduler::new(settings.scheduler(), run);
        Engine::begin(dir.clone(), store, scheduler, network, collecting, resumed)
    }

    /// Nothing is dispatched before somebody says so.
    fn begin(
        dir: RunDir,
        store: Store,
        mut scheduler: Scheduler,
        network: Network,
        mut collecting: Collecting,
        resumed: bool,
    ) -> Result<Self, ManagerError> {
        collecting.has_moved = store.has_moved()?;
        scheduler.hold();
        scheduler.set_time(now());
        scheduler.handle_start(dir.run().clone(), resumed);
        let on_hosts = store.row()?.on_hosts;
        let from_jobs = FromJobs::new(store.past_inputs()?);
        let network = collecting.prepare(network, &on_hosts).managed_at(dir.managed_at());
        Ok(Engine {
            dir,
            on_hosts,
            requests: Requests::default(),
            books: Books::new(store),
            scheduler,
            network,
            began: Instant::now(),
            streams: Streams::default(),
            collecting,
            from_jobs,
            stopped: None,
            jobs_ended: 0,
            controller: Controller::new(None),
            releasing: Vec::new(),
            acts_alone: false,
            resumed,
        })
    }

    /// Opens the links.
    fn open(&mut self, inputs: Inputs) -> Result<(), ManagerError> {
        let store = self.books.store();
        let (epoch, offsets) = (store.epoch()?, store.offsets()?);
        let all = (0..).map(HostIx).zip(self.run().hosts());
        let hosts = all.filter(|(_, host)| !host.is_gone()).map(|(ix, _)| ix).collect();
        self.network.open_managed(&self.on_hosts, epoch, &offsets, inputs, Some(&hosts))?;
        self.controller = Controller::new(self.network.waker());
        Ok(())
    }

    /// Lets other processes ask.
    fn listen(&mut self) {
        if let Some(waker) = self.network.waker() {
            self.requests = Requests::listen(&self.dir, waker);
        }
    }
}

/// Checks jobs and their files, and records a run of them.
fn record(
    state: &StateDir,
    specs: Vec<Arc<JobSpec>>,
    hashed: Option<Inputs>,
    network: &Network,
    collecting: &Collecting,
    settings: &RunSettings,
) -> Result<Recorded, ManagerError> {
    check(&specs)?;
    let past = hashed.as_ref().map(|inputs| inputs.past().producers());
    let dependencies = Dependencies::resolve_with(&specs, past.unwrap_or_default())?;
    collecting.check_names(&specs)?;
    let tasks: Vec<TaskSpecs> =
        network.hosts().iter().map(|host| settings.host_tasks.specs(host)).collect();
    let task_specs = tasks.iter().flat_map(|tasks| [&tasks.setup, &tasks.teardown]).flatten();
    check_tasks(network, &tasks)?;
    check_environment(network, &specs)?;
    let inputs = hash(&specs, task_specs.map(|spec| &**spec).collect(), hashed)?;
    let run = Run::new(network.get_hosts(), specs, dependencies);
    let run = run.with_labels(network.hosts().iter().map(|host| host.labels()));
    let run = run.with_tasks(tasks);
    check_bounds(&run)?;
    let specs: Vec<Arc<JobSpec>> = run.jobs().iter().map(|job| Arc::clone(&job.spec)).collect();
    let dir = state.create_run(now())?;
    let json = settings.to_json()?;
    let store = Store::create(&dir, &json, &network.get_hosts(), &specs, &inputs)?;
    Ok(Recorded { dir, store, run, inputs })
}

/// The files of jobs and of hosts' tasks; those of jobs may be known.
fn hash(
    specs: &[Arc<JobSpec>],
    tasks: Vec<&JobSpec>,
    hashed: Option<Inputs>,
) -> Result<Inputs, ManagerError> {
    let error = |found| ManagerError::from(NetworkError::Inputs(found));
    let needed = specs.iter().map(|spec| &**spec);
    match hashed {
        None => Inputs::hash(needed.chain(tasks)).map_err(error),
        Some(hashed) => {
            let mut inputs = hashed.only_for(needed);
            inputs.extend(Inputs::hash(tasks).map_err(error)?);
            Ok(inputs)
        }
    }
}

/// Every job may run on some host.
fn check_bounds(run: &Run) -> Result<(), ManagerError> {
    let bounds = run.bounds();
    let mut jobs = bounds.of_no_host();
    let Some(first) = jobs.next() else { return Ok(()) };
    Err(NoSuchHost::new(run, first, jobs.count()).into())
}

/// What is run once on hosts may be launched.
fn check_tasks(network: &Network, tasks: &[TaskSpecs]) -> Result<(), ManagerError> {
    for (host, tasks) in network.hosts().iter().zip(tasks) {
        let named = [(HostTask::Setup, &tasks.setup), (HostTask::Teardown, &tasks.teardown)];
        for (task, spec) in
            named.into_iter().filter_map(|(task, spec)| Some((task, spec.as_ref()?)))
        {
            if let Some(source) = spec.check().into_iter().next() {
                return Err(ManagerError::HostTask { host: host.label().clone(), task, source });
            }
        }
    }
    Ok(())
}

/// Every job may be launched with the variables of every host, besides its own.
fn check_environment(network: &Network, specs: &[Arc<JobSpec>]) -> Result<(), ManagerError> {
    let bytes = |env: &BTreeMap<String, String>| env_bytes(env.iter());
    let largest = specs.iter().map(|spec| bytes(&spec.env)).max().unwrap_or(0);
    for host in network.hosts() {
        if bytes(host.env()) + largest <= MAX_ENV_BYTES {
            continue;
        }
        for (index, spec) in specs.iter().enumerate() {
            let more = host.env().iter().filter(|(name, _)| !spec.env.contains_key(*name));
            let found = bytes(&spec.env) + env_bytes(more);
            if found > MAX_ENV_BYTES {
                let host = host.label().clone();
                return Err(ManagerError::HostEnvironment { host, index, found });
            }
        }
    }
    Ok(())
}

fn check(specs: &[Arc<JobSpec>]) -> Result<(), ManagerError> {
    if specs.is_empty() {
        return Err(ManagerError::NoJobs);
    }
    if u32::try_from(specs.len()).is_err() {
        return Err(ManagerError::TooManyJobs(specs.len()));
    }
    for (index, spec) in specs.iter().enumerate() {
        if let Some(source) = spec.check().into_iter().next() {
            return Err(ManagerError::Spec { index, source });
        }
    }
    Ok(())
}
