//! Launches that are not sent for what their jobs need.

use super::*;

const H1: HostIx = HostIx(1);

#[test]
fn job_with_an_unfit_input_fails_and_is_not_held_against_its_host() {
    let jobs: Vec<Init> = (0..100).map(|_| Init::new(0)).collect();
    let mut scheduler = scheduler(Config::default(), 2, &jobs);
    for host in [H0, H1] {
        scheduler.handle_host_up(NOW, host, facts(1));
    }
    loop {
        let launches = launches(&mut scheduler);
        if launches.is_empty() {
            break;
        }
        for (host, key) in launches {
            match host {
                H0 => scheduler.handle_unfit_input(NOW, host, key, "no output".into()),
                _ => drop(scheduler.handle_record(NOW, host, finished(key, Ending::Exit(0), None))),
            }
        }
    }
    let host = &scheduler.run().hosts()[0];
    assert_eq!((host.status, host.totals.host_failures), (HostStatus::Up, 0));
    let tally = scheduler.run().tally();
    assert!(tally.error >= 5 && tally.done >= 5, "{tally:?}");
    assert_eq!(scheduler.run().ended(), Some(RunEnd::Complete));
}

#[test]
fn job_whose_inputs_are_away_leaves_its_slot_and_gets_it_back() {
    let mut scheduler = scheduler(Config::default(), 1, &[Init::new(0), Init::new(0)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    let first = (H0, Key::new(0, 1));
    assert_eq!(launches(&mut scheduler), [first]);
    scheduler.handle_inputs_away(NOW, H0, first.1);
    let second = (H0, Key::new(1, 1));
    assert_eq!(launches(&mut scheduler), [second]);
    scheduler.note_sent(second.1);
    scheduler.handle_record(NOW, H0, finished(second.1, Ending::Exit(0), None));
    assert_eq!(launches(&mut scheduler), []);
    scheduler.handle_inputs_back(NOW, 0);
    assert_eq!(launches(&mut scheduler), [first], "under the same number");
    scheduler.handle_inputs_away(NOW, H0, first.1);
    scheduler.handle_inputs_lost(NOW, 0, "it is gone".into());
    assert_eq!(scheduler.run().tally().error, 1);
}

#[test]
fn launch_that_may_have_been_sent_before_is_withdrawn_first() {
    for unfit in [false, true] {
        let mut scheduler = scheduler(Config::default(), 1, &[Init::new(0)]);
        scheduler.handle_host_up(NOW, H0, facts(1));
        let (host, key) = launches(&mut scheduler)[0];
        scheduler.note_sent(key);
        scheduler.handle_host_unreachable(NOW, H0, "cut");
        scheduler.handle_host_up(NOW, H0, facts(1));
        assert_eq!(launches(&mut scheduler), [(host, key)]);
        match unfit {
            true => scheduler.handle_unfit_input(NOW, host, key, "changed".into()),
            false => scheduler.handle_inputs_away(NOW, host, key),
        }
        assert_eq!(actions(&mut scheduler), [Action::Withdraw { host, key }]);
        // It had begun.
        scheduler.handle_record(NOW, host, finished(key, Ending::Exit(0), None));
        assert_eq!(scheduler.run().tally().done, 1);
    }
}
