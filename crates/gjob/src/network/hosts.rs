//! Which hosts a network has: from clusters and options to a checked plan for
//! each host, and back to the settings that a run keeps.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use gjob_core::HostOptions;
use gjob_core::hosts::Cluster;
use gjob_core::os_text::to_path;
use gjob_core::wire::ManagedAt;

use super::{Network, NetworkError};
use crate::link::{HostPlan, HostPlanError, Transport};
use crate::open_files;
use crate::program::Programs;
use crate::settings::{NetworkSettings, RunSettings};
use crate::trust::{PlaceError, resolve};

impl Network {
    /// A network of the workers of `clusters`, with job directories below
    /// `results_dir` on each, unless a cluster names another; a relative one is
    /// below the home directory there.
    ///
    /// # Errors
    /// When there is no host, one is named twice, or one could not be reached.
    pub fn new(
        results_dir: impl Into<String>,
        clusters: impl IntoIterator<Item = Cluster>,
    ) -> Result<Self, NetworkError> {
        let options =
            HostOptions { results_dir: Some(results_dir.into()), ..HostOptions::default() };
        Network::with_options(options, clusters)
    }

    /// A network of the workers of `clusters`, with `options` for all that a
    /// cluster leaves open.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn with_options(
        options: HostOptions,
        clusters: impl IntoIterator<Item = Cluster>,
    ) -> Result<Self, NetworkError> {
        let clusters = clusters.into_iter().collect();
        Network::made_of(NetworkSettings { clusters, options, ..NetworkSettings::default() })
    }

    /// The network of a run's settings.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn from_settings(settings: &RunSettings) -> Result<Self, NetworkError> {
        Network::made_of(settings.network_with_lease())
    }

    fn made_of(settings: NetworkSettings) -> Result<Self, NetworkError> {
        let hosts = settings.plan_hosts()?;
        open_files::check()?;
        Ok(Network {
            positions: super::positions(&hosts),
            hosts,
            programs: Arc::new(Programs::new().with_agents(settings.agents.clone())),
            settings,
            outputs: None,
            managed: ManagedAt::default(),
            open: None,
            next_index: 0,
        })
    }

    /// What the network is made of.
    #[must_use]
    pub fn settings(&self) -> &NetworkSettings {
        &self.settings
    }

    /// Sets which programs may be sent to hosts.
    #[must_use]
    pub fn programs(mut self, programs: Programs) -> Self {
        self.settings.agents.clone_from(programs.agents());
        self.programs = Arc::new(programs);
        self
    }
}

impl NetworkSettings {
    /// True if something is run once on some host besides its jobs.
    #[must_use]
    pub fn has_tasks(&self) -> bool {
        let mut options = self.clusters.iter().map(|cluster| &cluster.options);
        let any = |it: &HostOptions| it.setup.is_some() || it.teardown.is_some();
        any(&self.options) || options.any(any)
    }

    /// A plan for each worker, with its cluster's options, completed with those
    /// of the network.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn plan_hosts(&self) -> Result<Vec<Arc<HostPlan>>, NetworkError> {
        let mut plans = Vec::new();
        for cluster in &self.clusters {
            let options = Arc::new(cluster.options.clone().or(&self.options));
            let name: Option<Arc<str>> = cluster.name.as_deref().map(Arc::from);
            for entry in &cluster.workers {
                let plan = HostPlan::new(entry.clone(), name.clone(), Arc::clone(&options))?;
                plans.push(Arc::new(plan));
            }
        }
        if plans.is_empty() {
            return Err(NetworkError::NoHosts);
        }
        check_distinct(&plans)?;
        check_trusted(&plans, self.agents.values())?;
        Ok(plans)
    }
}

/// Nothing that another user could have written is run here or on a host, or says what
/// ssh runs. What is not there is reported by what wants it.
fn check_trusted<'a>(
    plans: &'a [Arc<HostPlan>],
    agents: impl Iterator<Item = &'a PathBuf>,
) -> Result<(), NetworkError> {
    let mut relied_on: BTreeSet<PathBuf> = agents.cloned().collect();
    for plan in plans {
        match plan.transport() {
            Transport::Command(connect) => {
                let words = connect.for_host(plan.entry()).map_err(HostPlanError::from)?;
                let mut words = words.iter();
                // What has no slash is looked for in PATH.
                let program = words.next().filter(|program| program.contains('/'));
                relied_on.extend(program.map(|program| to_path(program)));
                // A script that the program runs, or a file that says what it does.
                relied_on.extend(words.map(|word| to_path(word)).filter(|file| file.is_file()));
            }
            Transport::Ssh { config_file } => relied_on.extend(config_file.clone()),
            Transport::Local => {}
        }
    }
    for path in relied_on {
        if let Err(PlaceError::Distrusted { path: place, why }) = resolve(&path) {
            return Err(NetworkError::Unsafe { path, place, why });
        }
    }
    Ok(())
}

/// Two hosts of one name, or reached by one command, would be one host that
/// gets twice the jobs.
fn check_distinct(plans: &[Arc<HostPlan>]) -> Result<(), NetworkError> {
    let mut labels = HashSet::new();
    let mut commands = HashMap::new();
    for plan in plans {
        if !labels.insert(plan.label()) {
            return Err(NetworkError::SameHost(plan.label().clone()));
        }
        if let Transport::Command(connect) = plan.transport() {
            let words = connect.for_host(plan.entry()).map_err(HostPlanError::from)?;
            if let Some(first) = commands.insert(words, plan.label()) {
                let command = connect.to_string();
                let hosts = [first.clone(), plan.label().clone()];
                return Err(NetworkError::SameCommand { hosts, command });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use gjob_core::hosts;

    use super::*;

    fn cluster(list: &str, options: HostOptions) -> Cluster {
        Cluster::of_hosts(hosts::parse_list(list).unwrap()).with_options(options)
    }

    fn connect(command: &str) -> HostOptions {
        HostOptions { connect: command.parse().ok(), ..HostOptions::default() }
    }

    #[test]
    fn a_clusters_options_count_before_the_networks() {
        let slots = HostOptions { slots: Some(3), ..HostOptions::default() };
        let named = Cluster {
            name: Some("pods".into()),
            ..cluster("pod1", connect("kubectl exec -i {host} --"))
        };
        let network =
            Network::with_options(slots, [cluster("2/a,b", HostOptions::default()), named])
                .unwrap();
        let facts: Vec<_> = network
            .hosts()
            .iter()
            .map(|plan| (plan.label().as_str(), plan.cluster(), plan.slots()))
            .collect();
        assert_eq!(
            facts,
            [("a", None, Some(2)), ("b", None, Some(3)), ("pod1", Some("pods"), Some(3))]
        );
        assert_eq!(*network.hosts()[0].transport(), Transport::Ssh { config_file: None });
        assert!(matches!(network.hosts()[2].transport(), Transport::Command(_)));
    }

    #[test]
    fn a_network_made_of_anothers_saved_settings_is_the_same() {
        let options = HostOptions {
            ssh_config: Some("/c".into()),
            lease: Some(std::time::Duration::from_secs(9)),
            ..HostOptions::default()
        };
        let network = Network::with_options(options, [cluster("u@a:22,:", connect("x {host}"))])
            .unwrap()
            .programs(Programs::new().with_agent("linux-aarch64".parse().unwrap(), "/agent"));
        let settings =
            RunSettings { network: network.settings().clone(), ..RunSettings::default() };
        let saved = RunSettings::from_json(&settings.to_json().unwrap()).unwrap();
        assert_eq!(saved, settings);
        assert_eq!(Network::from_settings(&saved).unwrap().settings(), network.settings());
    }

    #[test]
    fn one_host_under_two_names_is_refused() {
        let twice = [cluster("a", HostOptions::default()), cluster("a", connect("x {host}"))];
        assert_eq!(Network::new("", twice).unwrap_err().to_string(), "host a is named twice");
        let same = [cluster("pod1,pod2", connect("docker exec -i pod"))];
        assert_eq!(
            Network::new("", same).unwrap_err().to_string(),
            "hosts pod1 and pod2 are reached by the same command, \"docker exec -i pod\": expected {host} in it"
        );
    }
}
