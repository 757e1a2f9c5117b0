//! The simulated hosts: their links, what they are told, what runs there.

use gjob_core::event::HostFacts;
use gjob_core::record::{Loss, Scope};
use gjob_core::resources::Offer;
use gjob_core::run::HostIx;
use gjob_core::{Cause, Ending, Finish, Key, Record, State, Timestamp};

use super::{Happening, Message, Simulation};

impl Simulation {
    pub(super) fn link_up(&mut self, host: u32) {
        let sim = &self.hosts[host as usize];
        let is_away = sim.up || sim.closed || sim.cut_until > self.now;
        let is_known = (host as usize) < self.store.hosts().len();
        if self.scheduler.is_none() || self.stopped.is_some() || is_away || !is_known {
            return;
        }
        let sim = &mut self.hosts[host as usize];
        sim.up = true;
        sim.connection += 1;
        sim.dropped.clear();
        sim.known_dropped.clear();
        let offer = Offer::cpus(sim.slots.unwrap_or(self.plan.slots));
        let boot_id = if self.plan.tasks { format!("boot {}", sim.boots) } else { String::new() };
        let facts = HostFacts { hostname: "sim".into(), offer, boot_id, ..HostFacts::default() };
        self.input(|scheduler, now| scheduler.handle_host_up(now, HostIx(host), facts));
        self.send_tail(host);
    }

    pub(super) fn break_link(&mut self, host: u32, length: u64) {
        let sim = &mut self.hosts[host as usize];
        sim.cut_until = sim.cut_until.max(self.now + length);
        let again = sim.cut_until;
        if std::mem::replace(&mut sim.up, false) {
            sim.queue.clear();
            self.input(|scheduler, now| {
                scheduler.handle_host_unreachable(now, HostIx(host), "cut");
            });
        }
        self.at(again, Happening::LinkUp { host });
    }

    /// All that runs there dies; after the boot the agent finds that out.
    pub(super) fn crash(&mut self, host: u32) {
        self.break_link(host, 500);
        let sim = &mut self.hosts[host as usize];
        sim.stopped.clear();
        sim.boots += 1;
        sim.is_set_up = false;
        let dead = std::mem::take(&mut self.hosts[host as usize].running);
        for key in dead.into_keys() {
            let record = restarted(key, Timestamp(self.now));
            self.hosts[host as usize].log.push(record);
            if !self.is_task(key) {
                self.ends(key);
            }
        }
    }

    pub(super) fn ends(&mut self, key: Key) {
        *self.alive.entry(key.index).or_default() -= 1;
    }

    /// True for a message that gets lost.
    pub(super) fn is_swallowed(&mut self, host: u32, message: &Message) -> bool {
        let lost = &mut self.hosts[host as usize].lost;
        if self.plan.swallows == 0 || lost.remove(message) || self.rng.u32(..self.plan.swallows) > 0
        {
            return false;
        }
        self.seen.swallowed += 1;
        lost.insert(message.clone())
    }

    pub(super) fn receive(&mut self, host: u32, message: &Message) {
        let at = Timestamp(self.now);
        let sim = &mut self.hosts[host as usize];
        match *message {
            Message::Launch(key, known) => {
                let dropped = sim.dropped.get(&key).copied().unwrap_or(0);
                if dropped > known {
                    self.say_dropped(host, key, dropped);
                } else if sim.claims.contains(&key) {
                    self.repeat(host, key);
                } else if key.index >= self.plan.jobs {
                    self.start_task(host, key);
                } else if !sim.queue.contains(&key) {
                    sim.queue.push(key);
                }
            }
            Message::Pause(key) if sim.running.contains_key(&key) => {
                sim.stopped.entry(key).or_default();
            }
            Message::Resume(key) => {
                if sim.stopped.remove(&key) == Some(true) {
                    self.job_ends(host, key, None);
                }
            }
            Message::Pause(_) => {}
            Message::HostCount(hosts) => {
                sim.kept_hosts = sim.kept_hosts.max(hosts);
                let (connection, hosts) = (sim.connection, sim.kept_hosts);
                self.at(self.now + 5, Happening::HostCount { host, connection, hosts });
            }
            Message::Interrupt(key) if sim.running.contains_key(&key) => {
                self.job_ends(host, key, Some(Cause::Interrupted));
            }
            Message::Kill(key) if sim.running.contains_key(&key) => {
                self.seen.killed += 1;
                self.job_ends(host, key, Some(Cause::Killed));
            }
            Message::Supersede(key) if sim.running.contains_key(&key) => {
                self.job_ends(host, key, Some(Cause::Superseded));
            }
            Message::Withdraw(key)
            | Message::Interrupt(key)
            | Message::Kill(key)
            | Message::Supersede(key) => {
                sim.queue.retain(|queued| *queued != key);
                if sim.claims.contains(&key) {
                    return self.repeat(host, key);
                }
                if sim.full_until > self.now && !sim.claims.contains(&key) {
                    return self.drop_launch(host, key);
                }
                if self.hosts[host as usize].claims.insert(key) {
                    let sim = &mut self.hosts[host as usize];
                    sim.log.push(Record::Withdrawn { key, at });
                }
            }
        }
        self.start_queued(host);
        self.send_tail(host);
    }

    pub(super) fn start_queued(&mut self, host: u32) {
        while let Some(head) = self.hosts[host as usize].queue.first().copied() {
            let sim = &mut self.hosts[host as usize];
            let in_use: u32 = sim.running.keys().map(|key| self.plan.cpus(key.index)).sum();
            if in_use + self.plan.cpus(head.index) > sim.slots.unwrap_or(self.plan.slots) {
                return;
            }
            let key = sim.queue.remove(0);
            if sim.full_until > self.now {
                self.drop_launch(host, key);
                continue;
            }
            assert!(self.plan.admits(key.index, host), "{key} is not for h{host}");
            assert!(sim.is_set_up || !self.plan.tasks, "{key} began on h{host}, not set up");
            if let Some(before) = self.plan.dependency(key.index) {
                assert_eq!(self.ended[before as usize], Some(State::Done), "before {key}");
            }
            if self.plan.big > 0 && key.index.is_multiple_of(self.plan.big) {
                self.seen.big_gap = self.seen.big_gap.max(self.now - self.seen.last_big);
                self.seen.last_big = self.now;
            }
            assert!(sim.claims.insert(key), "{key} was queued though claimed");
            self.note_late(host);
            if self.plan.liar && host == 0 {
                self.lie(key);
                continue;
            }
            let sim = &mut self.hosts[host as usize];
            let id = format!("h{host}/2026-11-22-{}", sim.claims.len()).parse().unwrap();
            sim.log.push(Record::Started {
                key,
                id,
                pid: 1,
                at: Timestamp(self.now),
                processors: Vec::new(),
            });
            sim.running.insert(key, self.now);
            *self.runs.entry(key.index).or_default() += 1;
            let alive = self.alive.entry(key.index).or_default();
            *alive += 1;
            self.overlapped |= *alive > 1;
            let slow = self.plan.slow_job && key.index == 0;
            let longest = self.plan.longest.max(100);
            let length = if slow { 10_000 } else { self.rng.u64(1..longest) };
            if key.index < self.plan.jobs - self.plan.endless {
                self.at(self.now + length, Happening::JobEnds { host, key });
            }
        }
    }

    /// A host begins a job: one that was added is known to others by then.
    fn note_late(&mut self, host: u32) {
        if host >= self.plan.hosts {
            let is_known = self.hosts[..host as usize].iter().any(|it| it.kept_hosts > host);
            self.seen.begun_late += 1;
            self.seen.unannounced += u32::from(!is_known);
        }
    }

    /// Nothing of it is kept, and no record of that.
    pub(super) fn drop_launch(&mut self, host: u32, key: Key) {
        self.seen.no_space += 1;
        let times = self.hosts[host as usize].dropped.entry(key).or_default();
        *times += 1;
        let times = *times;
        self.say_dropped(host, key, times);
    }

    fn say_dropped(&mut self, host: u32, key: Key, times: u32) {
        let connection = self.hosts[host as usize].connection;
        self.at(self.now + 5, Happening::NoSpace { host, connection, key, times });
    }

    pub(super) fn no_space(&mut self, host: u32, connection: u32, key: Key, times: u32) {
        let sim = &mut self.hosts[host as usize];
        let known = sim.known_dropped.entry(key).or_default();
        if sim.up && sim.connection == connection && times > *known {
            *known = times;
            let (reason, scope, at) = ("full".into(), Scope::Space, Timestamp(self.now));
            let record = Record::Refused { key, reason, scope, at };
            self.input(|scheduler, now| {
                scheduler.handle_records(now, HostIx(host), vec![record]);
            });
        }
    }

    /// Says what the log says of an attempt, if it says anything.
    fn repeat(&mut self, host: u32, key: Key) {
        let sim = &self.hosts[host as usize];
        if let Some(at) = sim.log.iter().rposition(|record| record.key() == Some(key)) {
            self.at(self.now + 5, Happening::Repeated { host, connection: sim.connection, at });
        }
    }

    pub(super) fn repeated(&mut self, host: u32, connection: u32, at: usize) {
        let sim = &self.hosts[host as usize];
        if sim.up && sim.connection == connection {
            self.seen.repeated += 1;
            let record = sim.log[at].clone();
            self.input(|scheduler, now| {
                scheduler.handle_records(now, HostIx(host), vec![record]);
            });
        }
    }

    /// Host 0 says that a job ended by an order that nobody gave, or that its host
    /// was restarted.
    fn lie(&mut self, key: Key) {
        self.seen.lies += 1;
        let (cause, at) = (Some(Cause::Interrupted), Timestamp(self.now));
        let record = match self.rng.u32(..3) {
            0 => finished(0, key, Ending::Signal(15), cause, (at, at)),
            1 => Record::Withdrawn { key, at },
            _ => restarted(key, at),
        };
        self.hosts[0].log.push(record);
    }

    pub(super) fn job_is_through(&mut self, host: u32, key: Key) {
        match self.hosts[host as usize].stopped.get_mut(&key) {
            Some(overdue) => *overdue = true,
            None => self.job_ends(host, key, None),
        }
    }

    pub(super) fn job_ends(&mut self, host: u32, key: Key, cause: Option<Cause>) {
        let Some(started) = self.hosts[host as usize].running.remove(&key) else {
            return;
        };
        self.hosts[host as usize].stopped.remove(&key);
        if self.is_task(key) {
            return self.task_ends(host, key, cause, started);
        }
        self.ends(key);
        self.seen.used += (self.now - started) * u64::from(self.plan.cpus(key.index));
        let failing = self.plan.fails(key.index);
        let ending = match cause {
            Some(_) => Ending::Signal(15),
            None => Ending::Exit(if failing { 7 } else { 0 }),
        };
        let record = finished(host, key, ending, cause, (Timestamp(started), Timestamp(self.now)));
        self.hosts[host as usize].log.push(record);
        self.start_queued(host);
        self.send_tail(host);
    }

    pub(super) fn send_tail(&mut self, host: u32) {
        let sim = &self.hosts[host as usize];
        if sim.up {
            let (connection, upto) = (sim.connection, sim.log.len());
            self.at(self.now + 5, Happening::Tail { host, connection, upto });
        }
    }

    /// The manager receives the log up to there and commits its offset.
    pub(super) fn tail(&mut self, host: u32, connection: u32, upto: usize) {
        let sim = &self.hosts[host as usize];
        if !sim.up || sim.connection != connection || self.scheduler.is_none() {
            return;
        }
        for at in sim.committed..upto {
            let record = self.hosts[host as usize].log[at].clone();
            self.input(|scheduler, now| {
                scheduler.handle_records(now, HostIx(host), vec![record]);
            });
            self.hosts[host as usize].committed = at + 1;
            if self.scheduler.is_none() {
                return;
            }
        }
    }
}

fn restarted(key: Key, at: Timestamp) -> Record {
    let (how, reason) = (Loss::Restart, "restarted".into());
    Record::Lost { key, how, id: None, reason, survivors: Vec::new(), at }
}

pub(super) fn finished(
    host: u32,
    key: Key,
    ending: Ending,
    cause: Option<Cause>,
    (started, ended): (Timestamp, Timestamp),
) -> Record {
    let id = format!("h{host}/2026-11-22-1").parse().unwrap();
    let finish = Finish::new(id, ending, started, ended);
    Record::Finished(Finish { key: Some(key), cause, ..finish })
}
