//! Getting files to one host: ask which are missing, send those, and launch a
//! job once all of its files are there. A file goes to a host once.

use std::collections::{BTreeSet, HashSet, VecDeque};

use gjob_core::record::Scope;
use gjob_core::wire::{BlobHash, Launch, ToAgent};
use gjob_core::{Key, Record};

use super::inputs::Inputs;
use crate::link::LinkCommand;
use crate::store::now;

/// The staging of one host, for as long as its link lasts.
#[derive(Debug, Default)]
pub(super) struct Staging {
    present: HashSet<BlobHash>,
    /// Asked for or being sent.
    under_way: HashSet<BlobHash>,
    /// The hashes of each question not answered yet, in order.
    asked: VecDeque<Vec<BlobHash>>,
    /// Launches that wait for files.
    waiting: Vec<Launch>,
}

/// What is to be done next for the host.
#[derive(Debug)]
pub(super) enum Step {
    /// Send this over the link.
    Command(LinkCommand),
    /// A launch can't be carried out.
    Refuse(Record),
}

impl Staging {
    /// A job is to be launched.
    pub(super) fn launch(&mut self, launch: Launch) -> Vec<Step> {
        let hashes: BTreeSet<BlobHash> = launch.files.iter().map(|file| file.hash).collect();
        let unknown: Vec<BlobHash> = hashes
            .into_iter()
            .filter(|hash| !self.present.contains(hash) && !self.under_way.contains(hash))
            .collect();
        self.waiting.push(launch);
        let mut steps = Vec::new();
        for hashes in unknown.chunks(4096) {
            self.under_way.extend(hashes);
            self.asked.push_back(hashes.to_vec());
            let question = ToAgent::AskBlobs { hashes: hashes.to_vec() };
            steps.push(Step::Command(LinkCommand::Send(question)));
        }
        steps.extend(self.release());
        steps
    }

    /// A launch is not wanted any more.
    pub(super) fn forget(&mut self, key: Key) {
        self.waiting.retain(|launch| launch.key != key);
    }

    /// The host says which of the files last asked about it lacks.
    pub(super) fn missing(&mut self, missing: &[BlobHash], inputs: &Inputs) -> Vec<Step> {
        let asked = self.asked.pop_front().unwrap_or_default();
        let missing: HashSet<&BlobHash> = missing.iter().collect();
        let mut steps = Vec::new();
        for hash in asked {
            if !missing.contains(&hash) {
                self.under_way.remove(&hash);
                self.present.insert(hash);
            } else if let Some(source) = inputs.source(&hash) {
                match source.check() {
                    Ok(()) => {
                        let (path, size) = (source.path.clone(), source.size);
                        steps.push(Step::Command(LinkCommand::SendBlob { hash, path, size }));
                    }
                    Err(error) => steps.extend(self.failed(hash, &error.to_string(), Scope::Job)),
                }
            }
        }
        steps.extend(self.release());
        steps
    }

    /// A file is complete there.
    pub(super) fn stored(&mut self, hash: BlobHash) -> Vec<Step> {
        self.under_way.remove(&hash);
        self.present.insert(hash);
        self.release()
    }

    /// A file can't be had there: the launches that need it are off.
    pub(super) fn failed(&mut self, hash: BlobHash, reason: &str, scope: Scope) -> Vec<Step> {
        self.under_way.remove(&hash);
        let needs = |launch: &mut Launch| launch.files.iter().any(|file| file.hash == hash);
        let refused = self.waiting.extract_if(.., needs);
        let refuse = |launch: Launch| {
            Step::Refuse(Record::Refused {
                key: launch.key,
                reason: gjob_core::record::one_line(reason),
                scope,
                at: now(),
            })
        };
        refused.map(refuse).collect()
    }

    /// The launches whose files are all there.
    fn release(&mut self) -> Vec<Step> {
        let present = &self.present;
        let ready = |launch: &mut Launch| launch.files.iter().all(|f| present.contains(&f.hash));
        let launches = self.waiting.extract_if(.., ready);
        let send = |launch| Step::Command(LinkCommand::Send(ToAgent::Launch(Box::new(launch))));
        launches.map(send).collect()
    }
}

#[cfg(test)]
mod tests {
    use gjob_core::wire::{Input, InputKind};

    use super::*;

    fn launch(index: u32, contents: &[u8]) -> Launch {
        let file = |byte: &u8| Input {
            name: "f".into(),
            hash: BlobHash([*byte; 32]),
            mode: 0o600,
            mtime_ns: 0,
            kind: InputKind::File,
            link: false,
        };
        Launch {
            key: Key::new(index, 1),
            name: None,
            repeat_index: 0,
            script: "true\n".into(),
            env: vec![],
            timeout_ms: None,
            files: contents.iter().map(file).collect(),
        }
    }

    fn launched(steps: &[Step]) -> Vec<u32> {
        let index = |step: &Step| match step {
            Step::Command(LinkCommand::Send(ToAgent::Launch(launch))) => Some(launch.key.index),
            _ => None,
        };
        steps.iter().filter_map(index).collect()
    }

    #[test]
    fn a_job_without_files_is_launched_at_once() {
        assert_eq!(launched(&Staging::default().launch(launch(0, &[]))), [0]);
    }

    #[test]
    fn a_file_is_asked_about_once_and_its_jobs_wait_for_it() {
        let mut staging = Staging::default();
        let inputs = Inputs::default();
        assert_eq!(staging.launch(launch(0, &[1])).len(), 1);
        assert!(staging.launch(launch(1, &[1])).is_empty());
        assert!(staging.missing(&[BlobHash([1; 32])], &inputs).is_empty());
        assert_eq!(launched(&staging.stored(BlobHash([1; 32]))), [0, 1]);
        assert_eq!(launched(&staging.launch(launch(2, &[1]))), [2]);
    }

    #[test]
    fn a_file_that_is_there_already_is_not_sent() {
        let mut staging = Staging::default();
        staging.launch(launch(0, &[1, 2]));
        assert_eq!(launched(&staging.missing(&[], &Inputs::default())), [0]);
    }

    #[test]
    fn a_file_that_cannot_be_sent_refuses_the_jobs_that_need_it_and_no_others() {
        let mut staging = Staging::default();
        staging.launch(launch(0, &[1]));
        staging.launch(launch(1, &[2]));
        let steps = staging.failed(BlobHash([1; 32]), "it changed", Scope::Job);
        let [Step::Refuse(Record::Refused { key, .. })] = steps.as_slice() else {
            panic!("{steps:?}")
        };
        assert_eq!(key.index, 0);
        staging.missing(&[BlobHash([2; 32])], &Inputs::default());
        assert_eq!(launched(&staging.stored(BlobHash([2; 32]))), [1]);
    }
}
