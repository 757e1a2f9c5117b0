//! gjob: the program built with this benchmark, or another one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use super::Peer;
use crate::bench::field::{HOSTS, Place};
use crate::bench::machine::first_line;
use crate::bench::measurement::Plan;
use crate::bench::work::{Jobs, Load};

pub(super) struct Gjob {
    name: &'static str,
    program: PathBuf,
}

impl Gjob {
    pub(super) fn built() -> Self {
        Self { name: "gjob", program: env!("CARGO_BIN_EXE_gjob").into() }
    }

    pub(super) fn other(program: &Path) -> Self {
        Self { name: "other", program: program.to_owned() }
    }

    /// A run with records of its own, in the place's directory on the hosts.
    fn run(&self, place: &Place<'_>, state: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["run", "--no-config", "-r"])
            .current_dir(place.dir())
            .env("GJOB_STATE_DIR", place.dir().join(state))
            .stdin(Stdio::null());
        command
    }

    fn run_on_hosts(&self, place: &Place<'_>, slots: usize, config: &Path) -> Command {
        let mut command = self.run(place, "state");
        command.arg(place.name()).args(["-H", &place.field().host_list()]);
        command.args(["-j", &slots.to_string()]).arg("-F").arg(config);
        command
    }

    /// Sends the program to the hosts, with a job on each.
    fn warm_up(&self, place: &Place<'_>, hosts: &str, config: &Path) -> Command {
        let mut command = self.run(place, "state-before");
        command.arg(place.name()).args(["-H", hosts]).arg("-F").arg(config);
        command.args(["-j", "1", "--each-host", "--", "true"]);
        command
    }

    fn plan_jobs(&self, place: &Place<'_>, jobs: &Jobs) -> Result<Plan> {
        let file = place.write("jobs.txt", &format!("{}\n", jobs.command).repeat(jobs.count))?;
        let field = place.field();
        let config = field.ssh_config(jobs.delayed);
        let mut command = self.run_on_hosts(place, jobs.slots, config);
        command.arg(file);
        let before = vec![self.warm_up(place, &field.host_list(), field.ssh_config(false))];
        Ok(Plan { before, ..Plan::new(jobs.count, vec![command]) })
    }
}

impl Peer for Gjob {
    fn name(&self) -> &str {
        self.name
    }

    fn about(&self) -> &str {
        "`gjob run`, logins included, its program sent to the hosts before but for the work of bare hosts"
    }

    fn version(&self) -> String {
        first_line(&self.program.to_string_lossy(), &["--version"])
    }

    fn missing(&self) -> Option<&'static str> {
        None
    }

    fn takes(&self, _load: &Load) -> bool {
        true
    }

    fn plan(&self, place: &Place<'_>, load: &Load) -> Result<Plan> {
        let field = place.field();
        let config = field.ssh_config(false);
        let given = load.jobs();
        let (mut command, warm_up) = match load {
            Load::Jobs(jobs) => return self.plan_jobs(place, jobs),
            Load::Shared { jobs, copies } => {
                let mut command = self.run_on_hosts(place, 2, config);
                command.arg("-f").arg(field.input()?);
                command.args((!copies).then_some("--link-files"));
                command.arg(place.write("jobs.txt", &"test -s input\n".repeat(*jobs))?);
                (command, Some((field.host_list(), config)))
            }
            Load::EachName { names } => {
                let config = field.names_config();
                let mut command = self.run(place, "state");
                command.arg(place.name()).args(["-H", &format!("n[1-{names}]")]);
                command.args(["-j", "1", "--each-host", "-F"]).arg(config).args(["--", "true"]);
                (command, Some(("n1".to_owned(), config)))
            }
            Load::OneHost => {
                let mut command = self.run(place, "state");
                command.arg(place.name()).args(["-H", "h1", "-F"]).arg(config);
                command.args(["--", "true"]);
                (command, Some(("h1".to_owned(), config)))
            }
            Load::Here => {
                let mut command = self.run(place, "state");
                command.arg(place.dir().join("results")).args(["--", "true"]);
                (command, None)
            }
            Load::Bare { jobs } => {
                let mut command = self.run_on_hosts(place, jobs / HOSTS, config);
                command.arg(place.write("jobs.txt", &"true\n".repeat(*jobs))?);
                (command, None)
            }
            Load::Metg { .. } => unreachable!("its trials are jobs"),
        };
        command.stdin(Stdio::null());
        let mut plan = Plan::new(given, vec![command]);
        plan.before.extend(warm_up.map(|(hosts, config)| self.warm_up(place, &hosts, config)));
        Ok(plan)
    }

    fn is_traceable(&self) -> bool {
        true
    }
}
