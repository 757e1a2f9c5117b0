//! The command line completed with `gjob.toml` and the environment.

use std::collections::BTreeSet;
use std::ffi::OsString;

use gjob::config::{Config, ConfigError, ConfigErrors};
use gjob_core::hosts::{HostLimits, HostOptions};

use crate::cli::Cli;
use crate::cli::defaults::{Completed, complete};
use crate::exit::{Failure, print_error};

/// Where options come from that the command line does not give.
#[derive(Debug, Default)]
pub(super) struct Setup {
    pub(super) config: Config,
    /// The options that a file gives.
    from_files: BTreeSet<String>,
    /// True if the hosts are those of the environment.
    pub(super) hosts_from_environment: bool,
}

/// Reads the files unless they are not wanted, and the command line with what they add.
pub(super) fn read(is_wanted: bool) -> Result<(Cli, Setup), Failure> {
    let mut errors = Vec::new();
    let config = config(is_wanted, &mut errors);
    let args: Vec<OsString> = std::env::args_os().collect();
    let Completed { cli, from_files, hosts_from_environment } =
        complete(&args, &config, errors).map_err(Failure::input)?;
    Ok((cli, Setup { config, from_files, hosts_from_environment }))
}

fn config(is_wanted: bool, errors: &mut Vec<ConfigError>) -> Config {
    match std::env::current_dir() {
        Ok(here) if is_wanted => {
            let config = Config::read(&here, errors);
            config.passed_over().iter().for_each(|file| print_error(&file.to_string()));
            config
        }
        _ => Config::default(),
    }
}

impl Setup {
    /// What the files say of hosts and groups.
    pub(super) fn of_hosts(is_wanted: bool) -> Result<Setup, Failure> {
        let mut errors = Vec::new();
        let config = config(is_wanted, &mut errors);
        match errors.is_empty() {
            true => Ok(Setup { config, ..Setup::default() }),
            false => Err(Failure::input(ConfigErrors(errors))),
        }
    }

    /// Names the files that were read.
    pub(super) fn print_files(&self) {
        self.config.paths().for_each(|path| print_error(&format!("read {}", path.display())));
    }

    /// The options that the command line itself gives.
    pub(super) fn given(&self, options: &HostOptions) -> HostOptions {
        let is_given = |name: &str| !self.from_files.contains(name);
        let HostOptions {
            results_dir,
            connect,
            ssh_config,
            slots,
            lease,
            blob_budget,
            setup,
            teardown,
            env,
            limits,
        } = options;
        HostOptions {
            results_dir: results_dir.clone().filter(|_| is_given("results-dir")),
            connect: connect.clone().filter(|_| is_given("connect")),
            ssh_config: ssh_config.clone().filter(|_| is_given("ssh-config")),
            slots: slots.filter(|_| is_given("slots")),
            lease: *lease,
            blob_budget: blob_budget.filter(|_| is_given("blob-budget")),
            setup: setup.clone().filter(|_| is_given("setup")),
            teardown: teardown.clone().filter(|_| is_given("teardown")),
            env: env.clone(),
            limits: HostLimits {
                min_free: limits.min_free.filter(|_| is_given("min-free")),
                load: limits.load.filter(|_| is_given("load")),
                nice: limits.nice.filter(|_| is_given("nice")),
                delay: limits.delay.filter(|_| is_given("delay")),
                oversubscribe: limits.oversubscribe.filter(|_| is_given("oversubscribe")),
            },
        }
    }
}
