//! Attempts to reach a host that failed in a row: each reason is told once.

/// Reasons that are remembered; of a host with more, some are told again.
const REMEMBERED: usize = 8;

/// What is known of the attempts since the host last answered.
#[derive(Debug, Default)]
pub(in crate::scheduler) struct FailedContacts {
    count: u32,
    reasons: Vec<String>,
}

impl FailedContacts {
    /// The host has answered.
    pub(in crate::scheduler) fn reset(&mut self) {
        *self = FailedContacts::default();
    }

    /// Another attempt failed; true when the reason is a new one.
    pub(in crate::scheduler) fn add(&mut self, reason: &str) -> bool {
        self.count = self.count.saturating_add(1);
        self.hear(reason)
    }

    /// True when the reason is a new one.
    pub(in crate::scheduler) fn hear(&mut self, reason: &str) -> bool {
        if self.reasons.iter().any(|known| known == reason) {
            return false;
        }
        if self.reasons.len() == REMEMBERED {
            self.reasons.remove(0);
        }
        self.reasons.push(reason.to_owned());
        true
    }

    /// Attempts that failed.
    pub(in crate::scheduler) fn count(&self) -> u32 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_new_once_until_the_host_answers() {
        let mut contacts = FailedContacts::default();
        assert!(contacts.add("refused"));
        assert!(!contacts.add("refused"));
        assert!(contacts.add("no route"));
        assert!(!contacts.add("refused"));
        assert_eq!(contacts.count(), 4);
        contacts.reset();
        assert!(contacts.add("refused"));
    }
}
