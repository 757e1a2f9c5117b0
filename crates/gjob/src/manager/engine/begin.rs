//! How a run comes into a manager's hands: made anew, taken up where another has
//! left it, or taken up only to act on some of its jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use gjob_core::dependency::Dependencies;
use gjob_core::scheduler::{HostIx, JobInit, Scheduler};
use gjob_core::{EventKind, JobSpec};

use super::Engine;
use super::collecting::Collecting;
use crate::inputs::Inputs;
use crate::manager::control::{Act, Control};
use crate::manager::controller::Controller;
use crate::manager::job_table::JobTable;
use crate::manager::outputs::Outputs;
use crate::manager::{ManagerError, event_at};
use crate::network::{Network, NetworkError};
use crate::settings::RunSettings;
use crate::store::{RunDir, StateDir, Store, now};

impl Engine {
    pub(in crate::manager) fn create(
        state: &StateDir,
        specs: Vec<Arc<JobSpec>>,
        hashed: Option<Inputs>,
        network: Network,
        settings: &RunSettings,
    ) -> Result<Self, ManagerError> {
        check(&specs)?;
        let dependencies = Dependencies::resolve(&specs)?;
        let collecting = Collecting::new(settings.outputs.clone());
        collecting.check_names(&specs)?;
        let needed = specs.iter().map(|spec| &**spec);
        let inputs = match hashed {
            Some(hashed) => hashed.only_for(needed),
            None => Inputs::hash(needed).map_err(NetworkError::Inputs)?,
        };
        let dir = state.create_run(now())?;
        let json = settings.to_json()?;
        let store = Store::create(&dir, &json, &network.get_hosts(), &specs, &inputs)?;
        let jobs = JobTable::new(specs);
        let inits = jobs.all().iter().map(|job| collecting.mark(JobInit::of(&job.spec)));
        let mut scheduler = Scheduler::new(settings.scheduler(), network.get_hosts(), inits);
        scheduler.set_dependencies(dependencies);
        let mut engine = Engine::begin(dir, store, scheduler, network, jobs, collecting, false)?;
        engine.open(inputs)?;
        engine.listen();
        Ok(engine)
    }

    pub(in crate::manager) fn attach(dir: &RunDir) -> Result<Self, ManagerError> {
        let mut engine = Engine::restore(dir)?;
        engine.open(engine.store.inputs()?)?;
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
        let mut engine = Engine::restore(dir)?;
        engine.acts_alone = true;
        engine.scheduler.act_only();
        let concerned = jobs.iter().flat_map(|index| engine.hosts_concerned(act, *index));
        let hosts: BTreeSet<HostIx> = concerned.collect();
        if !hosts.is_empty() {
            let epoch = engine.store.epoch()?;
            engine.network.open_only(&engine.run, epoch, &engine.offsets()?, &hosts)?;
        }
        Ok(engine)
    }

    fn restore(dir: &RunDir) -> Result<Self, ManagerError> {
        let store = Store::take_up(dir)?;
        let settings = RunSettings::from_json(&store.run()?.settings)?;
        let network = Network::from_settings(&settings)?;
        let labels = network.get_hosts();
        let collecting = Collecting::new(settings.outputs.clone());
        let rows = store.jobs()?;
        let specs = store.specs()?;
        let inits: Vec<JobInit> =
            rows.iter().zip(&specs).map(|(row, spec)| collecting.mark(row.to_init(spec))).collect();
        let dependencies = Dependencies::resolve(&specs)?;
        let jobs = JobTable::restore(rows, specs, &labels);
        let mut scheduler = Scheduler::new(settings.scheduler(), labels, inits);
        scheduler.set_dependencies(dependencies);
        for (host, key) in store.strays()? {
            scheduler.add_abandoned(host, key);
        }
        Engine::begin(dir.clone(), store, scheduler, network, jobs, collecting, true)
    }

    /// Nothing is given out before somebody says so.
    fn begin(
        dir: RunDir,
        store: Store,
        mut scheduler: Scheduler,
        network: Network,
        jobs: JobTable,
        collecting: Collecting,
        attached: bool,
    ) -> Result<Self, ManagerError> {
        scheduler.hold();
        let run = store.run()?.on_hosts;
        let network = collecting.prepare(network, &run);
        let labels = network.get_hosts();
        let began = EventKind::RunBegan {
            run: dir.run().clone(),
            jobs: jobs.all().len() as u32,
            hosts: labels.len() as u32,
            attached,
        };
        Ok(Engine {
            dir,
            run,
            control: Control::default(),
            waiters: Vec::new(),
            echoes: BTreeMap::new(),
            store,
            scheduler,
            network,
            labels,
            jobs,
            began: Instant::now(),
            outputs: Outputs::default(),
            collecting,
            stopped: None,
            jobs_ended: 0,
            controller: Controller::new(None),
            acts_alone: false,
            attached,
            events: vec![event_at(began)],
            offsets: Vec::new(),
            orders: Vec::new(),
        })
    }

    /// Opens the links.
    fn open(&mut self, inputs: Inputs) -> Result<(), ManagerError> {
        self.network.open(&self.run, self.store.epoch()?, &self.offsets()?, inputs)?;
        self.controller = Controller::new(self.network.waker());
        Ok(())
    }

    /// How far the hosts' run logs are applied, in their order.
    fn offsets(&self) -> Result<Vec<u64>, ManagerError> {
        Ok(self.store.hosts()?.into_iter().map(|host| host.offset).collect())
    }

    /// Lets other processes ask.
    fn listen(&mut self) {
        if let Some(waker) = self.network.waker() {
            self.control = Control::listen(&self.dir, waker);
        }
    }
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
