//! What neither ends nor answers: a frozen agent, a frozen session, a host that
//! stays away for longer than it may. Each takes as long as it takes gjob to
//! notice, so `make chaos` runs these.

use std::time::{Duration, Instant};

use gjob_testbed::{Bed, NetBed, Process};
use rustix::process::Signal;

use crate::field::Field;
use crate::judge::{Injuries, Judge};
use crate::ledger::{Ledger, now};
use crate::reign::Reign;
use crate::storm::left_behind;
use crate::support::{Place, eventually};

const JOBS: u32 = 60;

/// Of each host.
const SLOTS: u32 = 2;

/// A run on two hosts, some of whose jobs have ended.
struct Scene<'a> {
    field: &'a Field,
    place: &'a Place,
    ledger: Ledger,
    reign: Reign<'a>,
}

impl<'a> Scene<'a> {
    fn begin(field: &'a Field, place: &'a Place, more: &[&str]) -> Self {
        let ledger = Ledger::new(place.path("ledger"), 300);
        place.file("jobs.jsonl", &ledger.jobs(JOBS));
        let (config, hosts) = (field.ssh_config().to_str().unwrap(), field.host_list(SLOTS));
        let args = [
            "run", "-F", config, "-r", "results", "-H", &hosts, "--events", "events", "--into",
            "out",
        ];
        let reign = Reign::begin(place, &[&args[..], more, &["jobs.jsonl"]].concat());
        eventually("some jobs have ended", || ledger.ends() >= 10);
        Scene { field, place, ledger, reign }
    }

    /// How long it takes until the host is said to be unknown.
    fn until_unknown(&self, limit: Duration) -> Duration {
        let began = Instant::now();
        let said = || {
            let events =
                std::fs::read_to_string(self.place.path("here/events")).unwrap_or_default();
            events.lines().any(|line| line.contains("host-unreachable") && line.contains("\"h1\""))
        };
        while !said() {
            assert!(began.elapsed() < limit, "not noticed in {limit:?}:\n{}", self.reign.said());
            std::thread::sleep(Duration::from_millis(50));
        }
        began.elapsed()
    }

    fn end(mut self, injuries: &Injuries, cure: impl FnOnce()) {
        let deadline = Instant::now() + Duration::from_secs(150);
        while self.reign.ended().is_none() {
            assert!(Instant::now() < deadline, "no end:\n{}", self.reign.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        cure();
        let mut faults = left_behind(self.field);
        let (status, results) = (&self.place.status(), &self.field.results());
        let (ledger, outputs) = (&self.ledger, &self.place.path("here/out"));
        let judge = Judge { jobs: JOBS, ledger, status, injuries, results, outputs, slots: SLOTS };
        faults.extend(judge.faults());
        assert!(faults.is_empty(), "{}\n{}", faults.join("\n"), self.reign.said());
    }
}

fn freeze_all(processes: &[Process]) {
    assert!(!processes.is_empty());
    assert!(processes.iter().all(|process| process.signal(Signal::STOP)));
}

/// Those that have been given up meanwhile may have ended.
fn continue_all(processes: &[Process]) {
    for process in processes {
        process.signal(Signal::CONT);
    }
}

#[test]
#[ignore = "takes half a minute; make chaos runs it"]
fn frozen_agent_is_noticed_within_40_seconds() {
    let (field, place) = (Field::Loopback(Bed::start(2)), Place::new());
    let scene = Scene::begin(&field, &place, &[]);
    let frozen = field.role(0, "agent");
    freeze_all(&frozen);
    let noticed = scene.until_unknown(Duration::from_secs(40));
    eprintln!("chaos: a frozen agent was noticed after {:.1} s", noticed.as_secs_f64());
    continue_all(&frozen);
    scene.end(&Injuries::default(), || {});
}

#[test]
#[ignore = "takes half a minute; make chaos runs it"]
fn frozen_session_is_noticed_within_60_seconds() {
    let (field, place) = (Field::Loopback(Bed::start(2)), Place::new());
    let scene = Scene::begin(&field, &place, &[]);
    let frozen = field.connections(0);
    freeze_all(&frozen);
    let noticed = scene.until_unknown(Duration::from_secs(60));
    eprintln!("chaos: a frozen session was noticed after {:.1} s", noticed.as_secs_f64());
    continue_all(&frozen);
    scene.end(&Injuries::default(), || {});
}

#[test]
#[ignore = "takes a minute; make chaos runs it"]
fn dead_network_is_noticed_within_60_seconds() {
    let Some(bed) = NetBed::start(2) else { return };
    let (field, place) = (Field::Net(bed), Place::new());
    let scene = Scene::begin(&field, &place, &["--lost-after", "10m"]);
    let host = field.net_host(0).unwrap();
    host.cut_off();
    let noticed = scene.until_unknown(Duration::from_secs(60));
    eprintln!("chaos: a dead network was noticed after {:.1} s", noticed.as_secs_f64());
    host.heal();
    scene.end(&Injuries::default(), || {});
}

#[test]
#[ignore = "takes a minute; make chaos runs it"]
fn jobs_of_a_lost_host_run_on_another() {
    let Some(bed) = NetBed::start(2) else { return };
    let (field, place) = (Field::Net(bed), Place::new());
    let scene = Scene::begin(&field, &place, &["--lost-after", "3s"]);
    let host = field.net_host(0).unwrap();
    let before = now();
    host.cut_off();
    // To be away for so long is what excuses a second begin, as a crash is; also
    // of what begins there meanwhile.
    let crashes = vec![("h1".to_owned(), before, Duration::MAX)];
    scene.end(&Injuries { crashes, ..Injuries::default() }, || host.heal());
}
