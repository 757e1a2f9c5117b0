//! Hosts whose jobs wait for what others use of their machines.

use super::*;
use crate::record::one_line;
use crate::wire::Sharing;

const H1: HostIx = HostIx(1);

fn sent(scheduler: &mut Scheduler) -> Vec<Action> {
    let mut all = orders(scheduler);
    all.retain(|it| matches!(it, Action::Launch { .. } | Action::Withdraw { .. }));
    all
}

fn waits(scheduler: &mut Scheduler, host: HostIx) {
    scheduler.handle_sharing(host, Sharing::Waits { what: one_line("processors") });
}

#[test]
fn jobs_that_wait_on_their_host_go_to_an_idle_one() {
    let mut scheduler = scheduler(Config::default(), 2, &[Init::new(0); 4]);
    scheduler.handle_host_up(NOW, H0, facts(2));
    scheduler.handle_host_up(NOW, H1, facts(2));
    assert_eq!(sent(&mut scheduler).len(), 4);
    waits(&mut scheduler, H0);
    // All slots of the other one are in use.
    scheduler.settle(2 * NOW);
    assert_eq!(sent(&mut scheduler), []);
    let on = |scheduler: &Scheduler, host: HostIx| -> Vec<Key> {
        let jobs = scheduler.run().host(host).unwrap().in_flight();
        jobs.map(|index| scheduler.run().jobs()[index as usize].last_key()).collect()
    };
    let (waiting, others) = (on(&scheduler, H0), on(&scheduler, H1));
    scheduler.handle_record(2 * NOW, H1, finished(others[0], Ending::Exit(0), None));
    let withdrawn = waiting[1];
    assert_eq!(sent(&mut scheduler), [Action::Withdraw { host: H0, key: withdrawn }]);
    let record = Record::Withdrawn { key: withdrawn, at: Timestamp(0) };
    scheduler.handle_record(2 * NOW, H0, record);
    assert_eq!(sent(&mut scheduler), [Action::Launch { host: H1, key: withdrawn }]);
}

#[test]
fn host_that_waits_gets_one_job_to_keep_its_place_and_the_others_once_it_goes_on() {
    let mut scheduler = scheduler(Config::default(), 2, &[Init::new(0); 8]);
    scheduler.hold();
    scheduler.handle_host_up(NOW, H0, facts(2));
    waits(&mut scheduler, H0);
    scheduler.handle_host_up(NOW, H1, facts(2));
    scheduler.release(NOW);
    let launches = sent(&mut scheduler);
    let to = |host: HostIx| {
        launches
            .iter()
            .filter(move |it| matches!(it, Action::Launch { host: at, .. } if *at == host))
    };
    assert_eq!((to(H0).count(), to(H1).count()), (1, 2));
    assert!(matches!(launches[0], Action::Launch { host: H1, .. }), "the idle one comes first");
    scheduler.handle_sharing(H0, Sharing::Goes);
    scheduler.settle(NOW);
    assert!(matches!(sent(&mut scheduler)[..], [Action::Launch { host: H0, .. }]));
}
