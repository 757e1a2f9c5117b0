//! pdsh: one command on many hosts.

use std::process::{Command, Stdio};

use anyhow::Result;

use super::Peer;
use crate::bench::field::Place;
use crate::bench::machine::{first_line, has};
use crate::bench::measurement::Plan;
use crate::bench::work::Load;

pub(super) struct Pdsh;

impl Peer for Pdsh {
    fn name(&self) -> &str {
        "pdsh"
    }

    fn about(&self) -> &str {
        "`pdsh -R ssh -f 64`"
    }

    fn version(&self) -> String {
        first_line("pdsh", &["-V"])
    }

    fn missing(&self) -> Option<&'static str> {
        (!has("pdsh")).then_some("pdsh")
    }

    fn takes(&self, load: &Load) -> bool {
        matches!(load, Load::EachName { .. })
    }

    fn plan(&self, place: &Place<'_>, load: &Load) -> Result<Plan> {
        let names = load.jobs();
        let config = place.field().names_config().display();
        let mut command = Command::new("pdsh");
        command
            .args(["-R", "ssh", "-S", "-f", "64", "-w", &format!("n[1-{names}]"), "true"])
            .env("PDSH_SSH_ARGS_APPEND", format!("-F {config}"))
            .stdin(Stdio::null());
        Ok(Plan::new(names, vec![command]))
    }
}
