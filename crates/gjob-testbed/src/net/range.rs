//! The network of a bed in namespaces: a range of addresses and a bridge.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::getpid;

use crate::tools::run_line;

/// Tells the beds of one process apart in their links' names.
static BEDS: AtomicU32 = AtomicU32::new(1);

/// A claimed range `10.213.N.0/24` and the bridge that serves it.
///
/// The claim is an "unreachable" route for the range: the kernel lets only one
/// be added, and whatever the links' state, nothing sent to the range leaves
/// this machine. The janitor gives both back, from what `range` and `links` in
/// the bed's directory say.
#[derive(Debug)]
pub(super) struct Range {
    number: u8,
    bridge: String,
}

impl Range {
    pub(super) fn claim(bed: &Path, hosts: usize) -> Result<Self, String> {
        // A link's name has 15 characters at most: 7 are a pid's, 3 a host's number.
        let count = BEDS.fetch_add(1, Ordering::Relaxed) % 100;
        let bridge = format!("g{}b{count}", getpid());
        let number = claim_number(bed)?;
        let range = Self { number, bridge };
        let links: String = (1..=hosts).map(|k| range.link(k) + "\n").collect();
        fs::write(bed.join("links"), format!("{links}{}\n", range.bridge))
            .map_err(|error| error.to_string())?;
        range.raise()?;
        Ok(range)
    }

    fn raise(&self) -> Result<(), String> {
        let (bridge, gateway, mac) = (&self.bridge, self.gateway(), self.mac(0));
        ip(&format!("link add {bridge} address {mac} type bridge"))?;
        ip(&format!("address add {gateway}/24 dev {bridge}"))?;
        ip(&format!("link set {bridge} up"))
    }

    /// The test's own address.
    pub(super) fn gateway(&self) -> String {
        format!("10.213.{}.254", self.number)
    }

    /// The address of the host `h<k>`.
    pub(super) fn address(&self, k: usize) -> String {
        format!("10.213.{}.{k}", self.number)
    }

    /// The MAC address of the host `h<k>`; that of the bridge with 0.
    pub(super) fn mac(&self, k: usize) -> String {
        format!("02:67:6a:62:{:02x}:{k:02x}", self.number)
    }

    /// The name of this end of the link of `h<k>`.
    pub(super) fn link(&self, k: usize) -> String {
        format!("{}h{k}", self.bridge)
    }

    /// Lays the link of `h<k>` into the network namespace of a process.
    ///
    /// The address' owner is written down rather than asked for: a host that is
    /// cut off is silent then, as one behind a router is, instead of being
    /// reported unreachable by this machine's own search for it.
    pub(super) fn lay_link(&self, k: usize, pid: u32) -> Result<(), String> {
        let (link, bridge) = (self.link(k), &self.bridge);
        let (address, mac) = (self.address(k), self.mac(k));
        ip(&format!("link add {link} type veth peer name eth0 address {mac} netns {pid}"))?;
        ip(&format!("link set {link} master {bridge} up"))?;
        ip(&format!("neighbour replace {address} lladdr {mac} dev {bridge} nud permanent"))
    }

    pub(super) fn set_link(&self, k: usize, state: &str) -> Result<(), String> {
        ip(&format!("link set {} {state}", self.link(k)))
    }

    pub(super) fn remove_link(&self, k: usize) -> Result<(), String> {
        ip(&format!("link del {}", self.link(k)))
    }
}

fn claim_number(bed: &Path) -> Result<u8, String> {
    let first = getpid().as_raw_pid().unsigned_abs() % 256;
    let mut refusal = String::new();
    for step in 0..=255 {
        let number = u8::try_from((first + step) % 256).unwrap_or_default();
        let range = format!("10.213.{number}.0/24");
        // Written before it is claimed would have the janitor free another's.
        match ip(&format!("route add unreachable {range} metric 4000")) {
            Ok(()) => {
                fs::write(bed.join("range"), &range).map_err(|error| error.to_string())?;
                return Ok(number);
            }
            Err(error) if error.contains("exists") => refusal = error,
            Err(error) => return Err(error),
        }
    }
    Err(refusal)
}

fn ip(line: &str) -> Result<(), String> {
    run_line("ip", line).map(drop)
}
