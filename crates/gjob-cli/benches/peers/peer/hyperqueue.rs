//! HyperQueue: a server here, and a worker on each host that connects to it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::Peer;
use crate::bench::field::{Field, HOSTS, Place};
use crate::bench::machine::{first_line, has};
use crate::bench::measurement::Plan;
use crate::bench::work::{Jobs, Load};

/// Jobs at once on each host.
const SLOTS: usize = 2;

#[derive(Default)]
pub(super) struct HyperQueue {
    server_dir: PathBuf,
    server: Option<Child>,
    /// The sshs that the workers run under.
    workers: Vec<Child>,
}

impl HyperQueue {
    fn hq(&self) -> Command {
        let mut command = Command::new("hq");
        command.arg("--server-dir").arg(&self.server_dir).stdin(Stdio::null());
        command
    }

    fn server_start(&self) -> Command {
        let mut command = self.hq();
        command.args(["server", "start", "--host", "127.0.0.1"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

/// An array of jobs, as `hq job list` shows it.
#[derive(Deserialize)]
struct Array {
    id: u32,
    task_stats: TaskStats,
}

#[derive(Deserialize)]
struct TaskStats {
    finished: usize,
}

fn succeed(mut command: Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

impl Peer for HyperQueue {
    fn name(&self) -> &str {
        "hq"
    }

    fn about(&self) -> &str {
        "HyperQueue, `hq submit --array --wait`, each job's output in two files; its server and its workers run already"
    }

    fn version(&self) -> String {
        first_line("hq", &["--version"])
    }

    fn missing(&self) -> Option<&'static str> {
        (!has("hq")).then_some("hq")
    }

    fn start(&mut self, field: &Field) -> Result<()> {
        self.server_dir = field.scratch().join("hq-server");
        self.server = Some(self.server_start().spawn()?);
        let mut wait = self.hq();
        wait.args(["server", "wait", "--timeout", "20s"]);
        succeed(wait)?;
        for host in field.bed().hosts() {
            let worker = format!(
                "hq --server-dir {} worker start --cpus {SLOTS} --manager none --hostname {}",
                self.server_dir.display(),
                host.alias()
            );
            let mut ssh = field.bed().ssh(host.alias());
            let child = ssh.arg(worker).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            self.workers.push(child);
        }
        let mut wait = self.hq();
        wait.args(["worker", "wait", &HOSTS.to_string()]);
        succeed(wait)
    }

    fn servers(&self) -> Vec<u32> {
        self.server.iter().map(Child::id).collect()
    }

    fn takes(&self, load: &Load) -> bool {
        matches!(load, Load::Jobs(jobs) if !jobs.delayed && jobs.slots == SLOTS)
    }

    fn plan(&self, place: &Place<'_>, load: &Load) -> Result<Plan> {
        let Load::Jobs(Jobs { count, command: line, needs_shell, .. }) = load else {
            unreachable!("not taken")
        };
        let mut command = self.hq();
        command.args(["submit", "--wait", "--array", &format!("1-{count}"), "--"]);
        if *needs_shell {
            command.arg("bash").arg(place.write("script", &format!("{line}\n"))?);
        } else {
            command.args(line.split(' '));
        }
        command.current_dir(place.dir());
        Ok(Plan::new(*count, vec![command]))
    }

    /// `submit --wait` succeeds whatever becomes of the jobs.
    fn check(&self, given: usize) -> Result<()> {
        let mut list = self.hq();
        list.args(["--output-mode", "json", "job", "list", "--all"]);
        let output = list.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let arrays: Vec<Array> = serde_json::from_slice(&output.stdout)?;
        let last = arrays.into_iter().max_by_key(|array| array.id).context("no jobs")?;
        let finished = last.task_stats.finished;
        ensure!(finished == given, "{finished} of {given} tasks finished");
        Ok(())
    }
}

impl Drop for HyperQueue {
    /// Workers end with their server.
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill().and_then(|()| server.wait());
        }
        for worker in &mut self.workers {
            let _ = worker.kill().and_then(|()| worker.wait());
        }
    }
}
