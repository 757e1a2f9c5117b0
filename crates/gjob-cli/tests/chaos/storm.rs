//! A run under a schedule of blows, from its first job to the verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use gjob_testbed::Process;
use rustix::process::Signal;

use crate::field::Field;
use crate::judge::{Injuries, Judge};
use crate::ledger::{Ledger, now};
use crate::reign::Reign;
use crate::schedule::{Blow, Schedule, Step};
use crate::support::Place;

/// After the last blow, if jobs don't end.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Of each host.
const SLOTS: u32 = 4;

/// How long a blow waits for something that it can be dealt to.
const VAIN: Duration = Duration::from_secs(1);

/// The run's size, and all that is done to it.
pub(crate) struct Plan {
    pub(crate) jobs: u32,
    pub(crate) longest_job_ms: u32,
    /// Freezes and cuts come on top.
    pub(crate) kills: u32,
    pub(crate) seed: u64,
    pub(crate) policy: Policy,
    /// For how long a host may be cut off.
    pub(crate) longest_cut: Duration,
}

/// What becomes of the jobs of hosts that stay away.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Policy {
    /// None stays away for long enough to be lost.
    Patience,
    /// They end their jobs by themselves. One job of eighty takes as long as this.
    Lease { slow_ms: u32 },
}

/// What ends an injury that is not for good.
enum Cure {
    Go(Process),
    Heal(usize),
    Boot(usize),
}

struct Storm<'a> {
    field: &'a Field,
    plan: &'a Plan,
    reign: Reign<'a>,
    cures: Vec<(Instant, Cure)>,
    /// Hosts that are cut off or down.
    away: BTreeSet<usize>,
    injuries: Injuries,
    dealt: BTreeMap<Blow, u32>,
}

/// Runs it all, prints one line about it, and fails if anything is amiss.
pub(crate) fn rage(field: &Field, plan: &Plan) {
    let Plan { jobs, kills, seed, policy, .. } = *plan;
    eprintln!("chaos: GJOB_CHAOS_SEED={seed} {jobs} jobs, {kills} kills, {policy:?}");
    let place = Place::new();
    let (slow_ms, lost_after, policy_args) = match policy {
        Policy::Patience => (0, 600, &[][..]),
        Policy::Lease { slow_ms } => (slow_ms, 60, &["--on-lost", "lease"][..]),
    };
    let ledger = Ledger::new(place.path("ledger"), plan.longest_job_ms)
        .with_slow_jobs(slow_ms)
        .with_held_jobs(plan.jobs);
    place.file("jobs.jsonl", &ledger.jobs(plan.jobs));
    let hosts = field.host_list(SLOTS);
    let config = field.ssh_config().to_str().unwrap();
    let lost_after_arg = format!("{lost_after}s");
    let args = [
        ["run", "-F", config, "-r", "results", "-H", &hosts],
        ["--show", "none", "--into", "out", "--lost-after", &lost_after_arg, "jobs.jsonl"],
    ];
    let began = Instant::now();
    let reign = Reign::begin(&place, &[args.as_flattened(), policy_args].concat());
    let mut storm = Storm {
        field,
        plan,
        reign,
        cures: Vec::new(),
        away: BTreeSet::new(),
        injuries: Injuries {
            lost_after: Some(Duration::from_secs(lost_after)),
            ..Injuries::default()
        },
        dealt: BTreeMap::new(),
    };
    storm.blow_over(&ledger, &place);
    let took = began.elapsed();
    let mut faults = left_behind(field);
    let status = place.status();
    let (injuries, results) = (&storm.injuries, &field.results());
    let (ledger, status, outputs) = (&ledger, &status, &place.path("here/out"));
    let judge = Judge { jobs, ledger, status, injuries, results, outputs, slots: SLOTS };
    faults.extend(judge.faults());
    let verdict = if faults.is_empty() { "all is well" } else { "FAULTS" };
    eprintln!(
        "chaos: seed {seed}: {jobs} jobs, {} kills among {} blows {:?}, {} attaches, {} attempts \
         ended by leases, {:.1} s, {}: {verdict}",
        storm.kills(),
        storm.dealt.values().sum::<u32>(),
        storm.dealt,
        storm.reign.attaches,
        judge.leases_over(),
        took.as_secs_f64(),
        status["counts"],
    );
    let said = storm.reign.said();
    if !faults.is_empty() {
        keep(&place);
    }
    assert!(faults.is_empty(), "{}\n--- managers:\n{said}", faults.join("\n"));
    assert_eq!(storm.kills(), kills, "the run ended before all kills were dealt");
}

/// For a look afterwards.
fn keep(place: &Place) {
    let to = std::env::temp_dir().join(format!("gjob-chaos-{}", std::process::id()));
    let from = place.path("");
    let copied = std::process::Command::new("cp").arg("-r").arg(from).arg(&to).status();
    eprintln!("chaos: ledger, store and managers' words are in {} ({copied:?})", to.display());
}

impl Storm<'_> {
    fn blow_over(&mut self, ledger: &Ledger, place: &Place) {
        let mut schedule = Schedule::new(self.plan.seed, matches!(self.field, Field::Net(_)));
        let limit =
            Duration::from_secs(120) + TIMEOUT * (2 * self.plan.kills + self.plan.jobs / 20);
        let began = Instant::now();
        let mut last = Instant::now();
        let mut next: Option<(Step, Duration)> = None;
        loop {
            self.cure(Instant::now());
            if let Some(status) = self.reign.ended() {
                let over = matches!(status.code(), Some(0 | 1));
                assert!(over, "the manager gave up with {status}:\n{}", self.reign.said());
                return self.cure_all();
            }
            let (kills, ends) = (self.kills(), ledger.ends());
            let due = (kills + 1) * self.plan.jobs * 9 / 10 / (self.plan.kills + 1);
            let stalls = ends > 0 && last.elapsed() > TIMEOUT;
            if kills == self.plan.kills {
                ledger.release();
            } else if ends >= due as usize || stalls {
                let (step, since) = *next.get_or_insert_with(|| (schedule.next().unwrap(), now()));
                if self.deal(step) {
                    *self.dealt.entry(step.blow).or_default() += 1;
                    last = Instant::now();
                    next = None;
                } else if now() - since > VAIN {
                    next = None;
                }
            }
            if began.elapsed() > limit {
                keep(place);
                panic!("no end after {limit:?}, {ends} ended:\n{}", self.reign.said());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn kills(&self) -> u32 {
        self.dealt.iter().filter(|(blow, _)| blow.kills()).map(|(_, dealt)| dealt).sum()
    }

    /// Does it; false if there was nothing to do it to.
    fn deal(&mut self, step: Step) -> bool {
        let at = (step.host % self.field.sites().len() as u64) as usize;
        match step.blow {
            Blow::KillManager => {
                self.reign.kill();
                std::thread::sleep(Duration::from_millis(400).mul_f64(step.extent));
                self.reign.attach();
                true
            }
            Blow::KillAgent => hit(step, &self.field.role(at, "agent"), Signal::KILL).is_some(),
            Blow::KillSsh => hit(step, &self.reign.clients(), Signal::KILL).is_some(),
            Blow::KillSession => hit(step, &self.field.connections(at), Signal::KILL).is_some(),
            Blow::KillSlot => self.kill_slot(at, step),
            Blow::FreezeManager => {
                let frozen: Vec<Process> = self.reign.process().into_iter().collect();
                self.freeze(step, &frozen)
            }
            Blow::FreezeAgent => self.freeze(step, &self.field.role(at, "agent")),
            Blow::CutOff => self.cut_off(at, step),
            Blow::Crash => self.crash(at, step),
        }
    }

    fn kill_slot(&mut self, at: usize, step: Step) -> bool {
        let Some(slot) = hit(step, &self.field.role(at, "slot"), Signal::KILL) else {
            return false;
        };
        let alias = self.field.sites()[at].alias().to_owned();
        self.injuries.slots.push((alias, slot.started()));
        true
    }

    fn freeze(&mut self, step: Step, candidates: &[Process]) -> bool {
        let Some(frozen) = hit(step, candidates, Signal::STOP) else { return false };
        self.later(Duration::from_secs(3).mul_f64(step.extent), Cure::Go(frozen));
        true
    }

    fn cut_off(&mut self, at: usize, step: Step) -> bool {
        let Some(host) = self.field.net_host(at) else { return false };
        if !self.away.insert(at) {
            return false;
        }
        self.injuries.cuts.push((host.alias().to_owned(), now()));
        host.cut_off();
        self.later(self.plan.longest_cut.mul_f64(0.05 + 0.95 * step.extent), Cure::Heal(at));
        true
    }

    fn crash(&mut self, at: usize, step: Step) -> bool {
        let Some(host) = self.field.net_host(at) else { return false };
        if !self.away.insert(at) {
            return false;
        }
        let before = now();
        host.crash();
        self.injuries.crashes.push((host.alias().to_owned(), before, now()));
        self.later(Duration::from_secs(3).mul_f64(step.extent), Cure::Boot(at));
        true
    }

    fn later(&mut self, wait: Duration, cure: Cure) {
        self.cures.push((Instant::now() + wait, cure));
    }

    fn cure(&mut self, now: Instant) {
        for (due, cure) in std::mem::take(&mut self.cures) {
            if due > now {
                self.cures.push((due, cure));
            } else {
                self.apply(&cure);
            }
        }
    }

    fn cure_all(&mut self) {
        for (_, cure) in std::mem::take(&mut self.cures) {
            self.apply(&cure);
        }
    }

    fn apply(&mut self, cure: &Cure) {
        match cure {
            Cure::Go(process) => {
                process.signal(Signal::CONT);
            }
            Cure::Heal(at) => {
                self.away.remove(at);
                self.field.net_host(*at).unwrap().heal();
            }
            Cure::Boot(at) => {
                self.away.remove(at);
                self.field.net_host(*at).unwrap().boot();
            }
        }
    }
}

/// What was found may be about to become another program, as a child of the agent
/// that is to be a slot: so it is stopped, and looked at again.
fn hit(step: Step, candidates: &[Process], signal: Signal) -> Option<Process> {
    let chosen = step.process.checked_rem(candidates.len() as u64)?;
    let process = &candidates[chosen as usize];
    if !process.signal(Signal::STOP) {
        return None;
    }
    if Process::find(process.pid()).as_ref() != Some(process) {
        process.signal(Signal::CONT);
        return None;
    }
    process.signal(signal).then(|| process.clone())
}

/// What still runs when it all has been over for a while: on a host, or of the
/// clients that led there.
pub(crate) fn left_behind(field: &Field) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let mut left = field.processes();
        left.extend(field.clients());
        if left.is_empty() || Instant::now() > deadline {
            return left.iter().map(|process| format!("left behind: {process:?}")).collect();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
