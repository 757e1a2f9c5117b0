//! The hosts that everything is measured on, and fresh directories on them.

use std::cell::{Cell, OnceCell};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use gjob_testbed::Bed;

use super::work::Load;

/// Hosts; they share nothing but this machine.
pub(crate) const HOSTS: usize = 4;

/// Bytes of the shared input file.
const INPUT_SIZE: u64 = 50_000_000;

/// Half of the round trip of a delayed connection, in milliseconds.
const DELAY_MS: u32 = 50;

/// The hosts, and a directory of this side's own.
pub(crate) struct Field {
    bed: Bed,
    scratch: tempfile::TempDir,
    delayed_config: PathBuf,
    names_config: PathBuf,
    input: OnceCell<PathBuf>,
    places: Cell<usize>,
}

impl Field {
    /// Raises the hosts, with all files below `parent`.
    pub(crate) fn new(parent: Option<&Path>) -> Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let parent = parent.canonicalize().with_context(|| parent.display().to_string())?;
        let bed = Bed::builder().hosts(HOSTS).max_startups("1000").below(&parent).start();
        let scratch = tempfile::Builder::new().prefix("gjob-bench-").tempdir_in(&parent)?;
        let include = format!("Include {}\n", bed.ssh_config().display());
        let relay = std::env::current_exe()?;
        let delayed_config = scratch.path().join("delayed_config");
        let proxy = format!("{} --relay {DELAY_MS} %h %p", relay.display());
        fs::write(&delayed_config, format!("{include}Host h*\n  ProxyCommand {proxy}\n"))?;
        let names_config = scratch.path().join("names_config");
        let (host, dir) = (bed.host(1), bed.dir().display());
        let block = format!(
            "Host n*\n  HostName 127.0.0.1\n  Port {}\n  HostKeyAlias h1\n  \
             IdentityFile {dir}/h1/client_key\n",
            host.port()
        );
        fs::write(&names_config, include + &block)?;
        let (input, places) = (OnceCell::new(), Cell::new(0));
        Ok(Self { bed, scratch, delayed_config, names_config, input, places })
    }

    pub(crate) fn bed(&self) -> &Bed {
        &self.bed
    }

    /// The directory of this side.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// The hosts, joined by commas.
    pub(crate) fn host_list(&self) -> String {
        self.bed.host_list()
    }

    /// The configuration of ssh for the hosts.
    pub(crate) fn ssh_config(&self, delayed: bool) -> &Path {
        if delayed { &self.delayed_config } else { self.bed.ssh_config() }
    }

    /// The configuration of ssh in which `n1`, `n2` and so on are the first host.
    pub(crate) fn names_config(&self) -> &Path {
        &self.names_config
    }

    /// A file that no compression makes smaller.
    pub(crate) fn input(&self) -> Result<&Path> {
        if self.input.get().is_none() {
            let path = self.scratch().join("input");
            let mut random = File::open("/dev/urandom")?.take(INPUT_SIZE);
            io::copy(&mut random, &mut File::create(&path)?)?;
            self.input.get_or_init(|| path);
        }
        self.input.get().map(PathBuf::as_path).context("the input was just made")
    }

    /// Directories that nothing has used. Earlier ones stay: some file systems are slow
    /// after a removal of many files.
    pub(crate) fn fresh_place(&self) -> Result<Place<'_>> {
        let number = self.places.get();
        self.places.set(number + 1);
        let dir = self.scratch().join(format!("m{number}"));
        fs::create_dir(&dir)?;
        Ok(Place { field: self, dir, name: format!("m{number}") })
    }
}

/// Where one measurement puts its files.
pub(crate) struct Place<'a> {
    field: &'a Field,
    dir: PathBuf,
    name: String,
}

impl Place<'_> {
    pub(crate) fn field(&self) -> &Field {
        self.field
    }

    /// A directory on this side.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The name of a directory in the hosts' homes, which does not exist yet.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Writes a file on this side.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// One ssh for each host, with this command.
    pub(crate) fn on_each_host(&self, script: &str) -> Vec<Command> {
        let hosts = self.field.bed.hosts().iter();
        hosts.map(|host| self.on_host(host.alias(), script)).collect()
    }

    pub(crate) fn on_host(&self, alias: &str, script: &str) -> Command {
        let mut command = self.field.bed.ssh(alias);
        command.arg(script);
        command
    }

    /// The copies of a shared input would fill a disk.
    pub(crate) fn remove_large_files(&self, load: &Load) -> Result<()> {
        if !matches!(load, Load::Shared { .. }) {
            return Ok(());
        }
        for host in self.field.bed.hosts() {
            for name in [&self.name, ".parallel"] {
                let dir = host.home().join(name);
                if dir.exists() {
                    fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
                }
            }
        }
        Ok(())
    }
}
