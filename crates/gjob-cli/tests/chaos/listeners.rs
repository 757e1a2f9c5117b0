//! No listening TCP or UDP port, anywhere, at any time of a run.

use std::collections::BTreeSet;

use gjob_testbed::{Bed, NetBed, Process};

use crate::field::Field;
use crate::ledger::Ledger;
use crate::reign::{Reign, children};
use crate::support::Place;

/// A socket that others could reach.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Listener {
    protocol: &'static str,
    port: u16,
    inode: u64,
}

/// Those of the network that this process lives in.
fn listeners(pid: u32) -> Vec<Listener> {
    let tables = ["tcp", "tcp6", "udp", "udp6"];
    let of_table = |protocol: &'static str| {
        let table = std::fs::read_to_string(format!("/proc/{pid}/net/{protocol}"));
        let table = table.unwrap_or_default();
        let rows: Vec<Listener> =
            table.lines().skip(1).filter_map(|row| listener(protocol, row)).collect();
        rows
    };
    tables.into_iter().flat_map(of_table).collect()
}

/// A row of the table, if it is that of a listener: TCP in state LISTEN, UDP
/// that is bound and not connected.
fn listener(protocol: &'static str, row: &str) -> Option<Listener> {
    let fields: Vec<&str> = row.split_whitespace().collect();
    let state = if protocol.starts_with("tcp") { "0A" } else { "07" };
    let (_, port) = fields.get(1)?.rsplit_once(':')?;
    let inode = fields.get(9)?.parse().ok()?;
    (*fields.get(3)? == state).then(|| Listener {
        protocol,
        port: u16::from_str_radix(port, 16).unwrap(),
        inode,
    })
}

/// Inodes of the sockets that a process has open.
fn sockets(process: &Process) -> BTreeSet<u64> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{}/fd", process.pid())) else {
        return BTreeSet::new();
    };
    let links = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let inode = |link: std::path::PathBuf| {
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    links.filter_map(inode).collect()
}

/// Runs some jobs, the last of which wait until enough was seen: `look` says how
/// many processes it has looked at.
fn watch(field: &Field, mut look: impl FnMut(&Reign<'_>) -> usize) {
    let place = Place::new();
    let ledger = Ledger::new(place.path("ledger"), 300).with_plain_jobs().with_held_jobs(20);
    place.file("jobs.jsonl", &ledger.jobs(20));
    let (config, hosts) = (field.ssh_config().to_str().unwrap(), field.host_list(2));
    let args = ["run", "-F", config, "-r", "results", "-H", &hosts, "jobs.jsonl"];
    let mut reign = Reign::begin(&place, &args);
    let mut seen = 0;
    while reign.ended().is_none() {
        seen += look(&reign);
        if seen > 10 {
            ledger.release();
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(seen > 10 && ledger.ends() == 20, "{seen} seen: {}", reign.said());
}

#[test]
fn no_process_of_a_run_listens() {
    let field = Field::Loopback(Bed::start(2));
    watch(&field, |reign| {
        let of_run = field.processes();
        let mut processes = of_run.clone();
        processes.extend(reign.process());
        processes.extend(children(reign.pid()));
        let open: Vec<_> = processes.iter().map(|process| (process, sockets(process))).collect();
        for listener in listeners(std::process::id()) {
            let owner = open.iter().find(|(_, open)| open.contains(&listener.inode));
            assert!(owner.is_none(), "{listener:?} belongs to {owner:?}");
        }
        of_run.len()
    });
}

#[test]
fn nothing_listens_on_a_host_but_its_sshd() {
    let Some(bed) = NetBed::start(2) else { return };
    let field = Field::Net(bed);
    watch(&field, |_| {
        let agents = (0..2).filter_map(|at| field.role(at, "agent").pop());
        let found = agents.map(|agent| {
            let found = listeners(agent.pid());
            found.iter().map(|it| (it.protocol, it.port)).collect::<Vec<_>>()
        });
        // A process that has just ended shows no tables.
        let found: Vec<_> = found.filter(|found| !found.is_empty()).collect();
        assert!(found.iter().all(|found| *found == [("tcp", 22)]), "{found:?}");
        found.len()
    });
}
