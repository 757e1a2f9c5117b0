//! Kills the manager before each system call by which it makes something last,
//! one run for each, and takes every run up again.
//!
//! strace counts the calls and kills. It follows the manager's main thread, or
//! all its threads, and never the programs that they start. A sample is tried,
//! chosen by `GJOB_CHAOS_SEED`; `GJOB_CRASH_ALL=1` tries all.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]
#![expect(clippy::print_stderr, reason = "the seed is said, whatever comes of it")]

#[path = "chaos/judge.rs"]
mod judge;
#[path = "chaos/ledger.rs"]
mod ledger;
#[path = "crash_points/scene.rs"]
mod scene;
#[path = "chaos/seed.rs"]
mod seed;
#[path = "crash_points/strace.rs"]
mod strace;
mod support;

use std::time::Instant;

use scene::Scene;
use seed::{Random, seed, setting};
use strace::{Point, Scope, Strace};

/// How many points of each kind are tried, if not all are.
const SAMPLE: usize = 16;

#[test]
fn a_manager_killed_at_any_call_leaves_a_run_that_can_be_taken_up() {
    let Some(strace) = Strace::find() else { return };
    Enumeration::new("store", &strace, Scope::MainThread).of_runs(3);
}

#[test]
fn a_manager_killed_at_any_call_of_a_link_leaves_a_run_that_can_be_taken_up() {
    let Some(strace) = Strace::find() else { return };
    Enumeration::new("links", &strace, Scope::AllThreads).of_runs(3);
}

#[test]
fn a_manager_killed_while_it_takes_a_run_up_leaves_one_that_can_be_taken_up() {
    let Some(strace) = Strace::find() else { return };
    Enumeration::new("attach", &strace, Scope::MainThread).of_attachments();
}

/// Points to kill at, and what has come of it so far.
struct Enumeration<'a> {
    name: &'a str,
    strace: &'a Strace,
    scope: Scope,
    /// What a run does when it is left alone.
    points: Vec<Point>,
    random: Random,
    began: Instant,
    kills: u32,
    before_the_run: u32,
    kills_again: u32,
    faults: Vec<String>,
}

impl<'a> Enumeration<'a> {
    fn new(name: &'a str, strace: &'a Strace, scope: Scope) -> Self {
        let points = strace.points(scope, |tracer| Scene::new().run_under(tracer));
        let seed = seed();
        eprintln!("crash points: {name}: {} points, GJOB_CHAOS_SEED={seed}", points.len());
        Enumeration {
            name,
            strace,
            scope,
            points,
            random: Random(seed),
            began: Instant::now(),
            kills: 0,
            before_the_run: 0,
            kills_again: 0,
            faults: Vec::new(),
        }
    }

    /// Kills `gjob run` at each point; every `again`th time its successor too.
    fn of_runs(mut self, again: usize) {
        for (number, point) in self.chosen(&self.points.clone()).into_iter().enumerate() {
            let scene = Scene::new();
            if !scene.run_under(self.strace.kill(self.scope, &point)) {
                // A run is not quite the same each time: this one did not get there.
                self.judge(&scene, &format!("{point} not reached"));
                continue;
            }
            self.kills += 1;
            let mut what = point.to_string();
            if !scene.has_run() {
                self.before_the_run += 1;
            } else if number % again == 0 {
                let second = self.pick(&self.points.clone());
                let tracer = self.strace.kill(self.scope, &second);
                self.kills_again += u32::from(scene.attach_under(tracer));
                what += &format!(", then {second}");
            }
            self.judge(&scene, &what);
        }
        self.tell();
    }

    /// Kills `gjob attach` at each point, after a kill somewhere in a run.
    fn of_attachments(mut self) {
        let published = self.points.iter().position(|point| point.call.starts_with("rename"));
        let later = self.points[published.unwrap() + 1..].to_vec();
        let midway = later[later.len() / 3].clone();
        let begun = || {
            let scene = Scene::new();
            scene.run_under(self.strace.kill(self.scope, &midway));
            scene
        };
        let attachment = self.strace.points(self.scope, |tracer| begun().attach_under(tracer));
        eprintln!("crash points: {}: {} points of an attachment", self.name, attachment.len());
        for point in self.chosen(&attachment) {
            let scene = Scene::new();
            let first = self.pick(&later);
            self.kills += u32::from(scene.run_under(self.strace.kill(self.scope, &first)));
            let killed = scene.attach_under(self.strace.kill(self.scope, &point));
            self.kills_again += u32::from(killed);
            self.judge(&scene, &format!("{first}, then {point}"));
        }
        self.tell();
    }

    /// All of them, or a sample in their order.
    fn chosen(&mut self, points: &[Point]) -> Vec<Point> {
        if setting("GJOB_CRASH_ALL").is_some_and(|all| all > 0) {
            return points.to_vec();
        }
        let mut chosen: Vec<usize> = (0..points.len()).collect();
        while chosen.len() > SAMPLE {
            let out = self.random.next() % chosen.len() as u64;
            chosen.remove(out as usize);
        }
        chosen.into_iter().map(|at| points[at].clone()).collect()
    }

    fn pick(&mut self, points: &[Point]) -> Point {
        points[(self.random.next() % points.len() as u64) as usize].clone()
    }

    fn judge(&mut self, scene: &Scene, what: &str) {
        self.faults.extend(scene.faults().into_iter().map(|fault| format!("{what}: {fault}")));
    }

    fn tell(self) {
        let Enumeration { name, kills, before_the_run, kills_again, faults, .. } = self;
        let verdict = if faults.is_empty() { "all is well" } else { "FAULTS" };
        let took = self.began.elapsed().as_secs_f64();
        eprintln!(
            "crash points: {name}: {kills} runs killed, {before_the_run} of them before they were \
             there, {kills_again} killed again, {took:.1} s: {verdict}"
        );
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        assert!(kills > 2, "nothing was tried");
    }
}
