//! Tells a manager whose store is older than the run log what was begun of the run: the
//! log, from where that manager is, and when all of it was sent.

use gjob_core::wire::FromAgent;

use super::Agent;
use super::link::Link;

impl Agent {
    /// Finds the claims of which the log says nothing yet. What is claimed is recorded in
    /// any case: by its slot when that has begun it, or by the recovery of what a slot left.
    pub(super) fn begin_telling(&mut self) {
        let mut claimed = self.claims.all().unwrap_or_default();
        claimed.retain(|key| !self.recovery.is_doubtful(*key));
        self.telling = Some(claimed.into_iter().collect());
    }

    /// Says that all was sent, once it was.
    pub(super) fn finish_telling(&mut self, link: &mut Link) {
        let Some(unknown) = &mut self.telling else { return };
        let attempts = self.journal.attempts();
        unknown.retain(|key| !attempts.is_known(*key));
        let is_pending =
            self.recovery.is_pending() || self.journal.has_unsent() || self.journal.has_unwritten();
        if unknown.is_empty() && !is_pending {
            self.telling = None;
            link.send(&FromAgent::Told { hosts: self.host_count.number() });
        }
    }
}
