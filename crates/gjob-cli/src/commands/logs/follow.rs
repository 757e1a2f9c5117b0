//! `gjob logs -f`: what the jobs print, as it comes, of all of them at once; those that
//! start later are followed, too, and so is each new attempt. It ends with the last of
//! the jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use gjob::network::{Following, Printed, Wanted};
use gjob::store::{RunDir, Store};
use gjob_core::plural::counted;
use gjob_core::{HostLabel, Job, Key, Run};

use super::reader::Reader;
use super::sink::Sink;
use crate::exit::{Failure, print_error};
use crate::report::headline;

/// Between two looks at outputs that do not grow, and at the run.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(300);

/// After this a host that could not be asked is asked again.
const RETRY_INTERVAL: Duration = Duration::from_secs(15);

pub(super) struct Follower<'a> {
    pub(super) dir: &'a RunDir,
    pub(super) store: Store,
    pub(super) run: Run,
    /// Which jobs are meant.
    pub(super) chosen: Vec<u32>,
    pub(super) reader: Reader<'a>,
    attempts: BTreeMap<Key, Attempt>,
    /// Attempts that have been or are being shown.
    seen: BTreeSet<Key>,
    /// Jobs that have ended, but are not yet named as ended.
    ending: BTreeSet<u32>,
    following: Following,
    /// When each host is asked again.
    due: BTreeMap<HostLabel, Instant>,
    /// Hosts that cannot be asked, as was said.
    away: BTreeSet<HostLabel>,
    /// True once a job has printed anything, or it was said that none has.
    has_news: bool,
    failure: Option<Failure>,
}

/// An attempt whose output is being read.
struct Attempt {
    job: Job,
    host: HostLabel,
    /// Each with the byte to go on with.
    sinks: Vec<(Sink, u64)>,
    was_read: bool,
}

impl<'a> Follower<'a> {
    pub(super) fn new(
        dir: &'a RunDir,
        store: Store,
        run: Run,
        chosen: Vec<u32>,
        reader: Reader<'a>,
    ) -> Self {
        Follower {
            dir,
            store,
            run,
            chosen,
            reader,
            attempts: BTreeMap::new(),
            seen: BTreeSet::new(),
            ending: BTreeSet::new(),
            following: Following::default(),
            due: BTreeMap::new(),
            away: BTreeSet::new(),
            has_news: false,
            failure: None,
        }
    }

    /// Follows the jobs to their ends. Jobs that were asked for and never started are a
    /// failure.
    pub(super) fn follow(mut self) -> Result<(), Failure> {
        let mut managed = self.look()?;
        self.say_what_waits(managed);
        while !self.attempts.is_empty() || (managed && self.are_left()) {
            self.ask()?;
            self.take_answers()?;
            managed = self.look()?;
        }
        let is_named = !self.reader.args.jobs.is_empty() && !self.reader.args.failed;
        for index in self.chosen.iter().filter(|_| is_named) {
            if self.run.job(*index).is_none_or(|job| job.id().is_none()) {
                let failure = Failure::input(anyhow!("job {index} has not started"));
                super::keep_first(&mut self.failure, failure)?;
            }
        }
        self.failure.map_or(Ok(()), Err)
    }

    /// Sees how the run is now, and takes up attempts that have started. True while the
    /// run has a manager.
    fn look(&mut self) -> Result<bool, Failure> {
        // Before the store is read: the last words of a manager are in it.
        let managed = self.dir.is_managed().map_err(Failure::machinery)?;
        if self.store.last_seq().map_err(Failure::machinery)? != self.run.seq() {
            self.run = self.store.load().map_err(Failure::machinery)?;
        }
        for index in self.chosen.clone() {
            let Some(job) = self.run.job(index) else { continue };
            let Some(key) = job.key().filter(|_| job.id().is_some()) else { continue };
            if self.reader.args.failed && !job.has_failed() || !self.seen.insert(key) {
                continue;
            }
            let job = job.clone();
            self.take_up(key, job)?;
        }
        self.tell_ends();
        Ok(managed)
    }

    /// Shows an attempt of a job that has ended, and begins to read any other.
    fn take_up(&mut self, key: Key, job: Job) -> Result<(), Failure> {
        if job.has_ended() {
            self.has_news = true;
            let shown = self.reader.show(&job).map_err(Failure::machinery);
            return shown.or_else(|failure| super::keep_first(&mut self.failure, failure));
        }
        let Some(host) = job.host().cloned() else { return Ok(()) };
        let mut sinks = Vec::new();
        for mut sink in self.reader.begin(&job).map_err(Failure::machinery)? {
            let from = match self.reader.args.tail {
                Some(most) => self.reader.print_tail(&job, most, &mut sink),
                None => Ok(0),
            };
            sinks.push((sink, from.map_err(Failure::machinery)?));
        }
        self.has_news |= sinks.iter().any(|(_, from)| *from > 0);
        self.attempts.insert(key, Attempt { job, host, sinks, was_read: false });
        Ok(())
    }

    /// Asks each host that is due what its jobs have printed.
    fn ask(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        let mut wanted: BTreeMap<HostLabel, Vec<Wanted>> = BTreeMap::new();
        for Attempt { job, host, sinks, .. } in self.attempts.values() {
            let is_due = self.due.get(host).is_none_or(|due| *due <= now);
            if let Some(id) = job.id().filter(|_| is_due) {
                let streams = sinks.iter().map(|(sink, from)| (sink.stream, *from)).collect();
                wanted.entry(host.clone()).or_default().push(Wanted { id: id.clone(), streams });
            }
        }
        for (host, wanted) in wanted {
            let asked = self.reader.outputs.ask(&mut self.following, &host, wanted);
            asked.map_err(Failure::machinery)?;
        }
        Ok(())
    }

    /// Shows what has come, after waiting for it a little.
    fn take_answers(&mut self) -> Result<(), Failure> {
        let mut wait = FOLLOW_INTERVAL;
        loop {
            let next = self.reader.outputs.next_answer(&mut self.following, wait);
            let Some((host, answer)) = next.map_err(Failure::machinery)? else { break };
            // The others that are there already.
            wait = Duration::ZERO;
            let now = Instant::now();
            match answer {
                Ok(printed) => {
                    self.away.remove(&host);
                    let has_grown = self.print(&host, printed)?;
                    let pause = if has_grown { Duration::ZERO } else { FOLLOW_INTERVAL };
                    self.due.insert(host, now + pause);
                }
                Err(reason) => {
                    self.due.insert(host.clone(), now + RETRY_INTERVAL);
                    self.cannot_ask(host, &reason)?;
                }
            }
        }
        self.say_that_all_are_silent();
        Ok(())
    }

    /// Shows what the jobs of a host have printed. True if it was anything.
    fn print(&mut self, host: &HostLabel, printed: Vec<Printed>) -> Result<bool, Failure> {
        let mut has_grown = false;
        for Printed { id, is_running, pieces } in printed {
            let is_it = |attempt: &Attempt| attempt.host == *host && attempt.job.id() == Some(&id);
            let found = self.attempts.iter_mut().find(|(_, attempt)| is_it(attempt));
            let Some((key, attempt)) = found else { continue };
            let key = *key;
            attempt.was_read = true;
            let pieces = match pieces {
                Ok(pieces) => pieces,
                Err(reason) => {
                    self.attempts.remove(&key);
                    let failure = Failure::machinery(anyhow!("{id} on {host}: {reason}"));
                    super::keep_first(&mut self.failure, failure)?;
                    continue;
                }
            };
            let mut is_new = false;
            for (sink, from) in &mut attempt.sinks {
                let piece = pieces.iter().find(|(stream, _)| *stream == sink.stream);
                let bytes = piece.map_or(&[][..], |(_, bytes)| bytes);
                is_new |= !bytes.is_empty();
                *from += bytes.len() as u64;
                sink.write_all(bytes).and_then(|()| sink.flush()).map_err(Failure::machinery)?;
            }
            has_grown |= is_new;
            // A job with an outcome is not waited for, whatever its directory says.
            let has_outcome = self.run.job(key.index).is_some_and(Job::has_ended);
            if !is_new && (!is_running || has_outcome) {
                self.close(key)?;
            }
        }
        self.has_news |= has_grown;
        Ok(has_grown)
    }

    /// All that the attempt has printed is shown.
    fn close(&mut self, key: Key) -> Result<(), Failure> {
        let Some(mut attempt) = self.attempts.remove(&key) else { return Ok(()) };
        for (sink, _) in &mut attempt.sinks {
            sink.finish().and_then(|()| sink.flush()).map_err(Failure::machinery)?;
        }
        if self.reader.is_labelled() {
            self.ending.insert(key.index);
        }
        self.tell_ends();
        Ok(())
    }

    /// A host that cannot be asked is asked again while its jobs may end otherwise.
    fn cannot_ask(&mut self, host: HostLabel, reason: &str) -> Result<(), Failure> {
        self.reader.outputs.reopen().map_err(Failure::machinery)?;
        self.following = Following::default();
        let managed = self.dir.is_managed().map_err(Failure::machinery)?;
        let mut counts = false;
        self.attempts.retain(|key, it| {
            let Some(job) = self.run.job(key.index) else { return false };
            let goes_on = it.host != host || (managed && !job.has_ended());
            counts |= !goes_on && job.key() == Some(*key);
            goes_on
        });
        let text = format!("{}: {reason}", headline::subject_host(&host));
        if counts {
            super::keep_first(&mut self.failure, Failure::machinery(anyhow!(text)))?;
        } else if self.away.insert(host) {
            print_error(&format!("{text}; asking it again"));
        }
        Ok(())
    }

    /// Tells how jobs have ended whose output has been shown to its end.
    fn tell_ends(&mut self) {
        let ended = |index: &u32| self.run.job(*index).filter(|job| job.has_ended());
        for job in self.ending.iter().filter_map(ended) {
            note(&headline::end(job));
        }
        self.ending.retain(|index| ended(index).is_none());
    }

    fn are_left(&self) -> bool {
        let mut chosen = self.chosen.iter().filter_map(|index| self.run.job(*index));
        chosen.any(|job| !job.has_ended()) || !self.ending.is_empty()
    }

    fn say_what_waits(&self, managed: bool) {
        let chosen = self.chosen.iter().filter_map(|index| self.run.job(*index));
        let waiting: Vec<&Job> =
            chosen.filter(|job| job.id().is_none() && !job.has_ended()).collect();
        match (managed && !self.reader.args.failed, &waiting[..]) {
            (false, _) | (true, []) => {}
            (true, [job]) => {
                let reason = self.run.wait_in_words(job.index, managed);
                let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                note(&format!("{} has not started yet{reason}", self.run.job_title(job.index)));
            }
            (true, [_, ..]) => {
                let jobs = counted(waiting.len() as u64, "job");
                note(&format!("{jobs} have not started yet, and are followed as soon as they do"));
            }
        }
    }

    /// Says once that there is nothing to be shown so far, since every job is silent.
    fn say_that_all_are_silent(&mut self) {
        let are_read = self.attempts.values().all(|attempt| attempt.was_read);
        if self.has_news || self.attempts.is_empty() || !are_read {
            return;
        }
        self.has_news = true;
        match self.attempts.values().map(|attempt| &attempt.job).collect::<Vec<_>>()[..] {
            [job] => note(&format!("{} runs, and has printed nothing yet", headline::title(job))),
            ref jobs => {
                let jobs = counted(jobs.len() as u64, "job");
                note(&format!("{jobs} run, and have printed nothing yet"));
            }
        }
    }
}

/// A line that is no part of any output. Without stderr there is no reader.
fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
