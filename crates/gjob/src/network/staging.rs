//! Getting files to the hosts: ask each which are missing, send those, and
//! launch a job once all of its files are there. A file goes to a host once,
//! and to hosts that share a directory once in all. No I/O here: events go in,
//! [`StagingStep`]s come out.

mod blobs;
mod host;
mod origins;
mod places;

use std::collections::VecDeque;
use std::sync::Arc;

use gjob_core::record::{Scope, one_line};
use gjob_core::scheduler::HostIx;
use gjob_core::wire::{BlobHash, Input, InputKind, Launch, ToAgent};
use gjob_core::{JobSpec, Key, Record};

use self::blobs::BlobRefusal;
use self::host::Host;
use self::origins::{JobFile, Origins};
use self::places::Places;
use crate::inputs::{Content, InputDirectory, Inputs};
use crate::link::LinkCommand;
use crate::store::now;
pub(crate) use origins::Origin;

/// A directory of a job that is none of its own files.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// Its name in the job's directory.
    pub(crate) name: String,
    /// The directory.
    pub(crate) directory: Arc<InputDirectory>,
    /// Whose outputs it has, if its host may still have them.
    pub(crate) origin: Option<Origin>,
}

/// The staging of all hosts.
#[derive(Debug)]
pub(super) struct Staging {
    inputs: Inputs,
    hosts: Vec<Host>,
    places: Places,
    origins: Origins,
    steps: VecDeque<(HostIx, StagingStep)>,
}

/// What is to be done next for a host.
#[derive(Debug)]
pub(super) enum StagingStep {
    /// Send this over the link.
    Command(LinkCommand),
    /// A launch can't be carried out.
    Refuse(Record),
}

impl Staging {
    /// The staging of `hosts` hosts, none of which is up.
    pub(super) fn new(inputs: Inputs, hosts: usize) -> Self {
        let hosts = std::iter::repeat_with(Host::default).take(hosts).collect();
        let (places, origins) = (Places::default(), Origins::default());
        Staging { inputs, hosts, places, origins, steps: VecDeque::new() }
    }

    /// There are so many hosts now; new ones are not up.
    pub(super) fn extend(&mut self, hosts: usize) {
        self.hosts.resize_with(hosts, Host::default);
    }

    /// Adds files: those of a job, or of another revision.
    pub(super) fn add_inputs(&mut self, inputs: Inputs) {
        self.inputs.extend(inputs);
    }

    /// The files of a job as a launch on a host names them, with directories beside those that it
    /// names itself.
    pub(super) fn inputs_of(
        &mut self,
        host: HostIx,
        spec: &JobSpec,
        revision: u32,
        others: Vec<Placed>,
    ) -> Vec<Input> {
        let mut inputs = self.inputs.of(spec, revision);
        for Placed { name, directory, origin } in others {
            self.inputs.add_directory(&directory);
            let is_near = |origin: &Origin| self.places.reaches(host, origin.host);
            if let Some(origin) = origin.filter(is_near) {
                self.origins.add(host, &origin, &directory);
            }
            let InputDirectory { hash, mode, mtime_ns, .. } = *directory;
            let (kind, hard_link) = (InputKind::Tree, spec.link);
            inputs.push(Input { name, hash, mode, mtime_ns, kind, hard_link });
        }
        inputs
    }

    /// Where a blob's content is found here.
    pub(super) fn content(&self, hash: &BlobHash) -> Option<&Content> {
        self.inputs.content(hash)
    }

    /// What is to be done next, in order.
    pub(super) fn poll_step(&mut self) -> Option<(HostIx, StagingStep)> {
        self.steps.pop_front()
    }

    /// A host's link is up; `place` names its results directory.
    pub(super) fn handle_up(&mut self, host: HostIx, place: &str) {
        self.places.join(host, place);
    }

    /// A host's link has ended, and with it all that was on the way.
    pub(super) fn handle_down(&mut self, host: HostIx) {
        self.hosts[host.at()] = Host::default();
        self.part(host);
    }

    /// A host does not matter to its peers any more.
    fn part(&mut self, host: HostIx) {
        let peers = self.places.peers(host);
        self.places.leave(host);
        for peer in peers.into_iter().chain([host]) {
            self.hosts[peer.at()].blobs.unpark();
            self.feed(peer);
        }
    }

    /// A job is to be launched.
    pub(super) fn launch(&mut self, host: HostIx, launch: Launch) {
        let questions = self.hosts[host.at()].launch(launch, &self.inputs);
        questions.into_iter().for_each(|hashes| self.ask(host, hashes));
        self.release(host);
    }

    /// A launch is not wanted any more.
    pub(super) fn forget(&mut self, host: HostIx, key: Key) {
        self.hosts[host.at()].forget(key);
    }

    /// The host says which of the blobs last asked about it lacks, and how much
    /// of each is there.
    pub(super) fn handle_missing(&mut self, host: HostIx, missing: &[(BlobHash, u64)]) {
        let answer = self.hosts[host.at()].blobs.handle_answer(missing);
        self.hosts[host.at()].handle_present(&answer.present);
        self.release(host);
        if answer.found > 0 {
            self.places.found(host);
        } else if answer.lacking > 0 && self.places.lacks(host) {
            self.part(host);
        }
        self.feed(host);
    }

    /// A blob is complete there.
    pub(super) fn handle_stored(&mut self, host: HostIx, hash: BlobHash) {
        if !self.hosts[host.at()].blobs.handle_stored(hash) {
            return;
        }
        self.places.end(host, hash);
        self.hosts[host.at()].handle_present(&[hash]);
        self.release(host);
        for peer in self.places.peers(host) {
            self.hosts[peer.at()].blobs.handle_peer_stored(hash);
            self.feed(peer);
        }
        self.feed(host);
    }

    /// The host did not take a blob.
    pub(super) fn handle_refused(
        &mut self,
        host: HostIx,
        hash: BlobHash,
        reason: &str,
        scope: Scope,
    ) {
        match self.hosts[host.at()].blobs.handle_refused(hash, scope) {
            BlobRefusal::Unasked => {}
            BlobRefusal::Again => self.feed(host),
            BlobRefusal::Final => self.give_up(host, hash, reason, scope),
        }
    }

    /// A blob can't be read here.
    pub(super) fn handle_unreadable(&mut self, host: HostIx, hash: BlobHash, reason: &str) {
        self.give_up(host, hash, reason, Scope::Job);
    }

    /// The host has recorded something.
    pub(super) fn handle_record(&mut self, host: HostIx, record: &Record) {
        self.hosts[host.at()].handle_record(record, &self.inputs);
    }

    /// A blob can't be had on a host: the launches that need it are off.
    fn give_up(&mut self, host: HostIx, hash: BlobHash, reason: &str, scope: Scope) {
        for launch in self.hosts[host.at()].handle_failed(hash) {
            let (key, reason) = (launch.key, one_line(reason));
            let refused = Record::Refused { key, reason, scope, at: now() };
            self.steps.push_back((host, StagingStep::Refuse(refused)));
        }
        self.places.end(host, hash);
        for peer in self.places.peers(host) {
            self.hosts[peer.at()].blobs.handle_peer_gave_up(hash);
            self.feed(peer);
        }
        self.feed(host);
    }

    /// Gives the link as much as it is to have at once.
    fn feed(&mut self, host: HostIx) {
        if let Some(hashes) = self.hosts[host.at()].blobs.ask_again() {
            self.ask(host, hashes);
        }
        let places = &mut self.places;
        while let Some(wanted) = self.hosts[host.at()].blobs.next(|hash| places.begin(host, hash)) {
            let hash = wanted.hash;
            if !wanted.verify
                && let Some(JobFile { id, path, size }) = self.origins.find(host, &hash)
            {
                let (size, id, path) = (*size, id.clone(), path.clone());
                // It takes nothing of the link.
                self.hosts[host.at()].blobs.handle_sending(wanted, 0);
                let message = ToAgent::TakeBlob { hash, size, id, path };
                self.steps.push_back((host, StagingStep::Command(LinkCommand::Send(message))));
                continue;
            }
            let Some(content) = self.inputs.content(&hash).cloned() else {
                let reason = format!("nothing is known of the content {hash}");
                return self.give_up(host, hash, &reason, Scope::Job);
            };
            self.hosts[host.at()].blobs.handle_sending(wanted, content.size());
            // More than there is of it is something else.
            let from = if wanted.from > content.size() { 0 } else { wanted.from };
            let command = LinkCommand::SendBlob { content, from, verify: wanted.verify };
            self.steps.push_back((host, StagingStep::Command(command)));
        }
    }

    /// The host has dropped a launch, that often by now. Returns false if that is known.
    pub(super) fn handle_dropped(&mut self, host: HostIx, key: Key, times: u32) -> bool {
        self.hosts[host.at()].handle_dropped(key, times)
    }

    fn ask(&mut self, host: HostIx, hashes: Vec<BlobHash>) {
        self.send(host, ToAgent::AskBlobs { hashes });
    }

    /// Sends the launches whose files are all there.
    fn release(&mut self, host: HostIx) {
        for launch in self.hosts[host.at()].release() {
            self.send(host, ToAgent::Launch(Box::new(launch)));
        }
    }

    fn send(&mut self, host: HostIx, message: ToAgent) {
        self.steps.push_back((host, StagingStep::Command(LinkCommand::Send(message))));
    }
}

#[cfg(test)]
mod tests;
