//! The scheduler in a simulated cluster: virtual time, seeded faults. Links
//! break and take their messages with them, launches arrive twice, managers
//! die and are started again from what they had committed. Every run must end
//! with one outcome per job, and no job may have run twice.
//!
//! A failure prints its seed; `GJOB_SIM_SEED=N cargo test -p gjob-core --test
//! simulation` runs that one alone. `GJOB_SIM_SEEDS=N` sets how many are run.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]
#![expect(clippy::disallowed_methods, reason = "the seeds to run come from the environment")]
#![expect(clippy::print_stderr, reason = "a failing seed is to be seen")]

#[path = "simulation/cluster.rs"]
mod cluster;

use cluster::{Plan, Seen, Simulation};
use gjob_core::scheduler::OnLost;

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("GJOB_SIM_SEED") {
        return seed..seed + 1;
    }
    0..number("GJOB_SIM_SEEDS").unwrap_or(2000)
}

/// Runs a plan with every seed; gives what all of them have seen.
fn run_all(plan: impl Fn(u64) -> Plan + std::panic::RefUnwindSafe) -> Seen {
    run_some(u64::MAX, plan)
}

/// The same with so many of them at most.
fn run_some(most: u64, plan: impl Fn(u64) -> Plan + std::panic::RefUnwindSafe) -> Seen {
    let mut all = Seen::default();
    for seed in seeds().take(usize::try_from(most).unwrap()) {
        let result = std::panic::catch_unwind(|| Simulation::new(plan(seed)).run());
        match result {
            Ok(seen) => all += seen,
            Err(panic) => {
                eprintln!("seed {seed} failed; GJOB_SIM_SEED={seed} repeats it");
                std::panic::resume_unwind(panic);
            }
        }
    }
    all
}

/// True when so many seeds were run that what is rare must have come about.
fn is_thorough() -> bool {
    seeds().count() >= 100
}

#[test]
fn every_job_ends_once_on_quiet_hosts() {
    run_all(|seed| Plan { seed, jobs: 60, hosts: 4, slots: 2, ..Plan::default() });
}

#[test]
fn every_job_ends_once_when_links_break() {
    run_all(|seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 4,
        slots: 2,
        link_breaks: 12,
        ..Plan::default()
    });
}

#[test]
fn every_job_ends_once_when_managers_die() {
    let seen = run_all(|seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 3,
        slots: 3,
        link_breaks: 6,
        manager_deaths: 5,
        ..Plan::default()
    });
    assert!(seen.restarts > 0 || !is_thorough(), "{seen:?}");
}

#[test]
fn failing_jobs_use_exactly_their_retries() {
    run_all(|seed| Plan {
        seed,
        jobs: 40,
        hosts: 3,
        slots: 2,
        failing: 10,
        retries: 2,
        link_breaks: 4,
        manager_deaths: 2,
        ..Plan::default()
    });
}

#[test]
fn an_interrupted_run_leaves_nothing_running_and_goes_on_later() {
    run_all(|seed| Plan {
        seed,
        jobs: 60,
        hosts: 3,
        slots: 2,
        interrupt: true,
        link_breaks: 3,
        ..Plan::default()
    });
}

#[test]
fn one_slow_job_does_not_keep_others_from_an_idle_host() {
    run_all(|seed| Plan { seed, jobs: 80, hosts: 2, slots: 1, slow_job: true, ..Plan::default() });
}

#[test]
fn jobs_of_lost_hosts_are_done_elsewhere_and_each_has_one_outcome() {
    let seen = run_all(|seed| Plan {
        longest: 12_000,
        seed,
        jobs: 60,
        hosts: 4,
        slots: 2,
        link_breaks: 4,
        long_cuts: 4,
        failing: 6,
        retries: 1,
        manager_deaths: 2,
        ..Plan::default()
    });
    if is_thorough() {
        assert!(seen.abandoned > 0 && seen.superseded > 0 && seen.won_late > 0, "{seen:?}");
    }
}

#[test]
fn on_lost_wait_never_has_two_attempts_of_a_job() {
    let seen = run_all(|seed| Plan {
        longest: 12_000,
        seed,
        jobs: 60,
        hosts: 4,
        slots: 2,
        link_breaks: 4,
        long_cuts: 4,
        manager_deaths: 2,
        on_lost: OnLost::Wait,
        ..Plan::default()
    });
    assert_eq!((seen.abandoned, seen.superseded), (0, 0));
    assert!(seen.restarts > 0 || !is_thorough(), "{seen:?}");
}

#[test]
fn jobs_of_crashed_hosts_are_done_again_and_never_at_once() {
    let seen = run_all(|seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 4,
        slots: 2,
        link_breaks: 4,
        crashes: 4,
        manager_deaths: 3,
        on_lost: OnLost::Wait,
        ..Plan::default()
    });
    assert!(seen.lost > 0 || !is_thorough(), "{seen:?}");
}

/// All that a restarted host had begun and not ended begins again, and nothing is unknown.
#[test]
fn jobs_of_restarted_hosts_begin_again_whatever_is_done_about_lost_hosts() {
    let seen = run_all(|seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 4,
        slots: 2,
        failing: 6,
        retries: 1,
        outputs: seed % 2 == 0,
        link_breaks: 4,
        crashes: 4,
        manager_deaths: 3,
        on_lost: [OnLost::Rerun, OnLost::Wait, OnLost::Lease][seed as usize % 3],
        ..Plan::default()
    });
    assert_eq!((seen.lost, seen.abandoned), (seen.begun_again, 0));
    assert!(seen.host_restarts > 0 || !is_thorough(), "{seen:?}");
}

#[test]
fn jobs_are_done_when_their_outputs_are_here() {
    let seen = run_all(|seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 4,
        slots: 2,
        failing: 6,
        retries: 1,
        outputs: true,
        link_breaks: 12,
        manager_deaths: 3,
        ..Plan::default()
    });
    assert!(seen.restarts > 0 || !is_thorough(), "{seen:?}");
}

#[test]
fn outputs_on_lost_hosts_are_made_again_elsewhere() {
    let seen = run_all(|seed| Plan {
        longest: 3000,
        seed,
        jobs: 60,
        hosts: 4,
        slots: 2,
        outputs: true,
        link_breaks: 4,
        long_cuts: 4,
        manager_deaths: 2,
        ..Plan::default()
    });
    assert!(seen.outputs_given_up > 0 || !is_thorough(), "{seen:?}");
}

#[test]
fn jobs_wait_for_those_they_depend_on_and_fail_with_them() {
    run_all(|seed| Plan {
        longest: 500,
        seed,
        jobs: 60,
        hosts: 3,
        slots: 2,
        chain: 7,
        failing: 9,
        retries: 1,
        outputs: seed % 2 == 0,
        link_breaks: 6,
        manager_deaths: 3,
        ..Plan::default()
    });
}

/// On two hosts of four slots each: jobs of one slot, and one in three that asks
/// for four.
#[test]
fn big_jobs_are_not_starved_by_small_ones_and_hosts_are_kept_busy() {
    let seen = run_all(|seed| Plan {
        longest: 1000,
        seed,
        jobs: 120,
        hosts: 2,
        slots: 4,
        big: 3,
        ..Plan::default()
    });
    let used = seen.used * 100 / seen.offered.max(1);
    eprintln!("{used} % of the slots used; at most {} ms between big jobs", seen.big_gap);
    assert!(used >= 75 || !is_thorough(), "{seen:?}");
    // A host is drained of jobs of up to 1 s, those handed ahead among them.
    assert!(seen.big_gap <= 8000, "{seen:?}");
}

#[test]
fn big_jobs_end_once_whatever_breaks() {
    run_all(|seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 3,
        slots: 4,
        big: 4,
        retries: 1,
        failing: 5,
        link_breaks: 8,
        manager_deaths: 3,
        crashes: 2,
        ..Plan::default()
    });
}

#[test]
fn jobs_that_were_held_go_on_whoever_heard_of_it() {
    let seen = run_all(|seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 3,
        slots: 3,
        pauses: 40,
        link_breaks: 12,
        manager_deaths: 3,
        ..Plan::default()
    });
    assert!(seen.resumed_unheard > 0 || !is_thorough(), "{seen:?}");
}

#[test]
fn jobs_are_ended_whoever_heard_that_they_are_to_be() {
    let seen = run_all(|seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 3,
        slots: 3,
        endless: 20,
        link_breaks: 12,
        manager_deaths: 3,
        ..Plan::default()
    });
    assert!((seen.killed > 0 && seen.killed_unheard > 0) || !is_thorough(), "{seen:?}");
}

#[test]
fn a_host_that_lies_costs_little_and_no_job_its_outcome() {
    let seen = run_all(|seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 3,
        slots: 2,
        liar: true,
        manager_deaths: 3,
        ..Plan::default()
    });
    assert!(seen.lies > 0, "{seen:?}");
    let runs = seeds().count() as u32;
    assert!(seen.lies < 40 * runs, "{} lies in {runs} runs", seen.lies);
}

#[test]
fn full_hosts_cost_no_job_its_outcome_and_start_nothing_twice() {
    let seen = run_all(|seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 3,
        slots: 2,
        full: 5,
        link_breaks: 8,
        manager_deaths: 3,
        ..Plan::default()
    });
    assert!(seen.no_space > 0 || !is_thorough(), "{seen:?}");
    // A host is tried with a job every 30 s, for as long as it is full.
    let runs = seeds().count() as u32;
    assert!(seen.no_space < 100 * runs, "{} times in {runs} runs", seen.no_space);
}

#[test]
fn what_gets_lost_on_its_way_to_a_host_is_sent_again() {
    let mut seen = Seen::default();
    for hosts in [1, 3] {
        seen += run_all(move |seed| Plan {
            longest: 1500,
            seed,
            jobs: 30,
            hosts,
            slots: 2,
            swallows: 4,
            endless: 6,
            retries: 1,
            failing: 5,
            ..Plan::default()
        });
    }
    assert!((seen.swallowed > 0 && seen.killed > 0) || !is_thorough(), "{seen:?}");
}

#[test]
fn messages_that_get_lost_cost_nothing_whatever_else_breaks() {
    let seen = run_all(|seed| Plan {
        longest: 1500,
        seed,
        jobs: 40,
        hosts: 1 + seed as u32 % 3,
        slots: 2,
        swallows: 4,
        endless: 6,
        outputs: seed % 2 == 0,
        interrupt: seed % 5 == 0,
        link_breaks: 8,
        manager_deaths: 3,
        full: u32::from(seed % 3 == 0),
        ..Plan::default()
    });
    assert!((seen.swallowed > 0 && seen.repeated > 0) || !is_thorough(), "{seen:?}");
}

/// Three of four jobs are bound to some hosts: none starts elsewhere, and hosts are busy
/// to the end.
#[test]
fn bound_jobs_run_where_they_may_and_nobody_starves() {
    let seen = run_all(|seed| Plan {
        seed,
        jobs: 240,
        hosts: 4,
        slots: 2,
        bound: true,
        ..Plan::default()
    });
    let used = seen.used * 100 / seen.offered.max(1);
    eprintln!("{used} % of the slots used");
    assert!(used >= 75 || !is_thorough(), "{seen:?}");
}

#[test]
fn bound_jobs_end_once_whatever_breaks() {
    let seen = run_all(|seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 4,
        slots: 2,
        bound: true,
        failing: 6,
        retries: 1,
        outputs: seed % 2 == 0,
        chain: if seed % 3 == 0 { 9 } else { 0 },
        link_breaks: 8,
        manager_deaths: 3,
        full: u32::from(seed % 4 == 0) * 3,
        ..Plan::default()
    });
    assert!(seen.restarts > 0 || !is_thorough(), "{seen:?}");
}

#[test]
fn bound_jobs_of_lost_hosts_are_done_where_they_may() {
    let seen = run_all(|seed| Plan {
        longest: 12_000,
        seed,
        jobs: 60,
        hosts: 4,
        slots: 2,
        bound: true,
        big: if seed % 2 == 0 { 5 } else { 0 },
        link_breaks: 4,
        long_cuts: 4,
        crashes: 2,
        manager_deaths: 2,
        ..Plan::default()
    });
    assert!(seen.abandoned > 0 || !is_thorough(), "{seen:?}");
}

#[test]
fn every_job_ends_once_while_hosts_come_and_go() {
    let seen = run_some(200, |seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 3,
        slots: 2,
        late_hosts: 2,
        drains: 5,
        removals: 5,
        new_slots: 3,
        failing: 6,
        retries: 1,
        outputs: seed % 2 == 0,
        link_breaks: 8,
        crashes: 2,
        manager_deaths: 3,
        pauses: 5,
        endless: 3,
        on_lost: [OnLost::Rerun, OnLost::Wait, OnLost::Lease][seed as usize % 3],
        ..Plan::default()
    });
    let thorough = is_thorough();
    assert!(
        (seen.recalled > 0 && seen.begun_late > 0 && seen.restarts > 0) || !thorough,
        "{seen:?}"
    );
}

#[test]
fn bound_jobs_end_once_where_they_may_while_hosts_come_and_go() {
    let seen = run_some(200, |seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 3,
        slots: 2,
        bound: true,
        late_hosts: 2,
        drains: 8,
        new_slots: 3,
        link_breaks: 8,
        manager_deaths: 3,
        ..Plan::default()
    });
    assert!(seen.begun_late > 0 || !is_thorough(), "{seen:?}");
}

#[test]
fn jobs_whose_inputs_are_away_end_once_whatever_else_breaks() {
    let seen = run_some(500, |seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 3,
        slots: 2,
        away: 3,
        bound: seed % 2 == 0,
        outputs: seed % 3 == 0,
        swallows: if seed % 4 == 0 { 4 } else { 0 },
        full: u32::from(seed % 5 == 0) * 3,
        link_breaks: 8,
        manager_deaths: 3,
        pauses: 5,
        endless: 3,
        ..Plan::default()
    });
    assert!((seen.away > 0 && seen.withdrawn > 0) || !is_thorough(), "{seen:?}");
}

/// A host that was set up is torn down when the run is over, unless it does not answer then.
#[test]
fn hosts_are_set_up_once_before_their_jobs_and_torn_down_after_them() {
    let seen = run_some(500, |seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 3,
        slots: 2,
        tasks: true,
        bad_setup: seed % 2 == 0,
        interrupt: seed % 3 == 0,
        failing: 6,
        retries: 1,
        outputs: seed % 5 == 0,
        swallows: if seed % 4 == 0 { 4 } else { 0 },
        link_breaks: 8,
        crashes: 3,
        manager_deaths: 3,
        ..Plan::default()
    });
    let all = seen.setups > 0 && seen.teardowns > 0 && seen.failed_setups > 0;
    assert!(all || !is_thorough(), "{seen:?}");
}

#[test]
fn hosts_that_come_and_go_are_set_up_before_their_jobs() {
    let seen = run_some(500, |seed| Plan {
        longest: 1500,
        seed,
        jobs: 60,
        hosts: 3,
        slots: 2,
        tasks: true,
        late_hosts: 2,
        drains: 5,
        removals: 5,
        new_slots: 3,
        full: u32::from(seed % 4 == 0) * 3,
        link_breaks: 6,
        crashes: 2,
        manager_deaths: 3,
        ..Plan::default()
    });
    assert!((seen.setups > 0 && seen.begun_late > 0) || !is_thorough(), "{seen:?}");
}

#[test]
fn added_hosts_begin_no_job_before_another_host_knows_of_them() {
    let seen = run_some(100, |seed| Plan {
        longest: 300,
        seed,
        jobs: 200,
        hosts: 2,
        slots: 2,
        late_hosts: 3,
        ..Plan::default()
    });
    assert!(seen.begun_late > 0 || !is_thorough(), "{seen:?}");
}
