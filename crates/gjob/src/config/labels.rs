//! Labels by which jobs can be bound to hosts: those of `[host.NAME]`, and the names of
//! the groups and clusters that a host is in.

use super::Config;

impl Config {
    /// The labels of a host, whatever it is named by.
    pub(super) fn labels_of(&self, name: &str) -> Vec<String> {
        let tables = self.files.iter().flat_map(|file| &file.hosts);
        let tables = tables.filter(|table| table.names.iter().any(|host| host.name == name));
        let groups = self.files.iter().flat_map(|file| &file.groups);
        let groups = groups.filter(|group| group.hosts.iter().any(|host| host.name == name));
        let own = tables.flat_map(|table| table.labels.iter().cloned());
        let mut labels: Vec<String> = own.chain(groups.map(|group| group.name.clone())).collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }
}
