//! Hosts that are reached by a command of the user's, not by ssh: into another
//! environment and home directory, and, as root, into other namespaces.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::path::{Path, PathBuf};

use gjob_testbed::{NetBed, Process};
use serde_json::json;
use support::{Place, eventually, lines};

/// Directories that pass for hosts: a script gives a shell in one of them.
struct Boxes {
    dir: PathBuf,
}

impl Boxes {
    fn new(place: &Place, names: &[&str]) -> Self {
        let boxes = Boxes { dir: place.path("boxes") };
        for name in names {
            std::fs::create_dir_all(boxes.home(name)).unwrap();
        }
        let script = format!(
            "home={}/$1; shift; echo $$ >>\"$home/pipes\"; cd \"$home\"\n\
             exec env -i HOME=\"$home\" PATH=\"$PATH\" \"$@\"\n",
            boxes.dir.display()
        );
        std::fs::write(boxes.dir.join("enter"), script).unwrap();
        boxes
    }

    fn home(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The words that `--connect` takes apart.
    fn connect(&self) -> String {
        format!("sh '{}/enter' {{host}}", self.dir.display())
    }

    /// The processes that were pipes to a box, the newest last.
    fn pipes(&self, name: &str) -> Vec<String> {
        lines(&self.home(name).join("pipes"))
    }

    fn job_dirs(&self, name: &str) -> usize {
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let dirs = std::fs::read_dir(self.home(name).join("results").join(hostname));
        let dirs = dirs.into_iter().flatten().flatten();
        dirs.filter(|dir| dir.path().join(".cmds").exists()).count()
    }
}

fn kill(pid: &str) {
    Process::find(pid.parse().unwrap()).unwrap().kill();
}

/// A job that notes its beginning, and ends when there is a file `go`.
fn waiting_jobs(place: &Place, count: usize) -> PathBuf {
    let (begun, go) = (place.path("begun"), place.path("go"));
    let job = format!(
        "echo $GJOB_INDEX >>{}; for i in $(seq 600); do [ -e {} ] && exit; sleep 0.1; done; exit 1\n",
        begun.display(),
        go.display()
    );
    place.file("jobs.txt", &job.repeat(count));
    begun
}

#[test]
fn connect_command_carries_files_outputs_logs_and_cleaning() {
    let place = Place::new();
    let boxes = Boxes::new(&place, &["b1", "b2"]);
    place.file("in.txt", "input\n");
    // All at once, so that both hosts have some.
    let all =
        "echo x >>../../../../begun; until [ $(wc -l <../../../../begun) = 4 ]; do sleep 0.1; done";
    place.file("jobs.txt", &format!("{all}; cat in.txt >out.txt; echo $HOME\n").repeat(4));
    let connect = boxes.connect();
    let args = ["run", "-H", "2/b[1-2]", "--connect", &connect, "-r", "results"];
    let rest = ["-f", "in.txt", "-o", "out.txt", "--into", "got", "jobs.txt"];
    let answer = place.gjob(&[&args[..], &rest[..]].concat()).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    for job in 0..4 {
        let output = place.path("here/got").join(job.to_string()).join("out.txt");
        assert_eq!(std::fs::read_to_string(output).unwrap(), "input\n");
    }
    let hosts = place.of_jobs("host");
    assert!(hosts.contains(&json!("b1")) && hosts.contains(&json!("b2")), "{hosts:?}");
    for name in ["b1", "b2"] {
        assert_eq!(boxes.pipes(name).len(), 1, "{name}");
        assert!(boxes.home(name).join("results/.gjob/bin").is_dir());
        assert_eq!(boxes.job_dirs(name), 2);
    }
    let home = format!("[PLACE]/boxes/{}\n", hosts[0].as_str().unwrap());
    place.gjob(&["logs", "0"]).stdout(home).run();
    let pipes = boxes.pipes("b1").len() + boxes.pipes("b2").len();
    assert_eq!(pipes, 3, "only the job's host is reached again");
    let answer = place.gjob(&["fetch", "3", "--into", "again"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(place.path("here/again/3/out.txt").exists());
    let answer = place.gjob(&["clean", "latest"]).output();
    assert_eq!((answer.code, answer.stderr.as_str()), (0, ""));
    assert_eq!(boxes.job_dirs("b1") + boxes.job_dirs("b2"), 0);
}

#[test]
fn attach_reaches_connect_hosts_without_the_cluster_file() {
    let place = Place::new();
    let boxes = Boxes::new(&place, &["b1"]);
    let begun = waiting_jobs(&place, 2);
    let text = format!(
        "[cluster.boxes]\nhosts = 'b1'\nconnect = \"{}\"\nslots = 2\nresults_dir = 'results'\n",
        boxes.connect()
    );
    let file = place.file("lab.toml", &text);
    let manager = place.gjob(&["run", "-c", "lab.toml", "jobs.txt"]).start();
    eventually("both jobs run", || lines(&begun).len() == 2);
    kill(&boxes.pipes("b1")[0]);
    eventually("the host is reached again", || boxes.pipes("b1").len() == 2);
    manager.kill_9();
    std::fs::remove_file(file).unwrap();

    let answer = place.gjob(&["kill", "1"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    std::fs::write(place.path("go"), "").unwrap();
    let answer = place.gjob(&["attach"]).output();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert_eq!(place.of_jobs("reason"), [json!(null), json!("killed")]);
    assert_eq!(place.of_jobs("attempt"), [1, 1]);
    assert_eq!(lines(&begun).len(), 2, "each has begun once");
    assert_eq!(boxes.job_dirs("b1"), 2);
}

#[test]
fn hosts_in_other_namespaces_are_entered_and_left_without_harm_to_their_jobs() {
    let Some(bed) = NetBed::start(2) else { return };
    let place = Place::new();
    let begun = waiting_jobs(&place, 4);
    for host in bed.hosts() {
        let init = host.init().unwrap().pid();
        let script = format!(
            "exec nsenter --target {init} --net --uts --mount --pid -- \
             env -i HOME={} PATH=\"$PATH\" \"$@\"\n",
            host.home().display()
        );
        std::fs::write(place.path("here").join(host.alias()), script).unwrap();
    }
    let hosts = bed.host_list();
    let args = ["run", "-H", &hosts, "--connect", "sh {host}", "-j", "2", "-r", "results"];
    let manager = place.gjob(&[&args[..], &["jobs.txt"]].concat()).start();
    eventually("all jobs run", || lines(&begun).len() == 4);
    let of_manager = |process: &Process| process.parent() == Some(manager.pid());
    let pipes = || children_of(manager.pid());
    let before = pipes();
    assert_eq!(before.len(), 2);
    assert!(before.iter().all(of_manager));
    // With what they have brought along: the agents, but not the jobs.
    before.iter().flat_map(|pipe| children_of(pipe.pid())).for_each(|agent| agent.kill());
    before.iter().for_each(Process::kill);
    eventually("both hosts are reached again", || {
        let now = pipes();
        now.len() == 2 && now.iter().all(|pipe| before.iter().all(|old| old.pid() != pipe.pid()))
    });
    std::fs::write(place.path("go"), "").unwrap();
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let status = place.status();
    assert_eq!(status["counts"]["done"], 4);
    assert_eq!(lines(&begun).len(), 4, "each has begun once");
    for (host, known) in bed.hosts().iter().zip(status["hosts"].as_array().unwrap()) {
        assert_eq!(known["hostname"], host.hostname(), "the agent runs inside");
    }
}

fn children_of(pid: u32) -> Vec<Process> {
    let path = format!("/proc/{pid}/task");
    let threads = std::fs::read_dir(path).into_iter().flatten().flatten();
    let children = threads.map(|thread| read(&thread.path().join("children")));
    let pids: Vec<u32> = children
        .flat_map(|c| c.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
        .collect();
    pids.into_iter().filter_map(Process::find).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn missing_connect_program_is_named() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    let answer = place
        .gjob(&["run", "-H", "b1", "--connect", "/no/such/docker {host}", "jobs.txt"])
        .output();
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    let reason = "cannot start /no/such/docker: No such file or directory (os error 2)";
    assert!(answer.stderr.contains(reason), "{}", answer.stderr);
    assert_eq!(place.of_jobs("state"), ["free"]);
}

#[test]
fn connect_commands_that_cannot_be_meant_are_refused() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    let refused = |args: &[&str], expected: &str| {
        let all = [&["run"], args, &["jobs.txt"]].concat();
        let lines = expected.lines().chain(["nothing was started"]);
        let lines: String = lines.map(|line| format!("gjob: {line}\n")).collect();
        place.gjob(&all).code(2).stderr(lines).run();
    };
    refused(
        &["-H", "b1", "--connect", " "],
        "--connect: invalid connect command \"\": expected a program and its arguments, such as \
         docker exec -i {host}",
    );
    refused(
        &["-H", "b1", "--connect", "docker 'exec"],
        "--connect: invalid connect command \"docker 'exec\": a quote or a backslash at its end \
         is not closed",
    );
    refused(
        &["-H", "b1", "--connect", "docker exec {hots}"],
        "--connect: unknown placeholder {hots} in the connect command: expected {host}, {user} or \
         {port}",
    );
    refused(
        &["-H", "b1,b2", "--connect", "docker exec -i box"],
        "hosts b1 and b2 are reached by the same command, \"docker exec -i box\": expected {host} \
         in it",
    );
    refused(
        &["-H", "b1", "--connect", "su {user}"],
        "host b1 has no user, but the connect command uses {user}",
    );
    refused(
        &["--connect", "docker exec -i {host}"],
        "--connect is not used by any host: name hosts with -H",
    );
    refused(
        &["-H=-privileged", "--connect", "docker exec -i {host}"],
        "host list, item 1: invalid host name \"-privileged\": expected up to 200 letters, digits \
         and -._, not starting with a dash",
    );
    place.file("lab.toml", "[cluster.a]\nhots = 'b1'\nconnect = []\n");
    refused(
        &["-c", "lab.toml"],
        "lab.toml:2: unknown key \"hots\": did you mean \"hosts\"?\n\
         lab.toml:3: invalid connect command \"\": expected a program and its arguments, such as \
         docker exec -i {host}\n\
         lab.toml:1: cluster a has no hosts: expected hosts = \"node[1-4]\" or a list of such texts",
    );
}

#[test]
fn dry_run_shows_how_each_host_is_reached() {
    let place = Place::new();
    place.file(
        "lab.toml",
        "[cluster.pods]\nhosts = 'p1'\nconnect = 'kubectl exec -i {host} --'\nslots = 3\n",
    );
    place.file("jobs.txt", "true\n");
    place
        .gjob(&["run", "--dry-run", "-H", "h1", "-c", "lab.toml", "jobs.txt"])
        .stdout(
            "host h1\n\
             host p1, 3 slots, cluster pods, by kubectl exec -i {host} --\n\
             job 0\n    \
                 commands: true\n",
        )
        .run();
}
