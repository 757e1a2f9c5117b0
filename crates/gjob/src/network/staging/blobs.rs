//! The blobs of one host: which are there, which it was asked about, and which
//! are on their way, a few at a time.

use std::collections::{HashMap, HashSet, VecDeque};

use gjob_core::record::Scope;
use gjob_core::wire::BlobHash;

/// The most hashes in one question.
const MOST_ASKED: usize = 4096;

/// Blobs handed to a link at once: enough that it never waits for the next one,
/// and not so many that hosts which share a place could not divide the work.
const MOST_SENDING: usize = 512;

/// The same in bytes: more than a link ever has under way.
const MOST_BYTES: u64 = 32 << 20;

/// The blobs that somebody has wanted on a host since its link is up.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    known: HashMap<BlobHash, Known>,
    /// The questions not answered yet, in order.
    asked: VecDeque<Question>,
    /// Those [`Known::Missing`], in the order to be sent.
    queue: VecDeque<BlobHash>,
    sending: usize,
    sending_bytes: u64,
    /// Peers have got these; the host is to be asked again.
    again: Vec<BlobHash>,
}

/// What is known of a blob on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Asked,
    /// Not there, but for its first `have` bytes.
    Missing {
        have: u64,
        /// True when the host has refused it once.
        verify: bool,
    },
    /// A peer is sent it; its first `have` bytes are there.
    Parked {
        have: u64,
    },
    Sending {
        size: u64,
        verify: bool,
    },
    Present,
}

#[derive(Debug)]
struct Question {
    hashes: Vec<BlobHash>,
    /// True when peers have got all of these.
    again: bool,
}

/// What an answer has brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// These are there.
    pub(super) present: Vec<BlobHash>,
    /// How many that peers have got are there.
    pub(super) found: usize,
    /// How many that peers have got are not.
    pub(super) lacking: usize,
}

/// A blob to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) hash: BlobHash,
    pub(super) from: u64,
    pub(super) verify: bool,
}

/// What to do about a blob that the host did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlobRefusal {
    /// It is sent once more, from its beginning.
    Again,
    /// It can't be had there.
    Final,
    /// It was not being sent.
    Unasked,
}

impl Blobs {
    pub(super) fn is_present(&self, hash: &BlobHash) -> bool {
        self.known.get(hash) == Some(&Known::Present)
    }

    /// Some blobs are wanted: gives back what to ask the host.
    pub(super) fn want(&mut self, hashes: &[BlobHash]) -> Vec<Vec<BlobHash>> {
        let mut unknown = Vec::new();
        for hash in hashes {
            if !self.known.contains_key(hash) {
                self.known.insert(*hash, Known::Asked);
                unknown.push(*hash);
            }
        }
        let questions: Vec<Vec<BlobHash>> =
            unknown.chunks(MOST_ASKED).map(<[BlobHash]>::to_vec).collect();
        for hashes in &questions {
            self.asked.push_back(Question { hashes: hashes.clone(), again: false });
        }
        questions
    }

    /// The host says which of those last asked about it lacks.
    pub(super) fn handle_answer(&mut self, missing: &[(BlobHash, u64)]) -> Answer {
        let Some(Question { hashes, again }) = self.asked.pop_front() else {
            return Answer::default();
        };
        let missing: HashMap<&BlobHash, u64> = missing.iter().map(|(h, have)| (h, *have)).collect();
        let mut answer = Answer::default();
        for hash in hashes {
            if self.known.get(&hash) != Some(&Known::Asked) {
                continue;
            }
            match missing.get(&hash) {
                None => {
                    self.known.insert(hash, Known::Present);
                    answer.present.push(hash);
                    answer.found += usize::from(again);
                }
                Some(&have) => {
                    self.enqueue(hash, have, false);
                    answer.lacking += usize::from(again);
                }
            }
        }
        answer
    }

    fn enqueue(&mut self, hash: BlobHash, have: u64, verify: bool) {
        self.known.insert(hash, Known::Missing { have, verify });
        self.queue.push_back(hash);
    }

    /// The next blob to be sent, if one may be. `may` says whether no peer is
    /// sent it.
    pub(super) fn next(&mut self, mut may: impl FnMut(BlobHash) -> bool) -> Option<Wanted> {
        if self.sending >= MOST_SENDING || self.sending_bytes >= MOST_BYTES {
            return None;
        }
        while let Some(hash) = self.queue.pop_front() {
            // What was settled meanwhile is in the queue still.
            let Some(&Known::Missing { have, verify }) = self.known.get(&hash) else { continue };
            if may(hash) {
                return Some(Wanted { hash, from: have, verify });
            }
            self.known.insert(hash, Known::Parked { have });
        }
        None
    }

    /// What [`Blobs::next`] gave was handed to the link.
    pub(super) fn handle_sending(&mut self, wanted: Wanted, size: u64) {
        self.sending += 1;
        self.sending_bytes += size;
        self.known.insert(wanted.hash, Known::Sending { size, verify: wanted.verify });
    }

    /// A blob is there. False when it was not being sent.
    pub(super) fn handle_stored(&mut self, hash: BlobHash) -> bool {
        let was_sent = self.end_sending(&hash).is_some();
        if was_sent {
            self.known.insert(hash, Known::Present);
        }
        was_sent
    }

    /// The host did not take a blob: the part that was there may have been bad, unless
    /// there is no space for it.
    pub(super) fn handle_refused(&mut self, hash: BlobHash, scope: Scope) -> BlobRefusal {
        match self.end_sending(&hash) {
            None => BlobRefusal::Unasked,
            Some(false) if scope != Scope::Space => {
                self.known.insert(hash, Known::Missing { have: 0, verify: true });
                self.queue.push_front(hash);
                BlobRefusal::Again
            }
            Some(_) => {
                self.known.remove(&hash);
                BlobRefusal::Final
            }
        }
    }

    /// A blob can't be sent, or is not to be relied on: nothing is known of it.
    pub(super) fn forget(&mut self, hash: BlobHash) {
        self.end_sending(&hash);
        if self.known.get(&hash) != Some(&Known::Asked) {
            self.known.remove(&hash);
        }
    }

    /// Whether it was sent to be verified; none if it was not sent.
    fn end_sending(&mut self, hash: &BlobHash) -> Option<bool> {
        let Some(&Known::Sending { size, verify }) = self.known.get(hash) else { return None };
        self.sending -= 1;
        self.sending_bytes -= size;
        Some(verify)
    }

    /// A peer has got a blob, and this host may have it now, too.
    pub(super) fn handle_peer_stored(&mut self, hash: BlobHash) {
        if let Some(known @ (Known::Missing { .. } | Known::Parked { .. })) =
            self.known.get_mut(&hash)
        {
            *known = Known::Asked;
            self.again.push(hash);
        }
    }

    /// A peer will not get a blob: it may be this host's turn.
    pub(super) fn handle_peer_gave_up(&mut self, hash: BlobHash) {
        if let Some(&Known::Parked { have }) = self.known.get(&hash) {
            self.enqueue(hash, have, false);
        }
    }

    /// Peers don't matter any more, or who they are has changed.
    pub(super) fn unpark(&mut self) {
        let parked: HashSet<BlobHash> = self
            .known
            .iter()
            .filter_map(|(hash, known)| matches!(known, Known::Parked { .. }).then_some(*hash))
            .collect();
        parked.into_iter().for_each(|hash| self.handle_peer_gave_up(hash));
    }

    /// What to ask about again, one question at a time: what comes up meanwhile
    /// goes into the next one.
    pub(super) fn ask_again(&mut self) -> Option<Vec<BlobHash>> {
        if self.again.is_empty() || self.asked.iter().any(|question| question.again) {
            return None;
        }
        let rest = self.again.split_off(self.again.len().min(MOST_ASKED));
        let hashes = std::mem::replace(&mut self.again, rest);
        self.asked.push_back(Question { hashes: hashes.clone(), again: true });
        Some(hashes)
    }
}
