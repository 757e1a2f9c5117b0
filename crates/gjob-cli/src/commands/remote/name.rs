//! What a job of another machine is called: the id that it has there, behind the host as
//! the user named it. A host's own name is a claim of the host's, and leads nowhere.

use std::fmt;
use std::str::FromStr;

use gjob_core::id::ParseIdError;
use gjob_core::{HostLabel, JobId};

/// A job on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RemoteJob {
    /// The host as the user named it.
    pub(super) host: String,
    /// The job's id there.
    pub(super) id: JobId,
}

impl fmt::Display for RemoteJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id.as_str().split_once('/') {
            // The host is called as it calls itself.
            Some((own, _)) if own == self.host => write!(f, "{}", self.id),
            _ => write!(f, "{}/{}", self.host, self.id),
        }
    }
}

impl FromStr for RemoteJob {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, rest) = text.split_once('/').unwrap_or((text, ""));
        if rest.contains('/') {
            let host: HostLabel = host.parse()?;
            return Ok(RemoteJob { host: host.as_str().to_owned(), id: rest.parse()? });
        }
        Ok(RemoteJob { host: host.to_owned(), id: text.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_leads_to_the_host_that_the_user_named_whatever_it_calls_itself() {
        for (host, id, name) in [
            ("h1", "node17/2026-11-29-1", "h1/node17/2026-11-29-1"),
            ("me@h1:2222", "h1/2026-11-29-1", "me@h1:2222/h1/2026-11-29-1"),
            (":", "here/2026-11-29-1", ":/here/2026-11-29-1"),
            ("h1", "h1/2026-11-29-1", "h1/2026-11-29-1"),
        ] {
            let job = RemoteJob { host: host.to_owned(), id: id.parse().unwrap() };
            assert_eq!(job.to_string(), name);
            assert_eq!(name.parse(), Ok(job));
        }
        for bad in ["", "h1", "h1/", "/h1/2026-11-29-1", "-x/h1/2026-11-29-1", "a/b/c/2026-11-29-1"]
        {
            assert!(bad.parse::<RemoteJob>().is_err(), "{bad:?}");
        }
    }
}
