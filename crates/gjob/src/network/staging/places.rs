//! Results directories that several hosts may share: a blob goes to one of them
//! at a time, and the others find it there. Hosts are told apart by what they
//! call the place, which machines cloned from one image may have in common
//! without sharing it: such a host is found out and stands alone from then on.

use std::collections::{BTreeSet, HashMap, HashSet};

use gjob_core::scheduler::HostIx;
use gjob_core::wire::BlobHash;

/// How often in a row a host may lack what another one was sent. Once is what a
/// network's file system makes of a name it has just been asked about.
const PATIENCE: u32 = 2;

/// Who is in which place, and who is sent what.
#[derive(Debug, Default)]
pub(super) struct Places {
    members: HashMap<String, BTreeSet<HostIx>>,
    of: HashMap<HostIx, String>,
    /// The blobs under way to each place, with the host they go to.
    under_way: HashMap<String, HashMap<BlobHash, HostIx>>,
    /// How often each host has lacked what should have been there.
    lacked: HashMap<HostIx, u32>,
    /// Hosts that share with nobody.
    alone: HashSet<HostIx>,
}

impl Places {
    /// A host answers and says where it keeps its results.
    pub(super) fn join(&mut self, host: HostIx, place: &str) {
        self.leave(host);
        if !place.is_empty() && !self.alone.contains(&host) {
            self.members.entry(place.to_owned()).or_default().insert(host);
            self.of.insert(host, place.to_owned());
        }
    }

    /// A host can't be sent anything any more; what was under way to it may go
    /// to its peers.
    pub(super) fn leave(&mut self, host: HostIx) {
        let Some(place) = self.of.remove(&host) else { return };
        if let Some(under_way) = self.under_way.get_mut(&place) {
            under_way.retain(|_, receiver| *receiver != host);
        }
        if let Some(members) = self.members.get_mut(&place) {
            members.remove(&host);
            if members.is_empty() {
                self.members.remove(&place);
                self.under_way.remove(&place);
            }
        }
    }

    /// The hosts that may share a host's place.
    pub(super) fn peers(&self, host: HostIx) -> Vec<HostIx> {
        let members = self.of.get(&host).and_then(|place| self.members.get(place));
        members.into_iter().flatten().copied().filter(|peer| *peer != host).collect()
    }

    /// True if a host may reach what another one has written.
    pub(super) fn reaches(&self, host: HostIx, writer: HostIx) -> bool {
        let place = self.of.get(&host);
        host == writer || place.is_some() && place == self.of.get(&writer)
    }

    /// Lets a host be sent a blob; false while another one is sent it.
    pub(super) fn begin(&mut self, host: HostIx, hash: BlobHash) -> bool {
        let Some(place) = self.of.get(&host) else { return true };
        let under_way = self.under_way.entry(place.clone()).or_default();
        *under_way.entry(hash).or_insert(host) == host
    }

    /// A host has got a blob, or won't get it.
    pub(super) fn end(&mut self, host: HostIx, hash: BlobHash) {
        let under_way = self.of.get(&host).and_then(|place| self.under_way.get_mut(place));
        if let Some(under_way) = under_way
            && under_way.get(&hash) == Some(&host)
        {
            under_way.remove(&hash);
        }
    }

    /// A host has what a peer was sent.
    pub(super) fn found(&mut self, host: HostIx) {
        self.lacked.remove(&host);
    }

    /// A host lacks what a peer was sent. True when that shows that it shares
    /// with nobody: its peers need not wait for it any more, nor it for them.
    pub(super) fn lacks(&mut self, host: HostIx) -> bool {
        let lacked = self.lacked.entry(host).or_default();
        *lacked += 1;
        *lacked >= PATIENCE && self.alone.insert(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: [HostIx; 4] = [HostIx(0), HostIx(1), HostIx(2), HostIx(3)];
    const A: BlobHash = BlobHash([1; 32]);
    const B: BlobHash = BlobHash([2; 32]);

    /// Three hosts in one place, and one that does not say.
    fn three() -> Places {
        let mut places = Places::default();
        H[..3].iter().for_each(|host| places.join(*host, "nfs"));
        places.join(H[3], "");
        places
    }

    #[test]
    fn one_host_of_a_place_is_sent_a_blob_at_a_time_and_others_are_free() {
        let mut places = three();
        assert!(places.begin(H[0], A) && places.begin(H[0], A));
        assert!(!places.begin(H[1], A));
        assert!(places.begin(H[1], B));
        assert!(places.begin(H[3], A));
        assert_eq!(places.peers(H[0]), [H[1], H[2]]);
        assert_eq!(places.peers(H[3]), []);
        assert!(places.reaches(H[0], H[1]) && places.reaches(H[3], H[3]));
        assert!(!places.reaches(H[0], H[3]) && !places.reaches(H[3], H[0]));
        places.end(H[1], A);
        assert!(!places.begin(H[2], A), "it was not that host's to end");
        places.end(H[0], A);
        assert!(places.begin(H[2], A));
    }

    #[test]
    fn a_host_that_goes_away_holds_nobody_up() {
        let mut places = three();
        assert!(places.begin(H[0], A));
        places.leave(H[0]);
        assert_eq!(places.peers(H[1]), [H[2]]);
        assert!(places.begin(H[1], A));
        places.join(H[0], "nfs");
        assert!(!places.begin(H[0], A));
        places.join(H[1], "nfs");
        assert!(places.begin(H[0], A), "a new link begins anew");
    }

    #[test]
    fn machines_that_only_look_as_if_they_shared_are_found_out() {
        let mut places = three();
        assert!(!places.lacks(H[1]));
        places.found(H[1]);
        assert!(!places.lacks(H[1]));
        assert!(places.lacks(H[1]));
        places.join(H[1], "nfs");
        assert!(places.begin(H[0], A) && places.begin(H[1], A));
        assert_eq!(places.peers(H[0]), [H[2]]);
    }
}
