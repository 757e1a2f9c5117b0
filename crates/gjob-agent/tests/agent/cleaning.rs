//! Removing what is over: job directories, and runs.

use gjob_core::text::Foreign;
use gjob_core::wire::{FromAgent, ToAgent};
use gjob_core::{JobId, Key};

use crate::driver::{Agent, Bed, eventually, launch};
use crate::staging::{hash, store};

const RUN: &str = "2026-11-22-1";

fn remove(agent: &mut Agent, run: &str, jobs: Vec<(Key, JobId)>) -> (u32, Vec<(JobId, Foreign)>) {
    let (run, host) = (run.parse().unwrap(), ":".parse().unwrap());
    agent.send(&ToAgent::Remove { request: 4, run, host, jobs });
    match agent.answer() {
        FromAgent::Removed { request: 4, gone, kept } => (gone, kept),
        other => panic!("expected removals, not {other:?}"),
    }
}

fn forget(agent: &mut Agent, run: &str) -> Result<(u64, u64), Foreign> {
    let (run, host) = (run.parse().unwrap(), ":".parse().unwrap());
    agent.send(&ToAgent::Forget { request: 5, run, host });
    match agent.answer() {
        FromAgent::Forgotten { request: 5, result } => result,
        other => panic!("expected an answer, not {other:?}"),
    }
}

fn look(bed: &Bed) -> Agent {
    bed.attach_changed(|attach| attach.run = None)
}

#[test]
fn directories_of_jobs_that_have_ended_are_removed() {
    let bed = Bed::new();
    let mut agent = bed.attach_unprivileged(1, 0);
    let outside = bed.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("precious"), "").unwrap();
    let scripts = [
        format!(
            "ln -s {0} out; mkdir -p a/b; ln -s {0} a/b/out; touch a/b/c; chmod 0 a/b; chmod 500 a",
            outside.display()
        ),
        "for i in $(seq 300); do mkdir d; touch d/f; cd -P d; done".to_owned(),
        "touch x; chmod 0 .".to_owned(),
        "rm .lock .job .done.new; for i in $(seq 3000); do : > $i; done".to_owned(),
        "mkdir .done; touch .done/x".to_owned(),
    ];
    let mut jobs = Vec::new();
    for (index, script) in scripts.iter().enumerate() {
        let finish = agent.run(launch(index as u32, script));
        jobs.push((finish.key.unwrap(), finish.id));
    }
    let live: JobId = {
        agent.launch(launch(9, "sleep 300"));
        agent.started(9).parse().unwrap()
    };
    jobs.push((Key::new(9, 1), live.clone()));
    let ended = jobs[0].clone();
    assert_eq!(remove(&mut agent, RUN, vec![(Key::new(7, 1), jobs[1].1.clone())]), {
        (0, vec![(jobs[1].1.clone(), "it is not a job of this run".into())])
    });
    assert_eq!(remove(&mut agent, "2026-11-22-2", vec![ended.clone()]), {
        (0, vec![(ended.1.clone(), "it is not a job of this run".into())])
    });
    let count = jobs.len() as u32 - 1;
    assert_eq!(remove(&mut agent, RUN, jobs.clone()), {
        (count, vec![(live.clone(), "it is still running".into())])
    });
    for (_, id) in &jobs {
        assert_eq!(bed.results().join(id.as_str()).exists(), *id == live);
    }
    assert!(outside.join("precious").exists());
    assert_eq!(
        remove(&mut bed.look_unprivileged(), RUN, vec![ended]),
        (0, vec![]),
        "it is gone already, and counts for nothing"
    );
}

#[test]
fn forgotten_run_leaves_the_blobs_that_others_need() {
    let bed = Bed::new();
    let mut first = bed.attach(1, 0, 1);
    let [shared, own] = [b"shared", b"my own"].map(|content| hash(content));
    first.send(&ToAgent::AskBlobs { hashes: vec![shared, own] });
    first.answer();
    store(&mut first, shared, b"shared");
    store(&mut first, own, b"my own");
    let mut second =
        bed.attach_changed(|attach| attach.run = Some("2026-11-22-2".parse().unwrap()));
    second.send(&ToAgent::AskBlobs { hashes: vec![shared] });
    second.answer();
    let mut looker = look(&bed);
    assert_eq!(forget(&mut looker, RUN), Err("the run is in use by another gjob".into()));
    first.launch(launch(0, "touch began; while test ! -e end; do sleep 0.01; done"));
    let id = first.started(0);
    first.kill_9();
    assert_eq!(forget(&mut looker, RUN), Err(format!("its job {id} is still running").into()));
    let dir = bed.results().join(&id);
    std::fs::write(dir.join("end"), "").unwrap();
    let mut forgotten = Err(Foreign::default());
    eventually("the slot's end", || {
        forgotten = forget(&mut looker, RUN);
        forgotten.is_ok()
    });
    assert_eq!(forgotten, Ok((1, 6)));
    assert!(!bed.run_dir().parent().unwrap().exists());
    assert!(bed.blob(shared).exists() && !bed.blob(own).exists());
    assert!(dir.exists(), "job directories are removed by name only");
    assert_eq!(forget(&mut looker, RUN), Ok((0, 0)));
}

#[test]
fn agent_that_serves_a_run_forgets_none() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let (run, host) = ("2026-11-22-2".parse().unwrap(), ":".parse().unwrap());
    agent.send(&ToAgent::Forget { request: 5, run, host });
    let (reason, permanent) = agent.fault();
    assert!(permanent && reason.ends_with("an agent that serves a run forgets none"), "{reason}");
}

#[test]
fn run_whose_lock_was_replaced_is_forgotten() {
    let fifo = |path: &std::path::Path| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
    };
    let odd: [&dyn Fn(&std::path::Path); 3] =
        [&fifo, &|path| std::fs::create_dir(path).unwrap(), &|path| {
            std::os::unix::fs::symlink("nowhere", path).unwrap();
        }];
    for put in odd {
        let bed = Bed::new();
        let mut agent = bed.attach(1, 0, 1);
        assert!(agent.run(launch(0, "true")).is_success());
        agent.leave();
        bed.wait_until_empty();
        let lock = bed.run_dir().join("lock");
        std::fs::remove_file(&lock).unwrap();
        put(&lock);
        assert_eq!(forget(&mut look(&bed), RUN), Ok((0, 0)));
        assert!(!bed.run_dir().exists());
    }
}

#[test]
fn what_was_put_aside_of_a_run_is_forgotten_with_it() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let blob = hash(b"content");
    agent.send(&ToAgent::AskBlobs { hashes: vec![blob] });
    agent.answer();
    assert!(agent.run(launch(0, "true")).is_success());
    agent.leave();
    bed.wait_until_empty();
    let (label, run) = (bed.run_dir(), bed.run_dir().parent().unwrap().to_owned());
    let other = format!("{}.x.aside", label.with_file_name("other").display());
    let aside = |path: &std::path::Path| format!("{}.x.aside", path.display());
    let odd = [aside(&label), aside(&run), aside(&bed.blob(blob)), aside(&bed.blob(hash(b"")))];
    for path in odd.iter().chain([&other]) {
        std::fs::create_dir_all(format!("{path}/deep")).unwrap();
    }
    assert_eq!(forget(&mut look(&bed), RUN), Ok((0, 0)));
    assert!(!label.exists() && odd.iter().all(|path| !std::path::Path::new(path).exists()));
    assert!(std::path::Path::new(&other).exists(), "it is another label's");
}
