//! clush, of ClusterShell: one command on many hosts.

use std::process::{Command, Stdio};

use anyhow::Result;

use super::Peer;
use crate::bench::field::Place;
use crate::bench::machine::{first_line, has};
use crate::bench::measurement::Plan;
use crate::bench::work::Load;

pub(super) struct Clush;

impl Peer for Clush {
    fn name(&self) -> &str {
        "clush"
    }

    fn about(&self) -> &str {
        "`clush -f 64`"
    }

    fn version(&self) -> String {
        first_line("clush", &["--version"])
    }

    fn missing(&self) -> Option<&'static str> {
        (!has("clush")).then_some("clush")
    }

    fn takes(&self, load: &Load) -> bool {
        matches!(load, Load::EachName { .. })
    }

    fn plan(&self, place: &Place<'_>, load: &Load) -> Result<Plan> {
        let names = load.jobs();
        let config = place.field().names_config().display();
        let mut command = Command::new("clush");
        command
            .args(["-S", "-q", "-f", "64", "-o", &format!("-F {config}")])
            .args(["-w", &format!("n[1-{names}]"), "true"])
            .stdin(Stdio::null());
        Ok(Plan::new(names, vec![command]))
    }
}
