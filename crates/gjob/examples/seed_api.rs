//! Uses every class, method, function and constant of the seed, the Python
//! module `glimpse.util.cluster`, and prints `ok NAME` for each once what it
//! did has been checked.
//!
//! `cargo run --example seed_api [HOST [SSH_CONFIG]]`; without a host it is
//! this machine, and no ssh is needed. Where the worker program is not found
//! beside the example: `cargo build` first.

#![expect(clippy::print_stdout, reason = "that is what the example is for")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gjob::manager::NoHandler;
use gjob::{
    Builder, Cluster, Handler, HostLabel, HostOptions, Job, JobSpec, LoggingManager, Manager,
    Network, Queue, RemoteOptions, STATES, State, check_local_command, check_remote_commands,
    copy_local_files_to_remote_host, hosts, write_remote_file,
};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Where jobs run, and what the example may write to.
struct Place {
    host: String,
    options: RemoteOptions,
    scratch: tempfile::TempDir,
    /// A directory on the host.
    results: String,
}

fn main() -> Result {
    let mut args = std::env::args().skip(1);
    let host = args.next().unwrap_or_else(|| ":".to_owned());
    let ssh_config = args.next().map(PathBuf::from);
    let place = Place {
        host,
        options: RemoteOptions { verbose: false, ssh_config },
        scratch: tempfile::tempdir()?,
        results: format!("/tmp/gjob-seed-api-{}-{}", std::process::id(), fastrand::u64(..)),
    };
    check_remote_commands(
        &place.host,
        &[format!("mkdir -m 700 {}", place.results)],
        &place.options,
    )?;
    let outcome = run(&place);
    let removed = [format!("rm -r {}", place.results)];
    check_remote_commands(&place.host, &removed, &place.options)?;
    outcome
}

fn run(place: &Place) -> Result {
    states()?;
    queue()?;
    builder()?;
    functions(place)?;
    network(place)?;
    manager_in_one_go(place)?;
    manager_step_by_step(place)?;
    logging_manager(place)
}

/// Says that a thing of the seed did what it should, or stops.
fn ok(name: &str, did: bool) -> Result {
    if !did {
        return Err(format!("{name} did not do what it should").into());
    }
    println!("ok {name}");
    Ok(())
}

fn states() -> Result {
    let words: Vec<String> = STATES.iter().map(State::to_string).collect();
    ok("STATES", words == ["free", "busy", "done", "unknown", "error"])?;
    ok("STATE_FREE", State::Free.as_str() == "free")?;
    ok("STATE_BUSY", State::Busy.as_str() == "busy")?;
    ok("STATE_DONE", State::Done.as_str() == "done")?;
    ok("STATE_UNKNOWN", State::Unknown.as_str() == "unknown")?;
    ok("STATE_ERROR", State::Error.as_str() == "error")
}

fn queue() -> Result {
    let mut queue = Queue::new(STATES, ["a", "b", "c"])?;
    ok("Queue", queue.len() == 3)?;
    ok("Queue.AllInState", queue.all_in_state(&State::Free))?;
    queue.set_state(&"a", &State::Busy)?;
    ok("Queue.SetState", queue.state_of(&"a") == Some(&State::Busy))?;
    let any = queue.any_in_state(&State::Busy) && !queue.any_in_state(&State::Done);
    ok("Queue.AnyInState", any)?;
    ok("Queue.ChooseNext", queue.choose_next(&State::Free) == Some(&"b"))?;
    let mut rng = fastrand::Rng::with_seed(1);
    let chosen = queue.choose_random(&State::Free, &mut rng);
    ok("Queue.ChooseRandom", chosen.is_some_and(|object| ["b", "c"].contains(object)))?;
    let free: Vec<&&str> = queue.in_state(&State::Free).collect();
    ok("Queue.InState", free == [&"b", &"c"])
}

fn builder() -> Result {
    let mut builder = Builder::new();
    ok("Builder", builder.make_job_specs().is_empty())?;
    let spec = JobSpec::new(["echo hello"])?.files(["data"]).name("greeting");
    ok("JobSpec", spec.check().is_empty())?;
    ok("JobSpec.cmds", spec.cmds == ["echo hello"])?;
    ok("JobSpec.files", spec.files == ["data"])?;
    ok("JobSpec.name", spec.name.as_deref() == Some("greeting"))?;
    builder.add_job(spec.clone(), None)?;
    ok("Builder.AddJob", builder.make_job_specs().len() == 1)?;
    builder.set_repeat(3);
    builder.add_job(spec.clone(), None)?;
    ok("Builder.SetRepeat", builder.make_job_specs().len() == 4)?;
    let specs = builder.make_job_specs();
    ok("Builder.MakeJobSpecs", specs.iter().all(|made| made.cmds == spec.cmds))
}

fn functions(place: &Place) -> Result {
    let Place { host, options, scratch, results } = place;
    let said = check_local_command(&["sh", "-c", "echo local"], false)?;
    let failed = check_local_command(&["sh", "-c", "exit 3"], false).is_err();
    ok("CheckLocalCommand", said == b"local\n" && failed)?;

    let said = check_remote_commands(host, &["word=remote", "echo $word"], options)?;
    let failed = check_remote_commands(host, &["exit 3"], options).is_err();
    ok("CheckRemoteCommands", said == b"remote\n" && failed)?;

    let path = format!("{results}/it's written");
    write_remote_file(host, &path, b"contents\n", options)?;
    let read =
        check_remote_commands(host, &[format!("cat '{results}/it'\\''s written'")], options)?;
    ok("WriteRemoteFile", read == b"contents\n")?;

    let local = scratch.path().join("copied");
    std::fs::write(&local, "from here\n")?;
    copy_local_files_to_remote_host(host, results, &[local], options)?;
    let read = check_remote_commands(host, &[format!("cat {results}/copied")], options)?;
    ok("CopyLocalFilesToRemoteHost", read == b"from here\n")
}

fn new_network(place: &Place) -> Result<Network> {
    let workers = hosts::parse_list(&place.host)?;
    let ssh_config = place.options.ssh_config.clone();
    let options = HostOptions { ssh_config, slots: Some(2), ..HostOptions::default() };
    let cluster = Cluster::of_hosts(workers).with_options(options);
    Ok(Network::new(place.results.clone(), [cluster])?)
}

fn network(place: &Place) -> Result {
    let mut network = new_network(place)?;
    let hosts = network.get_hosts();
    ok("Network", !hosts.is_empty())?;
    let host: HostLabel = place.host.parse()?;
    ok("Network.GetHosts", hosts == [host.clone()])?;

    let mut job = Job::new(JobSpec::new(["echo out", "echo err >&2"])?.name("direct"));
    ok("Job", job.state() == State::Free)?;
    ok("Job.spec", job.spec.name.as_deref() == Some("direct"))?;
    let id = network.launch_job(&mut job, &host)?;
    ok("Network.LaunchJob", id.as_str().contains('/'))?;
    ok("Job.id_", job.id() == Some(&id))?;
    ok("Job.host", job.host() == Some(&host))?;
    let ended = ends(&mut network, &job)?;
    ok("Network.GetJobStatus", ended == State::Done)?;
    ok("Network.GetStdout", network.get_stdout(&job)? == b"out\n")?;
    ok("Network.GetStderr", network.get_stderr(&job)? == b"err\n")
}

/// The state a job ends in; `busy` if it doesn't within a minute.
fn ends(network: &mut Network, job: &Job) -> Result<State> {
    let mut output = Vec::new();
    network.follow_output(job, gjob_core::wire::Stream::Stdout, &mut output)?;
    let states = network.get_job_status(std::slice::from_ref(job))?;
    Ok(states.first().copied().unwrap_or(State::Unknown))
}

fn manager_in_one_go(place: &Place) -> Result {
    let manager: Manager<NoHandler> = Manager::new(Duration::from_secs(1));
    ok("Manager", manager.jobs().is_empty())?;
    let heard = Heard::default();
    let mut manager = Manager::with_handler(Duration::from_millis(20), heard.clone());
    let spec = JobSpec::new(["sleep 0.5"])?;
    manager.setup([spec.clone(), spec], new_network(place)?)?;
    ok("Manager.Setup", manager.jobs().len() == 2)?;
    manager.process_jobs()?;
    ok("Manager.ProcessJobs", manager.all_done())?;
    ok("Manager.HandleJobLaunch", heard.count("launch") == 2)?;
    ok("Manager.HandleJobDone", heard.count("done") == 2)?;
    ok("Manager.HandleSleep", heard.count("sleep") > 0)
}

fn manager_step_by_step(place: &Place) -> Result {
    let mut manager = Manager::new(Duration::from_millis(20));
    manager.setup([JobSpec::new(["true"])?], new_network(place)?)?;
    let launched = manager.launch_job()?;
    ok("Manager.LaunchJob", launched.is_some_and(|job| job.id().is_some()))?;
    while !manager.update_job_status()? {
        std::thread::sleep(Duration::from_millis(10));
    }
    ok("Manager.UpdateJobStatus", manager.all_done())
}

fn logging_manager(place: &Place) -> Result {
    let mut manager = LoggingManager::new(Duration::from_millis(20), Vec::new());
    ok("LoggingManager", !manager.last_was_sleep())?;
    manager.setup([JobSpec::new(["sleep 0.5"])?.name("logged")], new_network(place)?)?;
    manager.process_jobs()?;
    let id = manager.jobs()[0].id().cloned().ok_or("the job has no id")?;
    let log = String::from_utf8(manager.log().clone())?;
    ok("LoggingManager.log", !log.is_empty())?;
    let line = format!("LAUNCH {id} w/name logged as job #0\n");
    ok("LoggingManager.HandleJobLaunch", log.contains(&line))?;
    ok("LoggingManager.HandleJobDone", log.contains(&format!("DONE {id} w/name logged\n")))?;
    ok("LoggingManager.HandleSleep", log.contains("WAIT .."))?;
    manager.handler_mut().handle_sleep();
    ok("LoggingManager.last_was_sleep", manager.last_was_sleep())
}

/// Hears what a manager does.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<&'static str>>>);

impl Heard {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(what);
    }

    fn count(&self, what: &str) -> usize {
        let heard = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        heard.iter().filter(|word| **word == what).count()
    }
}

impl Handler for Heard {
    fn handle_job_launch(&mut self, _job: &Job) {
        self.note("launch");
    }

    fn handle_job_done(&mut self, _job: &Job) {
        self.note("done");
    }

    fn handle_sleep(&mut self) {
        self.note("sleep");
    }
}
