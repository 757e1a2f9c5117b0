//! The worker programs that stay on hosts when nothing else of gjob does: the next run needs
//! them there.

use std::collections::BTreeMap;
use std::io::{self, Write};

use gjob::store::{RunDir, Store, StoreError};
use gjob_core::HostLabel;
use gjob_core::text::printable;

use super::one::is_among;
use crate::report::folded;

/// The directories of programs, each with the hosts that have it.
#[derive(Debug, Default)]
pub(super) struct Programs(BTreeMap<String, Vec<String>>);

impl Programs {
    /// Those of the hosts of these runs, but for hosts that are given up. This machine runs the
    /// program that it has.
    pub(super) fn of(runs: &[RunDir], given_up: &[String]) -> Result<Self, StoreError> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for dir in runs {
            for host in Store::read(dir)?.hosts()? {
                let (Some(facts), label) = (&host.facts, host.label.as_str()) else { continue };
                let hosts = found.entry(format!("{}/.gjob/bin", facts.results_dir)).or_default();
                let is_meant = label != HostLabel::LOCAL && !is_among(&host, given_up);
                if is_meant && !hosts.iter().any(|known| known == label) {
                    hosts.push(label.to_owned());
                }
            }
        }
        found.retain(|_, hosts| !hosts.is_empty());
        Ok(Programs(found))
    }

    /// A line for each directory.
    pub(super) fn say(&self) -> io::Result<()> {
        for (dir, hosts) in &self.0 {
            let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
            let (hosts, keep, they) = match names.as_slice() {
                [host] => (format!("host {host}"), "keeps", "it needs"),
                names => (format!("hosts {}", folded(names)), "keep", "they need"),
            };
            let text = format!(
                "{hosts} {keep} the worker program for the next run, in {dir}: remove that \
                 directory there if {they} it no more"
            );
            writeln!(io::stdout(), "{}", printable(&text))?;
        }
        Ok(())
    }
}
