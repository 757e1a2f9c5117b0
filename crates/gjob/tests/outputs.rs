//! Outputs brought here by the real agent over real ssh. The agent's program
//! has to be built before: `cargo build -p gjob-agent`.

#![expect(clippy::unwrap_used, reason = "a test's helpers end it")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gjob::inputs::Inputs;
use gjob::network::{Removal, Report};
use gjob::outputs::{
    CollectError, CollectOrder, CollectScope, CollectedOutputs, OutputProgress, OutputsConfig,
    job_dir_name,
};
use gjob::{Cluster, HostOptions, JobId, JobSpec, Network, hosts};
use gjob_core::scheduler::HostIx;
use gjob_core::{Epoch, Key, Record, RunId};
use gjob_testbed::Bed;
use tempfile::TempDir;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Hosts, a directory for outputs, and a run.
struct Scene {
    bed: Bed,
    dir: TempDir,
    network: Network,
}

impl Scene {
    fn new(hosts: usize) -> Self {
        let bed = Bed::start(hosts);
        let dir = tempfile::tempdir().unwrap();
        let network = network(&bed, dir.path());
        Scene { bed, dir, network }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// Runs a job on each host, each of them to its end, in a run that is open
    /// then; gives back what their hosts call them.
    fn run(&mut self, script: &str) -> Vec<JobId> {
        self.network.open(&run(), Epoch(1), &[], Inputs::default()).unwrap();
        let count = self.bed.hosts().len() as u32;
        let spec = JobSpec::new([script]).unwrap();
        let mut ids = vec![None; count as usize];
        let deadline = Instant::now() + PATIENCE;
        while ids.iter().any(Option::is_none) {
            assert!(Instant::now() < deadline, "{ids:?}");
            match self.network.next(Duration::from_secs(1)) {
                Some((host, Report::Up(_))) => {
                    self.network.launch(host, Key::new(host.0, 1), &spec, 0);
                }
                Some((host, Report::Records { records, .. })) => {
                    for record in records {
                        if let Record::Finished(finish) = record {
                            ids[host.at()] = Some(finish.id);
                        }
                    }
                }
                _ => {}
            }
        }
        ids.into_iter().flatten().collect()
    }

    /// What becomes of an order of the open run; `meanwhile` hears the rest.
    fn collect(
        &mut self,
        host: HostIx,
        order: CollectOrder,
        mut meanwhile: impl FnMut(&Bed, &Report),
    ) -> Result<CollectedOutputs, CollectError> {
        self.network.collect(host, order);
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline);
            match self.network.next(Duration::from_secs(1)) {
                Some((from, Report::Output(OutputProgress::Collected { result, .. })))
                    if from == host =>
                {
                    return result;
                }
                Some((_, report)) => meanwhile(&self.bed, &report),
                None => {}
            }
        }
    }
}

fn network(bed: &Bed, dir: &Path) -> Network {
    let options =
        HostOptions { ssh_config: Some(bed.ssh_config().to_owned()), ..HostOptions::default() };
    let cluster = Cluster::of_hosts(hosts::parse_list(&bed.host_list()).unwrap());
    Network::with_options(options, [cluster])
        .unwrap()
        .outputs(Some(OutputsConfig::new(dir.join("out"), None)))
}

fn run() -> RunId {
    RunId::new("2026-11-22", 1).unwrap()
}

fn order(id: &JobId, index: u32, patterns: &[&str], all: bool) -> CollectOrder {
    CollectOrder {
        key: Key::new(index, 1),
        id: id.clone(),
        dir_name: job_dir_name(Some("job"), index),
        patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        all,
        merge: false,
        recorded: Vec::new(),
        may_be_in_place: false,
    }
}

const MAKE: &str = "mkdir -p r/s r-t; echo 1,2 >r/a.csv; echo x >r/s/no; touch -d @86400 r/s/b.csv; \
                    echo '#!/bin/sh' >tool; chmod 751 tool; echo 3 >r-t/c.csv; ln -s r/a.csv l.csv";

#[test]
fn what_a_job_wrote_is_here_as_it_was_there() {
    let mut scene = Scene::new(1);
    let ids = scene.run(MAKE);
    let wanted = order(&ids[0], 0, &["**/*.csv", "tool"], true);
    let collected = scene.collect(HostIx(0), wanted, |_, _| {}).unwrap();
    let paths: Vec<_> = collected.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["l.csv", "r/a.csv", "r/s/b.csv", "r-t/c.csv", "tool"]);
    let at = scene.out().join("job-0");
    for file in &collected.files {
        let content = std::fs::read(at.join(&file.path)).unwrap();
        assert_eq!(blake3::hash(&content).as_bytes(), &file.hash.0);
        assert_eq!(content.len() as u64, file.size);
        let mode = at.join(&file.path).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, file.mode);
    }
    assert_eq!(std::fs::read(at.join("l.csv")).unwrap(), b"1,2\n");
    assert_eq!(at.join("tool").metadata().unwrap().permissions().mode() & 0o777, 0o751);
    let epoch = std::time::UNIX_EPOCH + Duration::from_secs(86400);
    assert_eq!(at.join("r/s/b.csv").metadata().unwrap().modified().unwrap(), epoch);
    assert!(!at.join("r/s/no").exists());

    // Again, of what is there now: it takes the other's place.
    let other = order(&ids[0], 0, &["r-t"], true);
    assert_eq!(scene.collect(HostIx(0), other, |_, _| {}).unwrap().bytes, 2);
    assert!(!at.join("tool").exists() && at.join("r-t/c.csv").exists());
    scene.network.close();
    assert_eq!(std::fs::read_dir(scene.out()).unwrap().count(), 2, "it, and whose it is");
}

#[test]
fn what_a_job_did_not_write_is_its_own_fault() {
    let mut scene = Scene::new(1);
    let ids = scene.run("true");
    let missing = order(&ids[0], 0, &["*.csv"], true);
    let error = scene.collect(HostIx(0), missing, |_, _| {}).unwrap_err();
    assert_eq!(error.scope, CollectScope::Job);
    assert_eq!(error.reason, "output \"*.csv\" is missing");
    let optional = order(&ids[0], 0, &["*.csv"], false);
    assert!(scene.collect(HostIx(0), optional, |_, _| {}).unwrap().files.is_empty());
}

#[test]
fn a_large_output_survives_the_loss_of_its_link() {
    let mut scene = Scene::new(1);
    // Nothing that compression makes small.
    let ids =
        scene.run("head -c 150000000 /dev/urandom >big; sha256sum <big >sum; mkdir z; : >z/f");
    let mut cuts = 0;
    let wanted = order(&ids[0], 0, &["big", "sum", "z"], true);
    let collected = scene.collect(HostIx(0), wanted, |bed, report| {
        if matches!(report, Report::Output(OutputProgress::Collecting { .. })) && cuts < 2 {
            cuts += 1;
            bed.host(1).kill_connections();
        }
    });
    let collected = collected.unwrap();
    assert_eq!((collected.files.len(), collected.files[0].size), (3, 150_000_000));
    assert!(cuts > 0);
    let content = std::fs::read(scene.out().join("job-0/big")).unwrap();
    assert_eq!(blake3::hash(&content).as_bytes(), &collected.files[0].hash.0);
}

#[test]
fn outputs_of_several_hosts_are_fetched_and_cleaned_up_without_a_manager() {
    let mut scene = Scene::new(2);
    let ids = scene.run(MAKE);
    scene.network.close();
    let mut looking = network(&scene.bed, scene.dir.path());
    let orders = ids.iter().zip(0..).map(|(id, at)| (HostIx(at), order(id, at, &["**"], false)));
    let news: Vec<_> = looking.fetch_outputs(orders.collect()).unwrap().collect();
    assert_eq!(news.len(), 2);
    for (_, news) in news {
        let OutputProgress::Collected { result: Ok(collected), .. } = news else {
            panic!("{news:?}")
        };
        assert_eq!(collected.files.len(), 6);
    }
    for name in ["job-0", "job-1"] {
        assert!(scene.out().join(name).join("r/s/no").exists());
    }

    let jobs =
        ids.iter().zip(0..).map(|(id, at)| (HostIx(at), vec![(Key::new(at, 1), id.clone())]));
    for (_, removal) in looking.remove_jobs(&run(), &jobs.collect()).unwrap() {
        assert_eq!(removal, Ok(Removal { gone: 1, kept: Vec::new() }));
    }
    for (_, forgotten) in looking.forget_run_on(&run(), &[HostIx(0), HostIx(1)]).unwrap() {
        assert_eq!(forgotten, Ok(Ok((0, 0))));
    }
    for host in scene.bed.hosts() {
        assert!(!host.home().join("gjob-results/.gjob/runs/2026-11-22-1").exists());
    }
}
