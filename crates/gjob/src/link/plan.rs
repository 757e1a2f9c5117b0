//! What is planned for one host: where it is, how it is reached, and the
//! options that count for it. Everything about a host that does not change
//! while its run lasts is here, checked once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gjob_core::hosts::{
    ConnectCommandError, HostLimits, HostOptions, ResultsDirError, check_results_dir,
};
use gjob_core::id::ParseIdError;
use gjob_core::resources::Offer;
use gjob_core::run::HostTask;
use gjob_core::wire::Welcome;
use gjob_core::{HostEntry, HostLabel};

use super::Transport;

/// The results directory when none is named: below the home directory.
pub const DEFAULT_RESULTS_DIR: &str = "gjob-results";

/// Room for staged files in a results directory when none is given, bytes.
pub const DEFAULT_BLOB_BUDGET: u64 = 20 << 30;

/// Processors that a host is believed to have, at most. The user may give it more.
const MAX_CPUS: u32 = 4096;

/// Memory that a host is believed to have, at most, bytes.
const MAX_MEMORY: u64 = 1 << 50;

/// GPUs that a host is believed to have, at most.
const MAX_GPUS: u32 = 1024;

/// One host of a run.
#[derive(Clone, Debug)]
pub struct HostPlan {
    label: HostLabel,
    entry: HostEntry,
    cluster: Option<Arc<str>>,
    transport: Transport,
    options: Arc<HostOptions>,
}

/// Why a host cannot be one of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostPlanError {
    /// A name that ssh, a command or a shell could misread.
    #[error(transparent)]
    Name(#[from] ParseIdError),
    /// A directory name that cannot be sent.
    #[error(transparent)]
    ResultsDir(#[from] ResultsDirError),
    /// A connect command that does not fit the host.
    #[error(transparent)]
    Connect(#[from] ConnectCommandError),
}

impl HostPlan {
    /// The plan for `entry`, a host of `cluster`, with the options that count
    /// for it.
    ///
    /// # Errors
    /// When the host could not be reached with them.
    pub fn new(
        entry: HostEntry,
        cluster: Option<Arc<str>>,
        options: Arc<HostOptions>,
    ) -> Result<Self, HostPlanError> {
        let label = entry.label()?;
        options.results_dir.as_deref().map_or(Ok(()), check_results_dir)?;
        let transport = Transport::choose(&entry, &options)?;
        Ok(HostPlan { label, entry, cluster, transport, options })
    }

    /// What the manager calls the host.
    #[must_use]
    pub fn label(&self) -> &HostLabel {
        &self.label
    }

    /// The host as the user named it.
    #[must_use]
    pub fn entry(&self) -> &HostEntry {
        &self.entry
    }

    /// The name of its cluster, if that has one.
    #[must_use]
    pub fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// The labels by which jobs can be bound to it: its own, and its cluster's name.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let mut labels = self.entry.labels.clone();
        labels.extend(self.cluster().map(str::to_owned));
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// How the pipe to it is opened.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// What the host offers, as far as that can be: no more slots than its user has
    /// given it, and no more of anything than a machine has.
    #[must_use]
    pub fn offer(&self, welcome: &Welcome) -> Offer {
        Offer {
            cpus: welcome.slots.min(self.wanted_slots(welcome)),
            mem: welcome.memory_bytes.min(MAX_MEMORY),
            gpus: welcome.gpus.min(MAX_GPUS),
        }
    }

    /// Jobs that it is to run at once: what its user has given it, else one per processor.
    #[must_use]
    pub fn wanted_slots(&self, welcome: &Welcome) -> u32 {
        self.slots().unwrap_or(welcome.cpus.min(MAX_CPUS))
    }

    /// Jobs it runs at once; none lets the host offer one per processor.
    #[must_use]
    pub fn slots(&self) -> Option<u32> {
        self.entry.slots.or(self.options.slots)
    }

    /// The results directory on it: absolute, or below the home directory
    /// there (`~/` before it changes nothing).
    #[must_use]
    pub fn results_dir(&self) -> &str {
        let named = self.options.results_dir.as_deref().unwrap_or_default();
        match named.strip_prefix("~/").unwrap_or(named) {
            "" => DEFAULT_RESULTS_DIR,
            path => path,
        }
    }

    /// How long its jobs may run without contact to the manager.
    #[must_use]
    pub fn lease(&self) -> Option<Duration> {
        self.options.lease
    }

    /// What is run on it before its first job, and after its last one.
    #[must_use]
    pub fn task(&self, task: HostTask) -> Option<&str> {
        let commands = match task {
            HostTask::Setup => &self.options.setup,
            HostTask::Teardown => &self.options.teardown,
        };
        // An empty one takes back what a file sets.
        commands.as_deref().filter(|commands| !commands.trim().is_empty())
    }

    /// Variables that its jobs have, unless they set them themselves.
    #[must_use]
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.options.env
    }

    /// When it starts jobs, and how.
    #[must_use]
    pub fn limits(&self) -> &HostLimits {
        &self.options.limits
    }

    /// Room for staged files on it, bytes.
    #[must_use]
    pub fn blob_budget(&self) -> u64 {
        self.options.blob_budget.unwrap_or(DEFAULT_BLOB_BUDGET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(entry: HostEntry, options: HostOptions) -> Result<HostPlan, HostPlanError> {
        HostPlan::new(entry, None, Arc::new(options))
    }

    fn host(name: &str) -> HostEntry {
        HostEntry { name: name.to_owned(), ..HostEntry::local() }
    }

    #[test]
    fn names_that_are_options_or_shell_text_are_refused_whatever_the_transport() {
        let command = || HostOptions {
            connect: "docker exec -i {host}".parse().ok(),
            ..HostOptions::default()
        };
        for name in
            ["-oProxyCommand=x", "--privileged", "a b", "a;b", "$(x)", "a\nb", "a\u{1b}b", ""]
        {
            assert!(plan(host(name), HostOptions::default()).is_err(), "{name:?}");
            assert!(plan(host(name), command()).is_err(), "{name:?}");
        }
        let user = HostEntry { user: Some("-x".into()), ..host("h") };
        assert!(plan(user, command()).is_err());
    }

    #[test]
    fn a_host_offers_no_more_than_its_user_gave_it_or_than_a_machine_has() {
        let welcome = Welcome {
            version: "0".into(),
            platform: String::new(),
            clock_ms: 0,
            hostname: "h".into(),
            boot_id: String::new(),
            results_dir: String::new(),
            cpus: u32::MAX,
            memory_bytes: u64::MAX,
            slots: u32::MAX,
            gpus: u32::MAX,
            place: String::new(),
            free_bytes: 0,
            damage: None,
        };
        let most = Offer { cpus: MAX_CPUS, mem: MAX_MEMORY, gpus: MAX_GPUS };
        let free = plan(host("h"), HostOptions::default()).unwrap();
        assert_eq!(free.offer(&welcome), most);
        let given = plan(HostEntry { slots: Some(2), ..host("h") }, HostOptions::default());
        assert_eq!(given.unwrap().offer(&welcome), Offer { cpus: 2, ..most });
        // One that offers less has its reasons.
        let small = Welcome { slots: 1, cpus: 1, memory_bytes: 5, gpus: 0, ..welcome };
        assert_eq!(free.offer(&small), Offer { cpus: 1, mem: 5, gpus: 0 });
    }

    #[test]
    fn an_entrys_own_slots_count_and_a_results_directory_loses_its_tilde() {
        let options = HostOptions {
            slots: Some(2),
            results_dir: Some("~/my results".into()),
            ..HostOptions::default()
        };
        let own = HostEntry { slots: Some(5), ..host("h") };
        assert_eq!(plan(own, options.clone()).unwrap().slots(), Some(5));
        let other = plan(host("h"), options).unwrap();
        assert_eq!((other.slots(), other.results_dir()), (Some(2), "my results"));
        for empty in [None, Some(""), Some("~/")] {
            let options =
                HostOptions { results_dir: empty.map(str::to_owned), ..HostOptions::default() };
            assert_eq!(plan(host("h"), options).unwrap().results_dir(), DEFAULT_RESULTS_DIR);
        }
        let two_lines = HostOptions { results_dir: Some("a\nb".into()), ..HostOptions::default() };
        assert!(matches!(plan(host("h"), two_lines), Err(HostPlanError::ResultsDir(_))));
    }

    #[test]
    fn this_machine_needs_no_command() {
        let options =
            HostOptions { connect: "docker exec -i {host}".parse().ok(), ..HostOptions::default() };
        assert_eq!(*plan(HostEntry::local(), options).unwrap().transport(), Transport::Local);
    }
}
