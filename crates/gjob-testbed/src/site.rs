//! One host's files, and what can be told and changed through them.
//!
//! Nothing here starts or ends an sshd; see `host` and `net`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::process::{self, Process};
use crate::sshd::Sshd;
use crate::tools::{find_program, run};
use crate::{NOWHERE, STRANGER};

const ENTER: &str = include_str!("enter.sh");

/// What every host has, however it is raised: an alias, a home, a log.
#[derive(Debug)]
pub struct Site {
    bed: PathBuf,
    dir: PathBuf,
    alias: String,
}

impl Site {
    /// The host's alias in the bed's `ssh_config`: `h1`, `h2`, …
    #[must_use]
    pub fn alias(&self) -> &str {
        &self.alias
    }

    /// The home directory of its sessions, as `HOME` names it there.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    /// What its sshd has logged so far, at level VERBOSE.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.log_file())
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// How many logins it has accepted so far.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.log().lines().filter(|line| line.contains("Accepted publickey")).count()
    }

    /// The living processes its sessions have started, directly or not, without
    /// the sshds in between.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        process::marked(&self.bed, &self.alias)
    }

    /// Has later sessions use this login shell: a path, or a name to be found.
    ///
    /// # Panics
    ///
    /// When it is not installed; [`find_program`] tells beforehand.
    pub fn set_login_shell(&self, shell: &str) {
        let shell = if shell.contains('/') { Some(shell.into()) } else { find_program(shell) };
        let shell = shell.filter(|file: &PathBuf| file.exists());
        let shell = shell.expect("the login shell is installed");
        let home = self.home();
        let script = ENTER
            .replace("@HOME@", &home.to_string_lossy())
            .replace("@SHELL@", &shell.to_string_lossy());
        // By rename, as a session may be reading the old one.
        let new = self.dir.join("enter.new");
        write(&new, &script, 0o700);
        fs::rename(new, self.dir.join("enter")).expect("the bed's directory can be written");
    }

    /// Has the start-up files of every common shell print this line, as a
    /// careless `.bashrc` does. Shells that read none for a command (dash, sh)
    /// stay silent, as they would elsewhere.
    pub fn set_noise(&self, line: &str) {
        let home = self.home();
        let fish = home.join(".config/fish");
        fs::create_dir_all(&fish).expect("the bed's directory can be written");
        let text = format!("echo '{}'\n", line.replace('\'', "."));
        let files = [".bashrc", ".cshrc", ".zshenv"].map(|name| home.join(name));
        for file in files.into_iter().chain([fish.join("config.fish")]) {
            write(&file, &text, 0o600);
        }
    }

    /// Has later logins refused, as where the user's key is not known.
    pub fn refuse_key(&self) {
        write(&self.dir.join("authorized_keys"), "", 0o600);
    }

    /// Has logins accepted again.
    pub fn accept_key(&self) {
        let key = read(&self.dir.join("client_key.pub"));
        write(&self.dir.join("authorized_keys"), &key, 0o600);
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.dir.join("sshd.log")
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.dir.join("sshd_config")
    }

    pub(crate) fn bed(&self) -> &Path {
        &self.bed
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its line for `known_hosts`, under its alias.
    pub(crate) fn known_host(&self) -> String {
        format!("{} {}", self.alias, read(&self.dir.join("host_key.pub")))
    }

    /// Its part of `ssh_config`. The first host is the stranger, too.
    pub(crate) fn ssh_block(&self, address: &str, port: u16) -> String {
        let dir = self.dir.display();
        let block = |alias: &str| {
            format!(
                "Host {alias}\n  HostName {address}\n  Port {port}\n  \
                 HostKeyAlias {alias}\n  IdentityFile {dir}/client_key\n"
            )
        };
        let stranger = (self.alias == "h1").then(|| block(STRANGER));
        block(&self.alias) + &stranger.unwrap_or_default()
    }

    pub(crate) fn write_sshd_config(&self, sshd: &Sshd, extra: &[String]) {
        let text = sshd.config(&self.bed, &self.alias, &self.dir, extra);
        write(&self.config_file(), &text, 0o600);
    }
}

/// Makes the directories and keys of hosts `h1` to `h<n>` below `bed`.
pub(crate) fn make_sites(bed: &Path, n: usize) -> Vec<Site> {
    let begin = |k: usize| {
        let alias = format!("h{k}");
        let site = Site { bed: bed.to_owned(), dir: bed.join(&alias), alias };
        fs::create_dir_all(site.home()).expect("the bed's directory can be written");
        let keys = ["host_key", "client_key"].map(|name| start_keygen(&site.dir.join(name)));
        (site, keys)
    };
    let begun: Vec<_> = (1..=n).map(begin).collect();
    let finish = |(site, keys): (Site, [Child; 2])| {
        for mut keygen in keys {
            let status = keygen.wait().expect("ssh-keygen is a child of this process");
            assert!(status.success(), "ssh-keygen failed: {status}");
        }
        site.accept_key();
        site.set_login_shell("bash");
        site
    };
    begun.into_iter().map(finish).collect()
}

/// Writes the `ssh_config` and `known_hosts` of a bed from its hosts' blocks.
pub(crate) fn write_ssh_config(bed: &Path, sites: &[&Site], blocks: &str) -> PathBuf {
    let known: String = sites.iter().map(|site| site.known_host()).collect();
    write(&bed.join("known_hosts"), &known, 0o600);
    let text = format!(
        "{blocks}Host {NOWHERE}\n  HostName {NOWHERE}..invalid\nHost *\n  \
         IdentitiesOnly yes\n  IdentityAgent none\n  \
         StrictHostKeyChecking yes\n  UserKnownHostsFile {bed}/known_hosts\n  \
         GlobalKnownHostsFile none\n",
        bed = bed.display(),
    );
    let file = bed.join("ssh_config");
    write(&file, &text, 0o600);
    // Said now, and not by every test's first ssh.
    run(Command::new("ssh").arg("-F").arg(&file).args(["-G", "h1"])).expect("ssh reads its -F");
    file
}

/// An `ssh` that uses this configuration and never asks.
pub(crate) fn ssh(config: &Path, alias: &str) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.arg("-F").arg(config).args(["-T", "-o", "BatchMode=yes", alias, "--"]);
    ssh.stdin(Stdio::null());
    ssh
}

fn start_keygen(file: &Path) -> Child {
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "gjob-testbed", "-f"]).arg(file);
    keygen.stdin(Stdio::null()).spawn().expect("ssh-keygen can be started")
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("the bed's own files can be read")
}

fn write(file: &Path, text: &str, mode: u32) {
    fs::write(file, text)
        .and_then(|()| fs::set_permissions(file, fs::Permissions::from_mode(mode)))
        .expect("the bed's directory can be written");
}
