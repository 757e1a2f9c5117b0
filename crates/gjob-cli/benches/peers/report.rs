//! What was measured, as it is written as JSON.

use serde::Serialize;

use super::field::Field;
use super::machine::Machine;
use super::measurement::Cost;
use super::options::Options;
use super::peer::Peer;
use super::statistics::Summary;
use super::work::Work;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// Factor by which the numbers of jobs were multiplied.
    pub(crate) scale: f64,
    pub(crate) programs: Vec<Program>,
    pub(crate) works: Vec<WorkReport>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) version: String,
    /// How it does the works.
    pub(crate) about: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct WorkReport {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    pub(crate) more_is_better: bool,
    /// The jobs that the work consists of.
    pub(crate) jobs: usize,
    /// CPU time per job is of interest.
    #[serde(skip)]
    pub(crate) shows_cpu: bool,
    pub(crate) results: Vec<Entry>,
}

/// One program's measurements with one work.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    pub(crate) program: String,
    /// The jobs it was given.
    pub(crate) jobs: usize,
    pub(crate) values: Vec<f64>,
    pub(crate) summary: Option<Summary>,
    /// How many times as fast gjob is, by the medians.
    pub(crate) gjob_speed: Option<f64>,
    /// CPU time per job of its own processes here, in microseconds, by rounds.
    pub(crate) own_cpu_us: Vec<f64>,
    /// The same with the children that they waited for, such as their sshs.
    pub(crate) all_cpu_us: Vec<f64>,
    pub(crate) fsyncs_per_job: Option<f64>,
}

impl Report {
    pub(crate) fn new(field: &Field, peers: &[Box<dyn Peer>], options: &Options) -> Self {
        let programs = peers.iter().map(|peer| Program::of(&**peer)).collect();
        let machine = Machine::find(field.scratch());
        Self { machine, scale: options.scale, programs, works: Vec::new() }
    }
}

impl Program {
    fn of(peer: &dyn Peer) -> Self {
        let (name, about) = (peer.name().to_owned(), peer.about().to_owned());
        Self { name, version: peer.version(), about }
    }
}

impl WorkReport {
    pub(crate) fn new(work: &Work, mut results: Vec<Entry>) -> Self {
        let more_is_better = work.unit.more_is_better();
        results.iter_mut().for_each(|entry| entry.summary = Summary::of(&entry.values));
        let median = |entry: &Entry| entry.summary.map(|summary| summary.median);
        let gjob = results.iter().find(|entry| entry.program == "gjob").and_then(median);
        for entry in &mut results {
            let ratio = gjob.zip(median(entry)).map(|(gjob, other)| gjob / other);
            entry.gjob_speed = ratio.map(|ratio| if more_is_better { ratio } else { 1.0 / ratio });
        }
        Self {
            name: work.name.clone(),
            title: work.title.clone(),
            unit: work.unit.name(),
            more_is_better,
            jobs: work.load.jobs(),
            shows_cpu: work.counts_fsyncs,
            results,
        }
    }
}

impl Entry {
    pub(crate) fn new(program: &str) -> Self {
        Self {
            program: program.to_owned(),
            jobs: 0,
            values: Vec::new(),
            summary: None,
            gjob_speed: None,
            own_cpu_us: Vec::new(),
            all_cpu_us: Vec::new(),
            fsyncs_per_job: None,
        }
    }

    pub(crate) fn add(&mut self, cost: &Cost, value: f64) {
        let per_job = |seconds: f64| seconds * 1e6 / cost.given as f64;
        self.jobs = cost.given;
        self.values.push(value);
        self.own_cpu_us.push(per_job(cost.own_cpu));
        self.all_cpu_us.push(per_job(cost.all_cpu));
    }
}
