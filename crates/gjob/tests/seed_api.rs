//! The example that uses all of the seed's API says `ok` for every name of it,
//! on this machine and over a real sshd.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use gjob::Manager;
use gjob::store::StateDir;
use gjob_core::event::RunEnd;
use gjob_testbed::Bed;

/// Every class, method, function and constant of `glimpse.util.cluster`.
const SEED: [&str; 49] = [
    "Builder",
    "Builder.AddJob",
    "Builder.MakeJobSpecs",
    "Builder.SetRepeat",
    "CheckLocalCommand",
    "CheckRemoteCommands",
    "CopyLocalFilesToRemoteHost",
    "Job",
    "Job.host",
    "Job.id_",
    "Job.spec",
    "JobSpec",
    "JobSpec.cmds",
    "JobSpec.files",
    "JobSpec.name",
    "LoggingManager",
    "LoggingManager.HandleJobDone",
    "LoggingManager.HandleJobLaunch",
    "LoggingManager.HandleSleep",
    "LoggingManager.last_was_sleep",
    "LoggingManager.log",
    "Manager",
    "Manager.HandleJobDone",
    "Manager.HandleJobLaunch",
    "Manager.HandleSleep",
    "Manager.LaunchJob",
    "Manager.ProcessJobs",
    "Manager.Setup",
    "Manager.UpdateJobStatus",
    "Network",
    "Network.GetHosts",
    "Network.GetJobStatus",
    "Network.GetStderr",
    "Network.GetStdout",
    "Network.LaunchJob",
    "Queue",
    "Queue.AllInState",
    "Queue.AnyInState",
    "Queue.ChooseNext",
    "Queue.ChooseRandom",
    "Queue.InState",
    "Queue.SetState",
    "STATES",
    "STATE_BUSY",
    "STATE_DONE",
    "STATE_ERROR",
    "STATE_FREE",
    "STATE_UNKNOWN",
    "WriteRemoteFile",
];

/// Cargo builds examples beside the tests' directory.
fn example() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().unwrap().parent().unwrap().join("examples/seed_api")
}

fn says_ok_for_everything(args: &[&str]) {
    let state = tempfile::tempdir().unwrap();
    let output =
        Command::new(example()).args(args).env("GJOB_STATE_DIR", state.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{failed}");
    let mut names: Vec<&str> = said.lines().map(|line| line.strip_prefix("ok ").unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, SEED, "{failed}");
    attach_to_its_last_run(&StateDir::new(state.path()));
}

/// A run that the library has set up keeps how its hosts are reached, as one of
/// the program does.
fn attach_to_its_last_run(state: &StateDir) {
    let mut manager = Manager::new(Duration::from_secs(1));
    manager.attach(&state.find(None).unwrap()).unwrap();
    assert_eq!(manager.process_jobs().unwrap(), RunEnd::Complete);
    assert!(manager.all_done());
}

#[test]
fn all_of_the_seeds_api_works_on_this_machine() {
    says_ok_for_everything(&[]);
}

#[test]
fn all_of_the_seeds_api_works_over_ssh() {
    let bed = Bed::start(1);
    says_ok_for_everything(&["h1", bed.ssh_config().to_str().unwrap()]);
}
