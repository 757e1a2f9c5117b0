//! xargs: on each host, which is the limit, and on this side with an ssh a job.

use std::fs::File;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::{Peer, tenth};
use crate::bench::field::{HOSTS, Place};
use crate::bench::machine::{first_line, has};
use crate::bench::measurement::Plan;
use crate::bench::work::{Jobs, Load};

/// One login a host, and no records or outputs of jobs: what the hosts can do at all.
pub(super) struct There;

/// A login a job.
pub(super) struct Here;

impl Peer for There {
    fn name(&self) -> &str {
        "xargs"
    }

    fn about(&self) -> &str {
        "`seq | xargs -P` on each host over one ssh: no records, no output files; shared input by `ssh HOST 'cat >f'`, \
         copies by `cp`"
    }

    fn version(&self) -> String {
        first_line("xargs", &["--version"])
    }

    fn missing(&self) -> Option<&'static str> {
        (!has("xargs")).then_some("xargs")
    }

    fn takes(&self, load: &Load) -> bool {
        match load {
            Load::Jobs(jobs) => !jobs.delayed,
            Load::Shared { .. } | Load::Here | Load::Metg { .. } => true,
            Load::EachName { .. } | Load::OneHost | Load::Bare { .. } => false,
        }
    }

    fn plan(&self, place: &Place<'_>, load: &Load) -> Result<Plan> {
        let given = load.jobs();
        let (each, name) = (given / HOSTS, place.name());
        let commands = match load {
            Load::Jobs(Jobs { needs_shell: true, command, slots, .. }) => {
                let run = format!("xargs -P {slots} -n 1 bash script");
                let script = format!("echo '{command}' >script && seq {each} | {run}");
                place.on_each_host(&format!("mkdir {name} && cd {name} && {script}"))
            }
            Load::Jobs(Jobs { command, slots, .. }) => {
                place.on_each_host(&format!("seq {each} | xargs -P {slots} -I@ {command}"))
            }
            Load::Shared { copies, .. } => {
                let job = if *copies { "cp f f.@ && test -s f.@" } else { "test -s f" };
                let run = format!("seq {each} | xargs -P 2 -I@ bash -ec '{job}'");
                let mut commands =
                    place.on_each_host(&format!("mkdir {name} && cd {name} && cat >f && {run}"));
                for command in &mut commands {
                    command.stdin(File::open(place.field().input()?)?);
                }
                commands
            }
            Load::Here => {
                let mut command = Command::new("sh");
                command.args(["-c", "seq 1 | xargs -n 1 true"]).stdin(Stdio::null());
                vec![command]
            }
            Load::EachName { .. } | Load::OneHost | Load::Bare { .. } | Load::Metg { .. } => {
                unreachable!("not taken")
            }
        };
        Ok(Plan::new(given, commands))
    }
}

impl Peer for Here {
    fn name(&self) -> &str {
        "xargs-ssh"
    }

    fn about(&self) -> &str {
        "`xargs -P` on this side, an ssh a job, a tenth of the jobs"
    }

    fn version(&self) -> String {
        There.version()
    }

    fn missing(&self) -> Option<&'static str> {
        There.missing()
    }

    fn takes(&self, load: &Load) -> bool {
        // Thousands of logins take minutes, and say nothing that hundreds don't.
        matches!(load, Load::Jobs(jobs) if !jobs.delayed && jobs.count <= 1_000)
    }

    fn plan(&self, place: &Place<'_>, load: &Load) -> Result<Plan> {
        let Load::Jobs(jobs) = load else { unreachable!("not taken") };
        let given = tenth(jobs.count);
        let numbers: String = (0..given).map(|number| format!("{number}\n")).collect();
        let input = place.write("numbers", &numbers)?;
        let config = place.field().ssh_config(false).display();
        let ssh = format!("ssh -F {config} h$((@ % {HOSTS} + 1)) '{}'", jobs.command);
        let mut command = Command::new("xargs");
        command.args(["-P", &(jobs.slots * HOSTS).to_string(), "-I@", "sh", "-c", &ssh]);
        command.stdin(File::open(input)?);
        Ok(Plan::new(given, vec![command]))
    }
}
