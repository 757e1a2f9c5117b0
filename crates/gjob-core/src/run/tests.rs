use super::*;
use crate::event::{
    AttemptChange, AttemptEvent, Event, HostChange, HostEvent, HostFacts, JobChange, JobEvent,
    RunEvent, What,
};
use crate::outcome::{Cause, Ending, Finish};
use crate::record::Scope;
use crate::state::State;
use crate::time::Timestamp;

fn label(at: u32) -> HostLabel {
    format!("h{at}").parse().unwrap()
}

fn run(jobs: u32) -> Run {
    let specs = (0..jobs).map(|_| Arc::new(JobSpec::new(["true"]).unwrap()));
    Run::new([label(0), label(1)], specs, Dependencies::default())
}

/// Applies one event more.
fn apply(run: &mut Run, what: What) -> Touched {
    let seq = run.seq() + u64::from(what.is_durable());
    run.apply(&Event { seq, at: Timestamp(seq), what })
}

fn on(host: u32, key: Key, change: AttemptChange) -> What {
    What::Attempt(AttemptEvent { key, host: label(host), change })
}

fn job(key: Key, change: JobChange) -> What {
    What::Job(JobEvent { key, change })
}

fn started() -> AttemptChange {
    AttemptChange::Started {
        id: "x/2026-11-22-1".parse().unwrap(),
        started: Timestamp(5),
        processors: Vec::new(),
    }
}

fn exited(key: Key, ending: Ending, cause: Option<Cause>) -> AttemptChange {
    let finish = Finish {
        key: Some(key),
        id: "x/2026-11-22-1".parse().unwrap(),
        ending,
        cause,
        started: Timestamp(5),
        ended: Timestamp(9),
        user_us: 1,
        system_us: 2,
        max_rss_kib: 3,
        read_bytes: 0,
        written_bytes: 0,
        stdout_bytes: 4,
        stderr_bytes: 5,
        survivors: Vec::new(),
    };
    AttemptChange::Exited { finish }
}

fn ended(state: State) -> JobChange {
    JobChange::Ended { state, reason: (state != State::Done).then(|| "r".into()) }
}

/// `attempt/last phase@host failures` and the job's flags.
fn told(run: &Run) -> String {
    let job = &run.jobs()[0];
    let attempt = job.key().map_or(0, |key| key.attempt);
    let host = job.host().map_or("-", HostLabel::as_str);
    let flag = |is_so: bool, name: &'static str| if is_so { name } else { "" };
    let phase = match job.phase {
        Phase::Ended(state) => state.as_str(),
        other => other.as_str(),
    };
    format!(
        "{attempt}/{} {phase}@{host} {}{}{}{}",
        job.last_attempt,
        job.failures,
        flag(job.paused, " paused"),
        flag(job.resumed, " resumed"),
        flag(job.kill, " kill"),
    )
}

/// A life of each kind, as a scheduler would tell it, and what becomes of the job.
fn lives() -> Vec<(Vec<What>, &'static str)> {
    let (one, two) = (Key::new(0, 1), Key::new(0, 2));
    let assign = |host, key| on(host, key, AttemptChange::Assigned);
    let runs = |host, key| [assign(host, key), on(host, key, started())].to_vec();
    let exits = |host, key, code| on(host, key, exited(key, Ending::Exit(code), None));
    let lost = |survivors: &[u32]| AttemptChange::Lost {
        id: None,
        reason: "slot died".into(),
        survivors: survivors.to_vec(),
        restarted: false,
    };
    let refused = AttemptChange::Refused { reason: "full".into(), scope: Scope::Host };
    let abandoned = || AttemptChange::Abandoned { reason: "cut".into() };
    let interrupted = exited(one, Ending::Signal(15), Some(Cause::Interrupted));
    let collected = AttemptChange::Collected { files: 2, bytes: 9 };
    let missing = AttemptChange::CollectFailed { reason: "no x".into(), scope: Scope::Job };
    let life = |parts: Vec<Vec<What>>| parts.concat();
    vec![
        (
            life(vec![runs(1, one), vec![exits(1, one, 0), job(one, ended(State::Done))]]),
            "1/1 done@h1 0",
        ),
        (life(vec![runs(1, one), vec![exits(1, one, 7)], runs(0, two)]), "2/2 running@h0 1"),
        (vec![assign(1, one)], "1/1 assigned@h1 0"),
        (vec![assign(1, one), on(1, one, AttemptChange::Withdrawn)], "1/1 waiting@h1 0"),
        (
            life(vec![runs(1, one), vec![on(1, one, lost(&[3])), job(one, ended(State::Unknown))]]),
            "1/1 unknown@h1 0",
        ),
        (life(vec![runs(1, one), vec![on(1, one, interrupted)]]), "1/1 waiting@h1 0"),
        (vec![], "0/0 waiting@- 0"),
        // Abandoned on its host, which has the outcome first.
        (
            life(vec![
                runs(1, one),
                vec![on(1, one, abandoned())],
                runs(0, two),
                vec![
                    exits(1, one, 0),
                    job(one, ended(State::Done)),
                    on(0, two, exited(two, Ending::Signal(9), Some(Cause::Superseded))),
                    on(0, two, AttemptChange::Superseded),
                ],
            ]),
            "1/2 done@h1 0",
        ),
        (
            life(vec![
                runs(1, one),
                vec![job(one, JobChange::Paused), job(one, JobChange::Resumed)],
            ]),
            "1/1 running@h1 0 resumed",
        ),
        (
            life(vec![
                runs(1, one),
                vec![job(one, JobChange::Paused), job(one, JobChange::Resumed), exits(1, one, 1)],
                runs(1, two),
            ]),
            "2/2 running@h1 1",
        ),
        (vec![job(Key::new(0, 0), JobChange::Paused)], "0/0 waiting@- 0 paused"),
        (
            life(vec![runs(1, one), vec![job(one, JobChange::KillRequested)]]),
            "1/1 running@h1 0 kill",
        ),
        (
            life(vec![
                runs(1, one),
                vec![
                    job(one, JobChange::Paused),
                    job(one, JobChange::KillRequested),
                    exits(1, one, 7),
                    job(one, ended(State::Error)),
                    job(one, JobChange::Reopened),
                ],
            ]),
            "1/1 waiting@h1 0",
        ),
        (vec![assign(1, one), on(1, one, refused)], "1/1 waiting@h1 0"),
        (
            life(vec![
                runs(1, one),
                vec![
                    exits(1, one, 0),
                    on(1, one, AttemptChange::Collecting),
                    on(1, one, collected),
                    job(one, ended(State::Done)),
                ],
            ]),
            "1/1 done@h1 0",
        ),
        (
            life(vec![
                runs(1, one),
                vec![exits(1, one, 0), on(1, one, AttemptChange::Collecting), on(1, one, missing)],
            ]),
            "1/1 waiting@h1 1",
        ),
        // Abandoned on its host, which has its outputs first.
        (
            life(vec![
                runs(1, one),
                vec![
                    on(1, one, abandoned()),
                    assign(0, two),
                    exits(1, one, 0),
                    on(1, one, AttemptChange::Collecting),
                    exits(0, two, 1),
                    on(0, two, AttemptChange::Superseded),
                ],
            ]),
            "1/2 collecting@h1 0",
        ),
    ]
}

#[test]
fn every_kind_of_life_leads_to_its_phase() {
    for (nth, (life, expected)) in lives().into_iter().enumerate() {
        let mut run = run(1);
        for what in life {
            apply(&mut run, what);
        }
        assert_eq!(told(&run), expected, "life {nth}");
    }
}

/// What is counted and indexed equals what a run counts anew from its rows.
#[test]
fn the_indexes_of_a_run_follow_from_its_rows() {
    for (nth, (life, _)) in lives().into_iter().enumerate() {
        let mut run = run(1);
        for (step, what) in life.into_iter().enumerate() {
            apply(&mut run, what);
            let mut hosts: Vec<Host> = run.hosts().to_vec();
            for (host, kept) in hosts.iter_mut().zip(run.hosts()) {
                *host = Host::new(host.label.clone());
                host.totals = kept.totals;
            }
            let others = run.others.values().flatten().filter(|other| other.may_live());
            let restored = Run::from_parts(RunParts {
                hosts,
                jobs: run.jobs().to_vec(),
                others: others.cloned().collect(),
                dependencies: Dependencies::default(),
                ended: None,
                over_at: None,
                revision: 0,
                seq: run.seq(),
            });
            assert_eq!(restored.hosts(), run.hosts(), "life {nth}, step {step}");
            assert_eq!(restored.tally(), run.tally(), "life {nth}, step {step}");
        }
    }
}

#[test]
fn attempt_has_the_files_of_the_revision_in_which_it_was_assigned() {
    let mut run = run(2);
    apply(&mut run, on(0, Key::new(0, 1), AttemptChange::Assigned));
    let replaced = RunEvent::FilesReplaced { revision: 1, files: vec!["fit.py".into()] };
    assert!(apply(&mut run, What::Run(replaced)).run);
    apply(&mut run, on(0, Key::new(1, 1), AttemptChange::Assigned));
    let revision = |job: &Job| job.attempt.as_ref().map(|attempt| attempt.revision);
    assert_eq!(run.jobs().iter().map(revision).collect::<Vec<_>>(), [Some(0), Some(1)]);
}

#[test]
fn an_event_that_is_applied_twice_changes_nothing_the_second_time() {
    let key = Key::new(0, 1);
    let mut run = run(1);
    let facts = HostFacts::default();
    let up = What::Host(HostEvent { host: label(0), change: HostChange::Up(facts) });
    apply(&mut run, up.clone());
    let event = Event { seq: 2, at: Timestamp(2), what: on(0, key, AttemptChange::Assigned) };
    run.apply(&event);
    let once = run.clone();
    assert_eq!(run.apply(&event), Touched::default());
    assert_eq!(run.apply(&Event { seq: 1, at: Timestamp(1), what: up }), Touched::default());
    assert_eq!(run, once);
}

#[test]
fn a_new_manager_knows_nothing_of_its_hosts_links() {
    let mut run = run(1);
    let change = HostChange::Failed { reason: "gone".into(), printed: Vec::new() };
    apply(&mut run, What::Host(HostEvent { host: label(1), change }));
    assert_eq!(run.hosts()[1].state(), State::Error);
    let id = "2026-11-22-1".parse().unwrap();
    let began = RunEvent::Began { run: id, jobs: 1, hosts: 2, resumed: true };
    assert!(apply(&mut run, What::Run(began)).all_hosts);
    assert_eq!((run.hosts()[1].status, &run.hosts()[1].reason), (HostStatus::Connecting, &None));
}

#[test]
fn an_attempt_that_may_be_alive_is_known_by_its_host_until_it_reports() {
    let (one, two) = (Key::new(0, 1), Key::new(0, 2));
    let mut run = run(1);
    apply(&mut run, on(1, one, AttemptChange::Assigned));
    assert_eq!(run.live_attempts(0), [(HostIx(1), one)]);
    apply(&mut run, on(1, one, AttemptChange::Abandoned { reason: "cut".into() }));
    assert!(run.hosts()[1].has_abandoned(one));
    apply(&mut run, on(0, two, AttemptChange::Assigned));
    assert_eq!(run.live_attempts(0), [(HostIx(0), two), (HostIx(1), one)]);
    apply(&mut run, on(1, one, exited(one, Ending::Exit(0), None)));
    assert_eq!(run.live_attempts(0), [(HostIx(0), two)]);
    // The late one counts: the other is now the one nobody waits for.
    apply(&mut run, job(one, ended(State::Done)));
    assert_eq!(run.abandoned(0), [(HostIx(0), two)]);
    assert!(run.hosts()[0].has_abandoned(two) && !run.hosts()[1].has_abandoned(one));
    let dropped = apply(&mut run, on(0, two, exited(two, Ending::Signal(9), None)));
    assert_eq!(dropped.attempt, Some(two));
    let dropped = apply(&mut run, on(0, two, AttemptChange::Superseded)).dropped;
    assert_eq!(dropped.len(), 1);
    assert_eq!((run.live_attempts(0), run.others.len()), (vec![], 0));
}

#[test]
fn a_run_is_shown_with_what_is_known_of_it_now() {
    let mut run = run(3);
    let facts = || HostFacts::default();
    let host = |change| What::Host(HostEvent { host: label(0), change });
    apply(&mut run, host(HostChange::Up(facts())));
    apply(&mut run, on(0, Key::new(0, 1), AttemptChange::Assigned));
    apply(&mut run, job(Key::new(2, 0), JobChange::Paused));
    assert_eq!(run.shown_state(0, true), Some(State::Busy));
    assert_eq!(run.shown_state(0, false), Some(State::Unknown), "nobody asks its host");
    assert_eq!(run.why_waiting(1, true), Some(WaitReason::NoRoom), "one slot, one job");
    assert_eq!(run.why_waiting(2, true), Some(WaitReason::Paused));
    assert_eq!(run.why_waiting(0, true), None, "it does not wait");
    apply(&mut run, host(HostChange::Unreachable { reason: "cut".into() }));
    assert_eq!(run.shown_state(0, true), Some(State::Unknown));
    assert_eq!(run.shown_tally(true), Tally { free: 2, unknown: 1, ..Tally::default() });
    assert_eq!(run.why_waiting(1, true), Some(WaitReason::NoHost));
    assert_eq!(run.why_waiting(1, false), Some(WaitReason::NoManager));
    assert_eq!((run.state(true), run.state(false)), (State::Busy, State::Unknown));
}

#[test]
fn a_runs_state_is_told_in_the_words_for_jobs() {
    let tally = |free, busy, done, unknown, error| Tally { free, busy, done, unknown, error };
    assert_eq!(run_state(tally(1, 1, 0, 0, 0), true), State::Busy);
    assert_eq!(run_state(tally(0, 0, 9, 0, 0), false), State::Done);
    assert_eq!(run_state(tally(0, 0, 9, 0, 1), false), State::Error);
    assert_eq!(run_state(tally(0, 0, 9, 1, 0), false), State::Error);
    assert_eq!(run_state(tally(3, 0, 9, 0, 0), false), State::Free);
    assert_eq!(run_state(tally(3, 1, 9, 0, 0), false), State::Unknown);
}
