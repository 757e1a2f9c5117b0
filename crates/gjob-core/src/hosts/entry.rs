//! One host as a user names it: `[SLOTS/][USER@]NAME[:PORT]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{HostLabel, ParseIdError};

/// One host, with what was said of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostEntry {
    /// Jobs it runs at once; none leaves it to [`HostOptions`](super::HostOptions).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// The user to log in as; none leaves it to ssh's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its name: what ssh is called with, or `:` for this machine. An IPv6
    /// address stands here without brackets, as ssh wants it.
    pub name: String,
    /// The port; none leaves it to ssh's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Labels that it was given, by which jobs can be bound to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Its results directory; none leaves it to [`HostOptions`](super::HostOptions).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results_dir: Option<String>,
    /// Variables that its jobs have, before those of [`HostOptions`](super::HostOptions).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

impl HostEntry {
    /// This machine, reached without ssh.
    #[must_use]
    pub fn local() -> Self {
        HostEntry {
            slots: None,
            user: None,
            name: HostLabel::LOCAL.to_owned(),
            port: None,
            labels: Vec::new(),
            results_dir: None,
            env: BTreeMap::new(),
        }
    }

    /// True for this machine reached without ssh.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.name == HostLabel::LOCAL
    }

    /// What the manager calls the host: `[USER@]NAME[:PORT]`, an IPv6 address
    /// in brackets.
    ///
    /// # Errors
    /// When a part holds characters that no host name has.
    pub fn label(&self) -> Result<HostLabel, ParseIdError> {
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        match self.name.contains(':') && !self.is_local() {
            true => format!("{user}[{}]{port}", self.name).parse(),
            false => format!("{user}{}{port}", self.name).parse(),
        }
    }

    /// What ssh is called with, behind `--`: `[USER@]NAME`.
    #[must_use]
    pub fn destination(&self) -> String {
        match &self.user {
            Some(user) => format!("{user}@{}", self.name),
            None => self.name.clone(),
        }
    }
}
