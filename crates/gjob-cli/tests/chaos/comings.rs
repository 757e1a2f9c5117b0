//! A run whose hosts are added, drained, removed and restarted all the time, while its
//! managers are killed: nothing is lost, nothing has two outcomes, every byte is right, from
//! stage to stage.

use std::time::{Duration, Instant};

use gjob_testbed::NetBed;

use crate::field::Field;
use crate::judge::{Injuries, Judge};
use crate::ledger::{Ledger, now};
use crate::reign::Reign;
use crate::seed::Random;
use crate::storm::left_behind;
use crate::support::{Place, eventually};

/// Of each host.
const SLOTS: u32 = 4;

/// A run of this size on `bed`, whose last host is not one of it at first.
pub(crate) fn rage(bed: NetBed, jobs: u32, longest_ms: u32, seed: u64) {
    eprintln!("chaos: GJOB_CHAOS_SEED={seed} {jobs} jobs on hosts that come and go");
    let field = Field::Net(bed);
    let place = Place::new();
    let ledger = Ledger::new(place.path("ledger"), longest_ms).with_held_jobs(jobs).with_stages();
    place.file("jobs.jsonl", &ledger.jobs(jobs));
    let aliases: Vec<String> = field.sites().iter().map(|it| it.alias().to_owned()).collect();
    let named = |at: usize| format!("{SLOTS}/{}", aliases[at]);
    let first: Vec<String> = (0..aliases.len() - 1).map(named).collect();
    let config = field.ssh_config().to_str().unwrap();
    let hosts = first.join(",");
    let args = [
        ["run", "-F", config, "-r", "results", "-H", &hosts],
        ["--show", "none", "--into", "out", "--lost-after", "600s", "jobs.jsonl"],
    ];
    let began = Instant::now();
    let mut reign = Reign::begin(&place, args.as_flattened());
    let mut random = Random(seed);
    let mut injuries = Injuries::default();
    let mut is_over = false;
    let (mut changes, mut restarts, mut kills) = ([0_u32; 3], 0_u32, 0_u32);
    eventually("jobs end", || ledger.ends() > 5);
    let limit = Duration::from_secs(120 + u64::from(jobs) / 2);
    let change = |what: &str, host: &str| place.gjob(&["hosts", what, host]).output().code == 0;
    loop {
        if reign.ended().is_some_and(|status| matches!(status.code(), Some(0 | 1))) {
            break;
        }
        assert!(began.elapsed() < limit, "no end, {} ended:\n{}", ledger.ends(), reign.said());
        if reign.ended().is_some() {
            // Every host was drained or removed.
            (0..aliases.len()).for_each(|at| _ = change("add", &named(at)));
            reign.attach();
        }
        // Some jobs never begin, since they wait for others that fail.
        if ledger.ends() >= (jobs * 7 / 10) as usize {
            if !std::mem::replace(&mut is_over, true) {
                (0..aliases.len()).for_each(|at| _ = change("add", &named(at)));
                ledger.release();
            }
            std::thread::sleep(Duration::from_millis(20));
            continue;
        }
        let at = (random.next() % aliases.len() as u64) as usize;
        match random.next() % 10 {
            0..3 => changes[0] += u32::from(change("add", &named(at))),
            3..5 => changes[1] += u32::from(change("drain", &aliases[at])),
            5..7 => {
                let before = now();
                changes[2] += u32::from(change("remove", &aliases[at]));
                // What was on its way there may have begun since.
                let after = now() + Duration::from_secs(5);
                injuries.crashes.push((aliases[at].clone(), before, after));
            }
            7 => {
                kills += 1;
                reign.kill();
                std::thread::sleep(Duration::from_millis(random.next() % 300));
                reign.attach();
            }
            8 => {
                let Some(host) = field.net_host(at) else { continue };
                let before = now();
                host.crash();
                injuries.crashes.push((aliases[at].clone(), before, now()));
                host.boot();
                restarts += 1;
            }
            _ => std::thread::sleep(Duration::from_millis(300)),
        }
    }
    let mut faults = left_behind(&field);
    let (status, results) = (&place.status(), &field.results());
    let (ledger, injuries, outputs) = (&ledger, &injuries, &place.path("here/out"));
    let judge = Judge { jobs, ledger, status, injuries, results, outputs, slots: SLOTS };
    faults.extend(judge.faults());
    eprintln!(
        "chaos: seed {seed}: {jobs} jobs, hosts added {}, drained {}, removed {}, restarted \
         {restarts}, managers killed {kills}, {:.1} s, {}",
        changes[0],
        changes[1],
        changes[2],
        began.elapsed().as_secs_f64(),
        status["counts"],
    );
    assert!(faults.is_empty(), "{}\n--- managers:\n{}", faults.join("\n"), reign.said());
}
