//! Where a login goes first, as ssh itself reads its configuration
//! (`ssh -G`): many hosts may be behind one jump host, and one host may have
//! many names.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use gjob_core::HostEntry;
use gjob_core::hosts::ConnectCommand;
use tokio::process::Command;
use tokio::time::timeout;

use crate::link::transport::ssh_program;

/// How long ssh may take to read its configuration.
const LOOKUP: Duration = Duration::from_secs(5);
/// Jump hosts that have jump hosts, at most.
const DEPTH: usize = 4;

/// One place that logins go to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::link) struct Hop(String);

impl Hop {
    /// A place by its name alone.
    #[cfg(test)]
    pub(super) fn name(name: &str) -> Self {
        Hop(name.to_owned())
    }

    /// Whatever serves the user's command.
    pub(super) fn command(connect: &ConnectCommand) -> Self {
        Hop(connect.to_string())
    }
}

/// What `ssh -G` says that matters here.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// Straight to an address.
    Straight(String),
    /// Through a jump host first, as it is named in the configuration.
    Jump(String),
    /// Through a command of the user's.
    Proxy(String),
}

/// The first hop on the way to `entry`; its name when ssh does not say.
pub(super) async fn look_up(config_file: Option<&Path>, entry: &HostEntry) -> Hop {
    let mut destination = entry.destination();
    let mut port = entry.port;
    for _ in 0..DEPTH {
        let printed = ask_ssh(config_file, &destination, port).await;
        match printed.as_deref().and_then(parse) {
            Some(Way::Jump(jump)) => (destination, port) = split_port(&jump),
            Some(Way::Straight(address)) => return Hop(address),
            Some(Way::Proxy(command)) => return Hop(command),
            None => break,
        }
    }
    Hop(destination)
}

async fn ask_ssh(
    config_file: Option<&Path>,
    destination: &str,
    port: Option<u16>,
) -> Option<String> {
    if destination.starts_with('-') {
        return None;
    }
    let mut ssh = Command::new(ssh_program());
    ssh.arg("-G").stdin(Stdio::null()).kill_on_drop(true).process_group(0);
    if let Some(file) = config_file {
        ssh.arg("-F").arg(file);
    }
    if let Some(port) = port {
        ssh.arg("-p").arg(port.to_string());
    }
    ssh.args(["--", destination]);
    let output = timeout(LOOKUP, ssh.output()).await.ok()?.ok()?;
    String::from_utf8(output.stdout).ok()
}

fn parse(printed: &str) -> Option<Way> {
    let value = |key: &str| {
        printed
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
            .filter(|value| !value.is_empty() && *value != "none")
    };
    if let Some(jumps) = value("proxyjump") {
        let first = jumps.split(',').next().unwrap_or(jumps);
        return Some(Way::Jump(first.to_owned()));
    }
    if let Some(command) = value("proxycommand") {
        return Some(Way::Proxy(command.to_owned()));
    }
    let (host, port) = (value("hostname")?, value("port").unwrap_or("22"));
    Some(Way::Straight(format!("{host} {port}")))
}

/// `[USER@]NAME[:PORT]` in two; an address in brackets loses them.
fn split_port(jump: &str) -> (String, Option<u16>) {
    let (name, port) = match jump.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            (name, port.parse().ok())
        }
        _ => (jump, None),
    };
    (name.replace(['[', ']'], ""), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_jump_hosts_counts() {
        let printed = "user a\nhostname 10.0.0.1\nport 22\nproxyjump u@bastion:2222,inner\n";
        assert_eq!(parse(printed), Some(Way::Jump("u@bastion:2222".to_owned())));
        assert_eq!(split_port("u@bastion:2222"), ("u@bastion".to_owned(), Some(2222)));
        assert_eq!(split_port("[::1]:22"), ("::1".to_owned(), Some(22)));
        assert_eq!(split_port("::1"), ("::1".to_owned(), None));
    }

    #[test]
    fn names_of_one_address_are_one_hop() {
        let straight = Some(Way::Straight("10.0.0.1 2201".to_owned()));
        assert_eq!(parse("hostname 10.0.0.1\nport 2201\nproxyusefdpass no\n"), straight);
        let printed = "hostname x\nport 22\nproxycommand ssh -W %h:%p y\n";
        assert_eq!(parse(printed), Some(Way::Proxy("ssh -W %h:%p y".to_owned())));
        assert_eq!(parse(""), None);
    }

    #[tokio::test]
    async fn ssh_itself_says_where_a_login_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config");
        let text =
            "Host far*\n  ProxyJump near\nHost near alias\n  HostName 192.0.2.7\n  Port 2201\n";
        std::fs::write(&config, text).unwrap();
        let hop = |name: &str| {
            let entry = HostEntry { name: name.to_owned(), ..HostEntry::local() };
            let config = config.clone();
            async move { look_up(Some(&config), &entry).await }
        };
        let near = Hop("192.0.2.7 2201".to_owned());
        for name in ["near", "alias", "far1", "far2"] {
            assert_eq!(hop(name).await, near, "{name}");
        }
    }
}
