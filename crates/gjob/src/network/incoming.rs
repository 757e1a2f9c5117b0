//! From what links and tasks report to what the network does and hands on as
//! [`Report`]s. Staging is dealt with here.

use gjob_core::record::{Loss, ParseRecordError, Scope, one_line};
use gjob_core::scheduler::HostIx;
use gjob_core::wire::FromAgent;
use gjob_core::{Key, Record};

use super::Report;
use super::open::{Open, Use};
use super::staging::StagingStep;
use crate::link::{LinkCommand, LinkEvent};
use crate::outputs::{CollectError, CollectReport, CollectScope, OutputProgress};
use crate::store::now;

impl Open {
    pub(super) fn handle_link(&mut self, host: HostIx, event: LinkEvent) {
        match event {
            LinkEvent::Up(welcome) => {
                self.hosts[host.at()].handle_up();
                self.staging.handle_up(host, &welcome.place);
                self.ready.push_back((host, Report::Up(welcome)));
            }
            LinkEvent::Slow { reason } => self.ready.push_back((host, Report::Slow { reason })),
            LinkEvent::Silence { silence, is_over } => {
                self.ready.push_back((host, Report::Silence { silence, is_over }));
            }
            LinkEvent::Down { reason, retry_in: _ } => {
                self.handle_down(host);
                self.ready.push_back((host, Report::Down { reason }));
            }
            LinkEvent::Failed { reason } => {
                self.handle_down(host);
                if self.purpose == Use::Managed {
                    // The manager knows what it has ordered.
                    self.hosts[host.at()].collecting.clear();
                }
                self.ready.push_back((host, Report::Failed { reason }));
            }
            LinkEvent::BlobSourceFailed { hash, reason } => {
                self.staging.handle_unreadable(host, hash, &reason);
            }
            LinkEvent::Sending { hash, sent, size } => {
                if let Some(content) = self.staging.content(&hash) {
                    let path = content.path().to_owned();
                    self.ready.push_back((host, Report::Staging { path, bytes: sent, size }));
                }
            }
            LinkEvent::Connecting { stage } => {
                self.ready.push_back((host, Report::Connecting(stage)));
            }
            LinkEvent::Uploading { bytes } => {
                self.ready.push_back((host, Report::Uploading { bytes }));
            }
            LinkEvent::RoundTrip(length) => self.ready.push_back((host, Report::RoundTrip(length))),
            LinkEvent::Clock(offset) => self.ready.push_back((host, Report::Clock(offset))),
            LinkEvent::Answer(answer) => {
                if !answer.deliver() {
                    self.reject(host, "answered a request with something else");
                }
            }
            LinkEvent::Message(message) => self.handle_message(host, message),
        }
        self.take_steps();
    }

    fn handle_message(&mut self, host: HostIx, message: FromAgent) {
        match message {
            FromAgent::Records { offset, lines } => self.handle_records(host, offset, &lines),
            FromAgent::MissingBlobs { blobs } => self.staging.handle_missing(host, &blobs),
            FromAgent::BlobStored { hash } => self.staging.handle_stored(host, hash),
            FromAgent::BlobFailed { hash, reason, scope } => {
                // A host cannot know that a job is at fault.
                let scope = if scope == Scope::Job { Scope::Host } else { scope };
                self.staging.handle_refused(host, hash, &reason.shown(), scope);
            }
            FromAgent::NotNow { keys, reason, scope } => {
                // Of an agent that sends another one, the launches are not there either.
                let scope = if scope == Scope::Load { scope } else { Scope::Space };
                for (key, times) in keys {
                    let reason = reason.clone();
                    let refused = Record::Refused { key, reason, scope, at: now() };
                    if !self.staging.handle_dropped(host, key, times) {
                        continue;
                    }
                    self.ready.push_back((host, Report::Recorded(Box::new(refused))));
                }
            }
            FromAgent::Recorded { key, line } => {
                let record = recorded(key, &line);
                self.staging.handle_record(host, &record);
                self.ready.push_back((host, Report::Recorded(Box::new(record))));
            }
            FromAgent::Sharing(sharing) => {
                self.ready.push_back((host, Report::Sharing(sharing)));
            }
            FromAgent::Told { hosts } => self.ready.push_back((host, Report::Told { hosts })),
            FromAgent::HostCount { hosts } => {
                self.ready.push_back((host, Report::HostCount { hosts }));
            }
            // Answers come as such; the others are the link's.
            FromAgent::Data { .. }
            | FromAgent::ReadFailed { .. }
            | FromAgent::Statuses { .. }
            | FromAgent::Outputs { .. }
            | FromAgent::Collected { .. }
            | FromAgent::CollectFailed { .. }
            | FromAgent::Removed { .. }
            | FromAgent::Forgotten { .. }
            | FromAgent::Purged { .. }
            | FromAgent::ByHand { .. }
            | FromAgent::Description { .. }
            | FromAgent::Usage { .. }
            | FromAgent::ProbeStarted { .. }
            | FromAgent::ProbeEnded { .. }
            | FromAgent::Echo { .. }
            | FromAgent::Pong { .. }
            | FromAgent::Welcome(_)
            | FromAgent::Fault { .. } => {}
        }
    }

    /// A part of the run log that follows on what was received: whole lines, or a
    /// part of one that is too long to be a record. Lines that are none are passed
    /// over: a job can write there, and one that does must not put out its host.
    fn handle_records(&mut self, host: HostIx, offset: u64, lines: &[u8]) {
        let open_host = &mut self.hosts[host.at()];
        if open_host.is_cut_short {
            return;
        }
        if !open_host.receive(offset, lines.len()) {
            return self.handle_gap(host);
        }
        let end = open_host.received;
        let newline = lines.iter().position(|byte| *byte == b'\n');
        let within = std::mem::replace(&mut open_host.in_long_line, newline.is_none());
        let whole = match newline {
            None => return,
            Some(at) if within => &lines[at + 1..],
            Some(_) => lines,
        };
        if lines.last() != Some(&b'\n') {
            return self.reject(host, "sent a run log out of order");
        }
        let (mut records, mut skipped) = (Vec::new(), u32::from(within));
        for line in whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match Record::parse(line) {
                Ok(record) => records.push(record),
                Err(error @ ParseRecordError::Version { .. }) if offset == 0 && skipped == 0 => {
                    return self.reject(host, &format!("sent a bad run log: {error}"));
                }
                // What a crash has torn was written again, whole.
                Err(_) => skipped += 1,
            }
        }
        records.iter().for_each(|record| self.staging.handle_record(host, record));
        self.ready.push_back((host, Report::Records { records, end, skipped }));
    }

    /// What a job takes from its agent's output is sent again over another connection.
    fn handle_gap(&mut self, host: HostIx) {
        let open_host = &mut self.hosts[host.at()];
        if open_host.handle_gap() {
            open_host.send(LinkCommand::Reopen);
        } else {
            self.reject(host, "sent a run log out of order, again and again");
        }
    }

    /// A host that does not keep to the protocol is out.
    fn reject(&mut self, host: HostIx, what: &str) {
        let reason = format!("the host's agent {what}");
        self.hosts[host.at()].reject(&reason);
        self.handle_link(host, LinkEvent::Failed { reason });
    }

    /// Closes the link to a host whose owner knows why.
    pub(super) fn close_link(&mut self, host: HostIx, reason: &str) {
        let open_host = &mut self.hosts[host.at()];
        // First those who would report that the link is closed.
        open_host.collecting.clear();
        open_host.reject(reason);
        self.handle_down(host);
        self.take_steps();
    }

    fn handle_down(&mut self, host: HostIx) {
        self.hosts[host.at()].is_up = false;
        self.staging.handle_down(host);
    }

    /// Does what staging has decided.
    pub(super) fn take_steps(&mut self) {
        while let Some((host, step)) = self.staging.poll_step() {
            match step {
                StagingStep::Command(command) => self.hosts[host.at()].send(command),
                StagingStep::Refuse(record) => {
                    self.ready.push_back((host, Report::Unsent(Box::new(record))));
                }
            }
        }
    }

    pub(super) fn handle_output(&mut self, host: HostIx, report: CollectReport) {
        let progress = match report {
            CollectReport::Violation(what) => return self.reject(host, &what),
            CollectReport::Progress(progress) => progress,
        };
        let progress = match progress {
            OutputProgress::Collecting { key, path, bytes, size } => {
                OutputProgress::Collecting { key, path, bytes, size }
            }
            OutputProgress::Collected { key, result } => {
                self.hosts[host.at()].collecting.remove(&key);
                let result = result.and_then(|committed| {
                    committed.read().map_err(|error| CollectError {
                        scope: CollectScope::Here,
                        reason: format!("cannot read the list of its outputs: {error}"),
                    })
                });
                OutputProgress::Collected { key, result }
            }
        };
        self.ready.push_back((host, Report::Output(progress)));
    }
}

/// What a host has recorded of an attempt, of which it was asked for something.
fn recorded(key: Key, line: &[u8]) -> Record {
    match Record::parse(line) {
        Ok(record) if record.key() == Some(key) => record,
        _ => {
            let (how, survivors) = (Loss::Slot, Vec::new());
            let reason = one_line("what its host has recorded of it cannot be read");
            Record::Lost { key, how, id: None, reason, survivors, at: now() }
        }
    }
}
