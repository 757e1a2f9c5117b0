//! ssh alone: what a login takes, and a copy of the shared input.

use std::fs::File;

use anyhow::Result;

use super::Peer;
use crate::bench::field::Place;
use crate::bench::machine::{first_line, has};
use crate::bench::measurement::Plan;
use crate::bench::work::Load;

pub(super) struct Ssh;

impl Peer for Ssh {
    fn name(&self) -> &str {
        "ssh"
    }

    fn about(&self) -> &str {
        "`ssh HOST true`, one a host at once; `ssh HOST 'cat >f'` for shared input, without jobs"
    }

    fn version(&self) -> String {
        first_line("ssh", &["-V"])
    }

    fn missing(&self) -> Option<&'static str> {
        (!has("ssh")).then_some("ssh")
    }

    fn takes(&self, load: &Load) -> bool {
        matches!(load, Load::OneHost | Load::Bare { .. } | Load::Shared { copies: false, .. })
    }

    fn plan(&self, place: &Place<'_>, load: &Load) -> Result<Plan> {
        let commands = match load {
            Load::OneHost => vec![place.on_host("h1", "true")],
            Load::Shared { .. } => {
                let name = place.name();
                let mut commands = place.on_each_host(&format!("mkdir {name} && cat >{name}/f"));
                for command in &mut commands {
                    command.stdin(File::open(place.field().input()?)?);
                }
                commands
            }
            _ => place.on_each_host("true"),
        };
        Ok(Plan::new(load.jobs(), commands))
    }
}
