//! GNU parallel, with a login a job and with connections that are kept open.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::{Peer, tenth};
use crate::bench::field::Place;
use crate::bench::machine::{first_line, has};
use crate::bench::measurement::Plan;
use crate::bench::work::Load;

/// Jobs that are given to it where it sends the shared input for each.
const FEW: usize = 16;

pub(super) struct Parallel {
    /// ssh's ControlMaster.
    pub(super) keeps_connections: bool,
}

impl Parallel {
    fn command(
        &self,
        place: &Place<'_>,
        given: usize,
        slots: usize,
        config: &Path,
    ) -> Result<Command> {
        let numbers: String = (0..given).map(|number| format!("{number}\n")).collect();
        place.write("numbers", &numbers)?;
        let mut command = Command::new("parallel");
        command
            .args(["--will-cite", "-j", &slots.to_string(), "-S", &place.field().host_list()])
            .args(["--ssh", &format!("ssh {}", self.ssh_options(place, config))])
            .args(["-a", "numbers"])
            .current_dir(place.dir())
            .stdin(Stdio::null());
        Ok(command)
    }

    fn ssh_options(&self, place: &Place<'_>, config: &Path) -> String {
        let options = format!("-F {}", config.display());
        if !self.keeps_connections {
            return options;
        }
        // Fresh ones: the logins are measured.
        let path = place.dir().join("%n");
        format!(
            "{options} -o ControlMaster=auto -o ControlPersist=60 -o ControlPath={}",
            path.display()
        )
    }

    /// Closes the connections.
    fn close(&self, place: &Place<'_>, config: &Path) -> Vec<Command> {
        if !self.keeps_connections {
            return Vec::new();
        }
        let options = self.ssh_options(place, config);
        let close = |host: &gjob_testbed::Host| {
            let mut command = Command::new("ssh");
            command.args(options.split(' ')).args(["-O", "exit", host.alias()]);
            command.stdin(Stdio::null());
            command
        };
        place.field().bed().hosts().iter().map(close).collect()
    }
}

impl Peer for Parallel {
    fn name(&self) -> &str {
        if self.keeps_connections { "parallel-kept" } else { "parallel" }
    }

    fn about(&self) -> &str {
        if self.keeps_connections {
            "`parallel -S` with ssh's ControlMaster, a tenth of the jobs"
        } else {
            "`parallel -S`, a login a job, a tenth of the jobs; shared input by `--basefile`, copies by `--transferfile`"
        }
    }

    fn version(&self) -> String {
        first_line("parallel", &["--version"])
    }

    fn missing(&self) -> Option<&'static str> {
        (!has("parallel")).then_some("parallel")
    }

    fn takes(&self, load: &Load) -> bool {
        match load {
            // Where logins take minutes.
            Load::Jobs(jobs) => jobs.count <= 1_000 && (self.keeps_connections || !jobs.delayed),
            // It sends files by rsync.
            Load::Shared { .. } => !self.keeps_connections && has("rsync"),
            Load::Here => !self.keeps_connections,
            Load::EachName { .. } | Load::OneHost | Load::Bare { .. } | Load::Metg { .. } => false,
        }
    }

    fn plan(&self, place: &Place<'_>, load: &Load) -> Result<Plan> {
        let plain = place.field().ssh_config(false);
        match load {
            Load::Jobs(jobs) => {
                // A tenth of the longer jobs would end before all slots have had some.
                let given = tenth(jobs.count).max(40.min(jobs.count));
                let config = place.field().ssh_config(jobs.delayed);
                let mut command = self.command(place, given, jobs.slots, config)?;
                command.arg(format!("true {{}}; {}", jobs.command));
                let after = self.close(place, config);
                Ok(Plan { after, ..Plan::new(given, vec![command]) })
            }
            Load::Shared { jobs, copies } => {
                let given = if *copies { FEW.min(*jobs) } else { *jobs };
                let mut command = self.command(place, given, 2, plain)?;
                std::os::unix::fs::symlink(place.field().input()?, place.dir().join("input"))?;
                if *copies {
                    command.args(["--transferfile", "input", "--wd", "..."]);
                } else {
                    command.args(["--basefile", "input", "--wd", place.name()]);
                }
                command.arg("true {}; test -s input");
                Ok(Plan::new(given, vec![command]))
            }
            Load::Here => {
                let mut command = Command::new("parallel");
                command.args(["--will-cite", "true", ":::", "1"]).stdin(Stdio::null());
                Ok(Plan::new(1, vec![command]))
            }
            Load::EachName { .. } | Load::OneHost | Load::Bare { .. } | Load::Metg { .. } => {
                unreachable!("not taken")
            }
        }
    }
}
