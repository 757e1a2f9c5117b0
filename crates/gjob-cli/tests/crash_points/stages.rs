//! Jobs of three stages on this machine: each gets what those before it have written, and
//! is done only if that is right.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::Place;

const PARTS: u32 = 3;

pub(crate) struct Stages {
    place: Place,
}

impl Stages {
    pub(crate) fn new() -> Self {
        let place = Place::new();
        let mut jobs = String::new();
        let mut add = |job| jobs.push_str(&format!("{job}\n"));
        for part in 1..=PARTS {
            let cmds = format!("mkdir d; seq {part}000 > d/numbers; echo {part} > d/which");
            add(json!({"name": format!("part-{part}"), "cmds": cmds, "outputs": "d"}));
        }
        for part in 1..=PARTS {
            let cmds = format!(
                "test $(cat part-{part}/d/which) = {part}; \
                 seq {part}000 | cmp - part-{part}/d/numbers; wc -l < part-{part}/d/numbers > n"
            );
            let file = format!("@part-{part}/d");
            let name = format!("count-{part}");
            add(json!({"name": name, "cmds": cmds, "files": file, "outputs": "n"}));
        }
        let cmds = "cat count-*/n | xargs";
        add(json!({"name": "all", "cmds": cmds, "files": "@count-*/n"}));
        place.file("jobs.jsonl", &jobs);
        Stages { place }
    }

    /// `gjob run` below `tracer`; true if it was killed.
    pub(crate) fn run_under(&self, mut tracer: Command) -> bool {
        use std::os::unix::process::ExitStatusExt as _;
        let status = tracer
            .arg(env!("CARGO_BIN_EXE_gjob"))
            .args(["run", "-j", "2", "--into", "out", "jobs.jsonl"])
            .current_dir(self.place.path("here"))
            .env("GJOB_STATE_DIR", self.place.path("state"))
            .env("GJOB_LEDGER_DIR", self.place.path("machine"))
            .env("GJOB_REMOTE_PATH", self.place.path("results"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        status.signal() == Some(9)
    }

    /// Takes the run up, if there is one, and finds all that is not as it should be.
    pub(crate) fn faults(&self) -> Vec<String> {
        if !self.place.has_run() {
            return Vec::new();
        }
        let mut faults = Vec::new();
        let attached = self.place.gjob(&["attach"]).output();
        if attached.code != 0 {
            faults.push(format!("attach does not exit with 0: {attached:?}"));
        }
        let printed = self.place.gjob(&["logs", "all"]).output().stdout;
        if printed != "1000 2000 3000\n" {
            faults.push(format!("the last stage has counted {printed:?}"));
        }
        for (index, attempts) in self.place.of_jobs("attempts").iter().enumerate() {
            let attempts = attempts.as_array().unwrap().iter();
            if attempts.filter(|attempt| !attempt["started"].is_null()).count() != 1 {
                faults.push(format!("job {index} was not started once"));
            }
        }
        faults
    }
}
