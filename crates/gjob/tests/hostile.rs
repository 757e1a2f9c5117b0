//! Hosts that don't keep to the protocol, over real ssh: nothing is written
//! outside the outputs' directory, it is said in one clean line, memory stays
//! bounded, and another host's outputs arrive.

#![expect(clippy::unwrap_used, reason = "a test's helpers end it")]

#[path = "hostile/agent.rs"]
mod agent;
#[path = "hostile/books.rs"]
mod books;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use gjob::inputs::Inputs;
use gjob::network::{Removal, Report};
use gjob::outputs::{
    CollectError, CollectOrder, CollectScope, CollectedOutputs, OutputProgress, OutputsConfig,
};
use gjob::program::{Platform, Programs};
use gjob::{Cluster, HostLabel, HostOptions, Network, hosts};
use gjob_core::scheduler::HostIx;
use gjob_core::{Epoch, Key, RunId};
use gjob_testbed::Bed;
use tempfile::TempDir;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most that this program may ever have taken, all tests at once, KiB: a
/// flood fills 64 MiB.
const MEMORY: u64 = 160 * 1024;

const ROGUE: HostIx = HostIx(0);
const HONEST: HostIx = HostIx(1);

/// Not a test: what the script that stands for `gjob-agent` starts.
#[test]
#[ignore = "it is the agent that the tests start"]
fn agent_of_the_other_tests() {
    agent::serve();
}

/// Two hosts of which one has a role, and a directory for outputs.
struct Scene {
    network: Network,
    dir: TempDir,
    bed: Bed,
}

impl Scene {
    fn new(role: &str) -> Self {
        Scene::of(role, "h1,h2")
    }

    fn of(role: &str, list: &str) -> Self {
        let bed = Bed::start(2);
        // In memory, if can be: a hundred thousand files take a disk its time.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let program = dir.path().join("gjob-agent");
        let script = format!(
            "#!/bin/sh\n[ \"$2\" = --verify ] && exit 0\nexec '{}' --ignored --exact --nocapture \
             --test-threads=1 agent_of_the_other_tests\n",
            std::env::current_exe().unwrap().display()
        );
        write_program(&program, &script);
        for (host, role) in [(1, role), (2, "honest")] {
            std::fs::write(bed.host(host).home().join("role"), role).unwrap();
        }
        let options =
            HostOptions { ssh_config: Some(bed.ssh_config().to_owned()), ..HostOptions::default() };
        let cluster = Cluster::of_hosts(hosts::parse_list(list).unwrap());
        let network = Network::with_options(options, [cluster])
            .unwrap()
            .programs(Programs::new().with_own(&program).with_agent(Platform::own(), &program))
            .outputs(Some(OutputsConfig::new(dir.path().join("out"), Some(1 << 30))));
        assert_eq!(network.position(&"h1".parse::<HostLabel>().unwrap()), Some(ROGUE));
        Scene { network, dir, bed }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// What becomes of the rogue's order: how its outputs were refused, if they
    /// were, and why the host is down or out.
    fn play(&mut self) -> (Option<CollectError>, String) {
        let run = RunId::new("2026-11-22", 1).unwrap();
        self.network.open(&run, Epoch(1), &[], Inputs::default()).unwrap();
        self.network.collect(ROGUE, order(0));
        self.network.collect(HONEST, order(1));
        let (mut refused, mut fallen, mut honest) = (None, None, false);
        let deadline = Instant::now() + PATIENCE;
        while !honest || (fallen.is_none() && !is_jobs(refused.as_ref())) {
            assert!(Instant::now() < deadline, "{refused:?} {fallen:?} {honest}");
            match self.network.next(Duration::from_secs(1)) {
                Some((
                    ROGUE,
                    Report::Output(OutputProgress::Collected { key: Key { index: 0, .. }, result }),
                )) => {
                    refused = Some(result.unwrap_err());
                }
                Some((
                    HONEST,
                    Report::Output(OutputProgress::Collected { key: Key { index: 1, .. }, result }),
                )) => {
                    assert_eq!(result.unwrap().bytes, agent::BIG as u64);
                    honest = true;
                }
                Some((ROGUE, Report::Failed { reason } | Report::Down { reason })) => {
                    fallen = Some(reason);
                }
                _ => {}
            }
        }
        self.network.close();
        self.assert_only_the_honest_hosts_outputs();
        (refused, fallen.unwrap_or_default())
    }

    fn assert_only_the_honest_hosts_outputs(&self) {
        assert_eq!(names(self.dir.path()), ["gjob-agent", "out"]);
        assert_eq!(names(&self.out()), ["1"]);
        assert_eq!(names(&self.out().join("1")), ["d", "e"]);
        assert_eq!(std::fs::read(self.out().join("1/d/big")).unwrap(), agent::big());
        assert!(!Path::new("/tmp/gjob-test-escaped").exists());
        let high = memory_high_water();
        assert!(high < MEMORY, "{high} KiB");
    }

    /// The rogue is out, its order was refused for the same reason.
    fn rejected(role: &str) -> String {
        let (refused, fallen) = Scene::new(role).play();
        let CollectError { scope, reason } = refused.unwrap();
        assert_eq!((scope, &reason), (CollectScope::Host, &fallen), "{role}");
        assert!(!reason.contains(char::is_control), "{reason:?}");
        reason.strip_prefix("the host's agent ").unwrap().to_owned()
    }
}

/// Written by another process: see `write_program` of the links' tests.
fn write_program(path: &Path, text: &str) {
    let script = "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\"";
    let status = Command::new("/bin/sh").args(["-c", script]).arg(path).arg(text).status();
    assert!(status.unwrap().success());
}

fn order(index: u32) -> CollectOrder {
    CollectOrder {
        key: Key::new(index, 1),
        id: "node/2026-11-22-1".parse().unwrap(),
        dir_name: index.to_string(),
        patterns: vec!["**".to_owned()],
        all: false,
        merge: false,
        recorded: Vec::new(),
        may_be_in_place: false,
    }
}

fn is_jobs(refused: Option<&CollectError>) -> bool {
    refused.is_some_and(|error| error.scope == CollectScope::Job)
}

/// What is in a directory, but for the note of whose outputs they are.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let names: BTreeSet<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.into_iter().filter(|name| !name.starts_with(".gjob-run.")).collect()
}

/// The most memory that this process ever had, KiB.
fn memory_high_water() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_path_that_leads_elsewhere_puts_its_host_out() {
    let said = "sent an output \"../escaped\", which leads out of its directory";
    assert_eq!(Scene::rejected("parent"), said);
    let said = "sent an output \"/tmp/gjob-test-escaped\", which leads out of its directory";
    assert_eq!(Scene::rejected("absolute"), said);
}

#[test]
fn escape_sequences_reach_nobodys_terminal() {
    let said = "sent an output \"[2J ]0;owned\", which is not an acceptable path";
    assert_eq!(Scene::rejected("escapes"), said);
    let (refused, _) = Scene::new("rude").play();
    assert_eq!(refused.unwrap().reason, "[31mno such output file");
}

#[test]
fn content_that_is_not_what_was_said_puts_its_host_out() {
    let said = "sent more of the output \"a\" than the 1 bytes it had announced";
    assert_eq!(Scene::rejected("longer"), said);
    let said = "sent the output \"a\" with a hash that is not its content's";
    assert_eq!(Scene::rejected("forged"), said);
    let said = "sent the output \"a\" out of order, behind \"a\"";
    assert_eq!(Scene::rejected("twice"), said);
    let said = "counts 7 files among a job's outputs, having sent 0";
    assert_eq!(Scene::rejected("miscounted"), said);
}

#[test]
fn a_file_without_end_is_refused_when_it_is_announced_and_its_host_goes_on() {
    let (refused, fallen) = Scene::new("endless").play();
    let said = "its outputs come to more than the 1073741824 bytes that are accepted";
    let expected = CollectError { scope: CollectScope::Job, reason: said.to_owned() };
    assert_eq!((refused, fallen.as_str()), (Some(expected), ""));
}

#[test]
fn a_million_entries_are_refused() {
    assert_eq!(Scene::rejected("million"), "sent more than 100000 outputs of one job");
}

#[test]
fn what_grows_in_memory_breaks_its_link_and_nothing_else() {
    let (_, fallen) = Scene::new("swelling").play();
    assert_eq!(fallen, "its agent sent a message of more parts than any has reason to");
    let (_, fallen) = Scene::new("bomb").play();
    assert_eq!(fallen, "its agent sent a frame of 4294967295 bytes, more than the limit");
}

#[test]
fn a_flood_is_held_back_and_another_hosts_outputs_come_through() {
    let mut scene = Scene::new("flood");
    let mut news =
        scene.network.fetch_outputs(vec![(ROGUE, order(0)), (HONEST, order(1))]).unwrap();
    // Nobody takes anything out of the queues.
    std::thread::sleep(Duration::from_secs(3));
    let (host, news) =
        news.find(|(_, news)| matches!(news, OutputProgress::Collected { .. })).unwrap();
    assert!(matches!(news, OutputProgress::Collected { result: Ok(_), .. }), "{news:?}");
    assert_eq!(host, HONEST);
    scene.network.close();
    scene.assert_only_the_honest_hosts_outputs();
}

#[test]
fn outputs_cut_off_by_a_broken_link_go_on_where_they_were() {
    let mut scene = Scene::new("torn");
    let news = scene.network.fetch_outputs(vec![(ROGUE, order(0))]).unwrap();
    let results: Vec<_> = news.collect();
    match &results[..] {
        [
            (
                ROGUE,
                OutputProgress::Collected { result: Ok(CollectedOutputs { files, bytes }), .. },
            ),
        ] => {
            assert_eq!((files.len(), *bytes), (2, agent::BIG as u64));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read(scene.out().join("0/d/big")).unwrap(), agent::big());
    assert_eq!(scene.bed.host(1).logins(), 2);
}

#[test]
fn an_output_that_has_grown_while_its_link_was_broken_is_asked_for_anew() {
    let mut scene = Scene::new("grown");
    let results: Vec<_> = scene.network.fetch_outputs(vec![(ROGUE, order(0))]).unwrap().collect();
    let [(ROGUE, OutputProgress::Collected { result: Ok(collected), .. })] = &results[..] else {
        panic!("{results:?}")
    };
    assert_eq!((collected.files.len(), collected.bytes), (1, agent::BIG as u64));
    assert_eq!(std::fs::read(scene.out().join("0/d/big")).unwrap(), agent::big());
    assert_eq!(scene.bed.host(1).logins(), 2);
}

#[test]
fn outputs_that_have_come_up_while_their_link_was_broken_are_fetched_as_well() {
    let mut scene = Scene::new("added");
    let results: Vec<_> = scene.network.fetch_outputs(vec![(ROGUE, order(0))]).unwrap().collect();
    assert!(
        matches!(&results[..], [(ROGUE, OutputProgress::Collected { result: Ok(_), .. })]),
        "{results:?}"
    );
    assert_eq!(names(&scene.out().join("0")), ["a", "b", "c"]);
    assert_eq!(names(&scene.out()), ["0"]);
}

#[test]
fn an_order_taken_back_leaves_nothing_and_the_next_is_served() {
    let mut scene = Scene::new("stalling");
    let run = RunId::new("2026-11-22", 1).unwrap();
    scene.network.open(&run, Epoch(1), &[], Inputs::default()).unwrap();
    scene.network.collect(ROGUE, order(0));
    let deadline = Instant::now() + PATIENCE;
    while !scene.out().join(".gjob-part.2026-11-22-1.0.1.0/a").exists() {
        assert!(Instant::now() < deadline);
        scene.network.next(Duration::from_millis(50));
    }
    scene.network.forget_collect(ROGUE, Key::new(0, 1));
    scene.network.collect(ROGUE, order(2));
    loop {
        assert!(Instant::now() < deadline);
        if let Some((_, Report::Output(OutputProgress::Collected { key, result }))) =
            scene.network.next(Duration::from_secs(1))
        {
            assert_eq!(key.index, 2);
            assert_eq!(result.unwrap().bytes, agent::BIG as u64);
            break;
        }
    }
    assert_eq!(names(&scene.out()), ["2"]);
    // What is under way when the network is closed goes too.
    scene.network.collect(ROGUE, order(0));
    scene.network.close();
    assert_eq!(names(&scene.out()), ["2"]);
}

#[test]
fn of_a_large_file_it_is_said_how_far_it_has_come() {
    let mut scene = Scene::new("large");
    let news: Vec<_> = scene.network.fetch_outputs(vec![(ROGUE, order(0))]).unwrap().collect();
    match &news[0] {
        (ROGUE, OutputProgress::Collecting { path, bytes, size, .. }) => {
            assert_eq!((path.as_str(), *size), ("large", agent::LARGE as u64));
            assert!(bytes < size);
        }
        other => panic!("{other:?}"),
    }
    let Some((_, OutputProgress::Collected { result: Ok(collected), .. })) = news.last() else {
        panic!("{news:?}")
    };
    assert_eq!(collected.bytes, agent::LARGE as u64);
}

#[test]
fn several_hosts_remove_jobs_and_forget_runs_at_once() {
    let mut scene = Scene::new("rude");
    let run = RunId::new("2026-11-22", 1).unwrap();
    let jobs: Vec<_> = (1..=5000)
        .map(|index| (Key::new(index, 1), format!("node/2026-11-22-{index}").parse().unwrap()))
        .collect();
    let removed =
        scene.network.remove_jobs(&run, &[(ROGUE, jobs.clone()), (HONEST, jobs)].into()).unwrap();
    for host in [ROGUE, HONEST] {
        // Two requests, of each of which the first job is kept.
        let Removal { gone, kept } = removed[&host].as_ref().unwrap();
        let said: Vec<_> = kept.iter().map(|(_, reason)| &**reason).collect();
        assert_eq!((*gone, &said[..]), (4998, ["it [1m runs"; 2].as_slice()));
    }
    scene.bed.host(1).kill_connections();
    let forgotten = scene.network.forget_run_on(&run, &[ROGUE, HONEST]).unwrap();
    let refusal = forgotten[&ROGUE].as_ref().unwrap().as_ref().unwrap_err();
    assert_eq!(&**refusal, "its disk is read-only");
    assert_eq!(forgotten[&HONEST], Ok(Ok((2, 10))));
}

#[test]
fn links_planted_by_hand_stay_and_lead_nowhere() {
    let mut scene = Scene::new("honest");
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("precious"), "x").unwrap();
    std::fs::create_dir(scene.out()).unwrap();
    let part = format!(".gjob-part.look-{}.1.1.0", std::process::id());
    for name in ["0", "1", &part] {
        std::os::unix::fs::symlink(elsewhere.path(), scene.out().join(name)).unwrap();
    }
    let orders = vec![(ROGUE, order(0)), (HONEST, order(1))];
    assert_eq!(scene.network.fetch_outputs(orders).unwrap().count(), 2);
    assert_eq!(names(elsewhere.path()), ["precious"]);
    for job in ["0", "1"] {
        assert!(scene.out().join(job).symlink_metadata().unwrap().is_symlink());
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_this_sides_fault() {
    let mut scene = Scene::new("honest");
    std::fs::write(scene.out(), "a file").unwrap();
    let (_, news) = scene.network.fetch_outputs(vec![(HONEST, order(1))]).unwrap().next().unwrap();
    let OutputProgress::Collected { result: Err(error), .. } = news else { panic!("{news:?}") };
    assert_eq!(error.scope, CollectScope::Here);
    let reason = format!("cannot write to {}: ", scene.out().display());
    assert!(error.reason.starts_with(&reason), "{error}");
}

#[test]
fn a_full_disk_here_is_this_sides_fault_and_leaves_nothing_half() {
    let mut scene = Scene::new("honest");
    std::fs::create_dir(scene.out()).unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=400k", "gjob-test"])
        .arg(scene.out())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        return gjob_testbed::skip("only root can mount a small file system");
    }
    let (_, news) = scene.network.fetch_outputs(vec![(HONEST, order(1))]).unwrap().next().unwrap();
    scene.network.close();
    let left = names(&scene.out());
    assert!(Command::new("umount").arg(scene.out()).status().unwrap().success());
    let OutputProgress::Collected { result: Err(error), .. } = news else { panic!("{news:?}") };
    assert_eq!(error.scope, CollectScope::Here);
    let said = "cannot write output \"d/big\": No space left on device (os error 28)";
    assert_eq!(error.reason, said);
    assert!(left.is_empty(), "{left:?}");
}
