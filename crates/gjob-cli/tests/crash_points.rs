//! Kills the manager before each system call by which it makes something last,
//! one run for each, and takes every run up again.
//!
//! strace counts the calls and kills. It follows the manager's main thread, or
//! all its threads, and never the programs that they start. A sample is tried,
//! chosen by `GJOB_CHAOS_SEED`; `GJOB_CRASH_ALL=1` tries all.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]
#![expect(clippy::print_stderr, reason = "the seed is said, whatever comes of it")]

#[path = "chaos/duty.rs"]
mod duty;
#[path = "chaos/judge.rs"]
mod judge;
#[path = "chaos/ledger.rs"]
mod ledger;
#[path = "crash_points/scene.rs"]
mod scene;
#[path = "chaos/seed.rs"]
mod seed;
#[path = "crash_points/stages.rs"]
mod stages;
#[path = "crash_points/strace.rs"]
mod strace;
mod support;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use judge::Injuries;
use scene::Scene;
use seed::{Random, seed, setting};
use stages::Stages;
use strace::{Point, Scope, Strace};

/// How many points of each kind are tried, if not all are.
const SAMPLE: usize = 16;

#[test]
fn manager_killed_at_any_call_leaves_a_run_that_can_be_resumed() {
    let Some(strace) = Strace::find() else { return };
    Enumeration::new("store", &strace, Scope::MainThread).of_runs(3);
}

#[test]
fn manager_killed_at_any_call_of_a_link_leaves_a_run_that_can_be_resumed() {
    let Some(strace) = Strace::find() else { return };
    Enumeration::new("links", &strace, Scope::AllThreads).of_runs(3);
}

#[test]
fn manager_killed_while_it_resumes_a_run_leaves_one_that_can_be_resumed() {
    let Some(strace) = Strace::find() else { return };
    Enumeration::new("attach", &strace, Scope::MainThread).of_attachments();
}

#[test]
fn manager_killed_at_any_call_of_collecting_leaves_complete_outputs_or_none() {
    let Some(strace) = Strace::find() else { return };
    Enumeration::new("outputs", &strace, Scope::Outputs).of_runs(2);
}

#[test]
fn manager_killed_while_it_collects_again_leaves_complete_outputs_or_none() {
    let Some(strace) = Strace::find() else { return };
    Enumeration::new("outputs again", &strace, Scope::Outputs).of_attachments();
}

#[test]
fn manager_killed_at_any_call_hands_on_the_right_outputs_from_stage_to_stage() {
    let Some(strace) = Strace::find() else { return };
    let scope = Scope::MainThread;
    let run = |tracer| Stages::new().run_under(tracer);
    let mut enumeration = Enumeration::prepare("stages", &strace, scope, run);
    let points = enumeration.points.clone();
    for point in enumeration.chosen(&points) {
        let stages = Stages::new();
        enumeration.kills += u32::from(stages.run_under(strace.kill(scope, &point)));
        let faults = stages.faults().into_iter();
        enumeration.faults.extend(faults.map(|fault| format!("{point}: {fault}")));
    }
    enumeration.tell();
}

#[test]
fn jobs_killed_after_their_manager_have_no_outputs() {
    let Some(strace) = Strace::find() else { return };
    // Before the names of outputs are made durable, and thus told.
    let point = Point { call: "fsync".to_owned(), nth: 1 };
    let scene = scene(Scope::Outputs);
    assert!(scene.run_under(strace.kill(Scope::Outputs, &point)));
    assert_ne!(scene.outputs_there(), 0);
    assert_eq!(scene.faults_after_killing_all_jobs(), [""; 0]);
}

#[test]
fn an_agent_killed_at_any_call_changes_nothing_for_its_jobs() {
    let Some(strace) = Strace::find() else { return };
    on_a_host(&strace, Scope::Agent, &Injuries::default());
}

#[test]
fn slot_killed_at_any_call_loses_its_own_job_at_most() {
    let Some(strace) = Strace::find() else { return };
    on_a_host(&strace, Scope::Slots, &Injuries { any_slot: true, ..Injuries::default() });
}

/// Kills at each point of the first connection to a host.
fn on_a_host(strace: &Strace, scope: Scope, injuries: &Injuries) {
    let first = Scene::new();
    let plain = first.run_through("#!/bin/sh\nexec /bin/sh\n", Path::new("/nowhere"));
    assert_eq!(plain.code, 1, "{}", plain.stderr);
    let through = |scene: &Scene, tracer: &Command| {
        if matches!(scope, Scope::Slots) {
            // The bootstrap's own mkdir would be killed at the calls of that name.
            scene.make_program_dir();
        }
        let words: Vec<_> =
            std::iter::once(tracer.get_program()).chain(tracer.get_args()).collect();
        let words: Vec<String> = words.iter().map(|word| format!("'{}'", word.display())).collect();
        let once = scene.path("connected");
        let script = format!(
            "#!/bin/sh\n\
             case $* in *'exec /bin/sh'*) ;; *) exit 1 ;; esac\n\
             mkdir {} 2>/dev/null || exec /bin/sh\n\
             exec {} /bin/sh\n",
            once.display(),
            words.join(" ")
        );
        scene.run_through(&script, &first.program())
    };
    let mut enumeration = Enumeration::prepare(&format!("{scope:?}"), strace, scope, |tracer| {
        let scene = Scene::new();
        through(&scene, &tracer);
        // strace ends last, and writes then.
        !scene.faults_of_run(injuries).is_empty()
    });
    let points = enumeration.points.clone();
    for point in enumeration.chosen(&points) {
        let scene = Scene::new();
        let answer = through(&scene, &strace.kill(scope, &point));
        enumeration.kills += 1;
        if answer.code != 1 {
            enumeration.faults.push(format!("{point}: run does not exit with 1: {answer:?}"));
        }
        let faults = scene.faults_of_run(injuries);
        enumeration.faults.extend(faults.into_iter().map(|fault| format!("{point}: {fault}")));
    }
    enumeration.tell();
}

/// Where calls of this scope are looked for.
fn scene(scope: Scope) -> Scene {
    if matches!(scope, Scope::Outputs) { Scene::watching_outputs() } else { Scene::new() }
}

/// Points to kill at, and what has come of it so far.
struct Enumeration<'a> {
    name: String,
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
    fn new(name: &str, strace: &'a Strace, scope: Scope) -> Self {
        Self::prepare(name, strace, scope, |tracer| scene(scope).run_under(tracer))
    }

    fn prepare(
        name: &str,
        strace: &'a Strace,
        scope: Scope,
        run: impl FnOnce(Command) -> bool,
    ) -> Self {
        let points = strace.points(scope, run);
        let seed = seed();
        eprintln!("crash points: {name}: {} points, GJOB_CHAOS_SEED={seed}", points.len());
        Enumeration {
            name: name.to_owned(),
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
            let scene = scene(self.scope);
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
        let published = match self.scope {
            Scope::Outputs => 0,
            _ => 1 + self.points.iter().position(|it| it.call.starts_with("rename")).unwrap(),
        };
        let later = self.points[published..].to_vec();
        let midway = later[later.len() / 3].clone();
        let begun = || {
            let scene = scene(self.scope);
            scene.run_under(self.strace.kill(self.scope, &midway));
            scene
        };
        let attachment = self.strace.points(self.scope, |tracer| begun().attach_under(tracer));
        eprintln!("crash points: {}: {} points of an attachment", self.name, attachment.len());
        for point in self.chosen(&attachment) {
            let scene = scene(self.scope);
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
