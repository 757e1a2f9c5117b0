//! What is drawn of a state, and how long that takes.

use gjob::store::Gaps;
use std::sync::Arc;
use std::time::Duration;

use gjob_core::dependency::Dependencies;
use gjob_core::event::{
    AttemptChange, AttemptEvent, HostChange, HostEvent, HostFacts, JobChange, JobEvent,
};
use gjob_core::resources::Offer;
use gjob_core::{
    Ending, Event, Finish, HostLabel, JobId, JobSpec, Key, Run, State as JobState, Timestamp, What,
};
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;
use rustix::time::{ClockId, clock_gettime};

use super::draw::{Theme, draw};
use super::feed::{Loaded, News};
use super::keys;
use super::state::State;

/// When the run was made; tests count from here, milliseconds.
const CREATED: u64 = 1_700_000_000_000;

/// A run as its events make it.
struct Story {
    state: State,
    seq: u64,
}

fn label(host: u32) -> HostLabel {
    format!("n{host:04}").parse().unwrap()
}

fn id(job: u32) -> JobId {
    format!("n/2026-11-22-{}", job + 1).parse().unwrap()
}

impl Story {
    fn new(hosts: u32, jobs: u32) -> Story {
        let spec = Arc::new(JobSpec::new(["./fit --rate 0.1"]).unwrap().name("fit"));
        let specs = (0..jobs).map(|_| Arc::clone(&spec));
        let run = Run::new((1..=hosts).map(label), specs, Dependencies::default());
        let loaded = Loaded { run, earlier: Vec::new(), managed: true };
        let state = State::new(
            "2026-11-22-1".parse().unwrap(),
            Timestamp(CREATED),
            Gaps::default(),
            loaded,
        );
        let mut story = Story { state, seq: 0 };
        for host in 1..=hosts {
            let facts = HostFacts { offer: Offer::cpus(4), ..HostFacts::default() };
            story.host(0, host, HostChange::Up(facts));
        }
        story
    }

    fn tell(&mut self, at: u64, what: What) {
        self.seq += 1;
        let event = Event { seq: self.seq, at: Timestamp(CREATED + at), what };
        self.state.apply(News::Event(Box::new(event)));
    }

    fn host(&mut self, at: u64, host: u32, change: HostChange) {
        self.tell(at, What::Host(HostEvent { host: label(host), change }));
    }

    fn attempt(&mut self, at: u64, job: u32, host: u32, change: AttemptChange) {
        let (key, host) = (Key::new(job, 1), label(host));
        self.tell(at, What::Attempt(AttemptEvent { key, host, change }));
    }

    fn start(&mut self, at: u64, job: u32, host: u32) {
        self.attempt(at, job, host, AttemptChange::Assigned);
        let started = AttemptChange::Started {
            id: id(job),
            started: Timestamp(CREATED + at),
            processors: Vec::new(),
        };
        self.attempt(at, job, host, started);
    }

    fn end(&mut self, from: u64, at: u64, job: u32, host: u32, exit: u8) {
        let (started, ended) = (Timestamp(CREATED + from), Timestamp(CREATED + at));
        let finish = Finish::new(id(job), Ending::Exit(exit), started, ended);
        let finish = Finish { key: Some(Key::new(job, 1)), ..finish };
        self.attempt(at, job, host, AttemptChange::Exited { finish });
        let (state, reason) = match exit {
            0 => (JobState::Done, None),
            exit => (JobState::Error, Some(format!("exit {exit}"))),
        };
        let change = JobChange::Ended { state, reason };
        self.tell(at, What::Job(JobEvent { key: Key::new(job, 1), change }));
    }

    fn key(&mut self, key: KeyCode) {
        keys::handle(&mut self.state, KeyEvent::from(key));
    }

    /// The screen at a time.
    fn screen(&mut self, at: u64, width: u16, height: u16) -> Buffer {
        self.state.prepare(Timestamp(CREATED + at), (width, height));
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        draw(&self.state, &Theme::new(true), &mut buffer);
        buffer
    }

    fn text(&mut self, at: u64, width: u16, height: u16) -> String {
        let buffer = self.screen(at, width, height);
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(|y| format!("{}\n", row(y).trim_end())).collect()
    }
}

/// Two hosts, one of which has gone; jobs in every state.
fn eventful() -> Story {
    let mut story = Story::new(2, 8);
    for job in 0..3 {
        story.start(1_000, job, 1 + job % 2);
    }
    story.end(1_000, 11_000, 0, 1, 0);
    story.end(1_000, 13_000, 2, 1, 3);
    story.start(11_000, 3, 1);
    story.start(13_000, 4, 1);
    story.end(11_000, 31_000, 3, 1, 0);
    story.start(31_000, 5, 1);
    story.host(40_000, 2, HostChange::Unreachable { reason: "no route to host".into() });
    story
}

#[test]
fn screen_shows_hosts_slots_and_jobs() {
    let screen = eventful().text(61_000, 90, 30);
    snapbox::assert_data_eq!(
        screen,
        snapbox::str![[r#"
run 2026-11-22-1: running for 1m1s, about 15s left
8 jobs: 2 done, 1 failed, 2 running, 1 running as far as is known, 2 waiting · 1 of 2 host
ended                  █ █                 █                                3.0/min
in use       ▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃   2/8 slots
Hosts 2 · by order
HOST   SLOTS IN USE          DONE    FAILED  MEDIAN    STATE
n0001  [|||||     ] 2/4      2       1       20s       up
n0002  [|||       ] 1/4      0       0       -         unreachable for 21s: no route to ho
Slots 8 · the last 1m · a cell is 1s · ↓ 3 more
n0001   0  ··················██████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>
n0001   1  ··················xxxxxxxxxxxxx>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>
n0001   2  ···············································································
n0001   3  ···············································································
n0002   0  ··················>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>
Jobs 8 · by state
JOB     STATE     HOST   TIME      NAME  COMMAND
1       running   n0002  1m        fit   as far as is known · ./fit --rate 0.1
4       running   n0001  48s       fit   ./fit --rate 0.1
5       running   n0001  30s       fit   ./fit --rate 0.1
2       failed    n0001  12s       fit   exit 3 · ./fit --rate 0.1
6       waiting   -      -         fit   may start next · ./fit --rate 0.1
7       waiting   -      -         fit   may start next · ./fit --rate 0.1
3       done      n0001  20s       fit   ./fit --rate 0.1
0       done      n0001  10s       fit   ./fit --rate 0.1





q leave Tab panel / filter s sort l log e explain k kill p pause r retry ? help

"#]]
    );
}

#[test]
fn chosen_job_stays_chosen_when_others_move() {
    let mut story = eventful();
    story.text(61_000, 90, 30);
    story.key(KeyCode::Down);
    story.key(KeyCode::Down);
    story.text(61_000, 90, 30);
    let chosen = story.state.chosen();
    assert_eq!(chosen, Some(5));
    story.end(13_000, 62_000, 4, 1, 0);
    story.text(63_000, 90, 30);
    assert_eq!(story.state.chosen(), chosen);
    story.key(KeyCode::Home);
    story.text(63_000, 90, 30);
    assert_eq!(story.state.chosen(), Some(1));
}

#[test]
fn every_size_of_screen_can_be_drawn() {
    let mut story = eventful();
    for (width, height) in [(0, 0), (1, 1), (3, 2), (20, 5), (80, 1), (300, 100), (5, 60)] {
        for key in [KeyCode::Tab, KeyCode::Tab, KeyCode::Char('?'), KeyCode::Esc, KeyCode::Tab] {
            story.screen(61_000, width, height);
            story.key(key);
        }
    }
}

#[test]
fn large_run_is_drawn_fast_while_jobs_start_and_end() {
    const JOBS: u32 = 10_000;
    const HOSTS: u32 = 1_000;
    let mut story = Story::new(HOSTS, JOBS);
    for job in 0..JOBS / 2 {
        let (at, host) = (u64::from(job) * 10, 1 + job % HOSTS);
        story.start(at, job, host);
        story.end(at, at + 9_000, job, host, u8::from(job % 50 == 0));
    }
    let frames = 50;
    let before = cpu_time();
    for frame in 0..frames {
        // A hundred jobs start and end between two frames.
        for number in 0..50 {
            let job = JOBS / 2 + frame * 50 + number;
            let (at, host) = (60_000 + u64::from(frame) * 100, 1 + job % HOSTS);
            story.start(at, job, host);
            story.end(at, at + 50, job, host, 0);
        }
        story.screen(60_000 + u64::from(frame) * 100, 160, 50);
    }
    let each = (cpu_time() - before) / frames;
    println!("{each:?} a frame, without optimization");
    // With optimization it is a tenth of that.
    assert!(each < Duration::from_millis(100), "{each:?} a frame");
}

/// Of this thread: what else the machine does is not in it.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
