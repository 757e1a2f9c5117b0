//! A link that is up: frames both ways, the heartbeat, files on their way, and
//! answers to those who asked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use gjob_core::wire::{BlobHash, Encoder, FrameBuffer, FromAgent, ToAgent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::blob::{self, Source, SourceStep};
use super::calls::{Calls, Delivery};
use super::clock::{ClockMeter, RoundTripMeter};
use super::error::ConnectError;
use super::heartbeat::{Beat, Heartbeat, TICK_INTERVAL};
use super::inbox::{Closed, DeliveryPermit, HEAVIEST, Inbox, Need, Outgoing, weight};
use super::window::{PIECE, SendProgress, Sent, Window};
use super::{LinkCommand, LinkEvent, close_asked};

/// Bytes queued for the agent above which nothing more is queued.
const FULL: usize = 128 * 1024;
/// Bytes read at once.
const READ: usize = 64 * 1024;
/// Marks our own pings among the manager's.
const OURS: u64 = 1 << 63;
/// How long sending the last messages may take.
const DETACH_TIMEOUT: Duration = Duration::from_secs(2);

/// How a session ended.
#[derive(Debug)]
pub(super) enum SessionEnd {
    /// Its owner wants it closed.
    Closed,
    /// The transport's output ended.
    Eof,
    /// It makes no sense to go on.
    Broken(ConnectError),
}

/// The state of one session.
pub(super) struct Session<'a> {
    pub(super) stdin: &'a mut ChildStdin,
    pub(super) stdout: &'a mut ChildStdout,
    pub(super) frames: FrameBuffer,
    pub(super) commands: &'a mut mpsc::UnboundedReceiver<LinkCommand>,
    pub(super) closing: watch::Receiver<Option<String>>,
    pub(super) inbox: &'a Inbox,
    /// What is known of its clock.
    pub(super) clock: ClockMeter,
}

/// What is queued for the agent, and what has come and is not delivered yet.
struct Queues {
    encoder: Encoder,
    out: Vec<u8>,
    written: usize,
    calls: Calls,
    undelivered: VecDeque<Outgoing>,
    window: Window,
    progress: SendProgress,
    /// What the window wants a file's pieces to be.
    piece: Arc<AtomicUsize>,
    pings: Pings,
    sources: mpsc::UnboundedSender<Source>,
    /// The blobs asked for and not settled, with the flags that drop them.
    unsettled: VecDeque<(BlobHash, Arc<AtomicBool>)>,
    /// The blob under way.
    under_way: Option<Sent>,
}

/// Our pings, and what their answers tell of the clocks.
struct Pings {
    nonce: u64,
    /// One of ours was answered since this was last looked at.
    answered: bool,
    /// The nonce of the last answer.
    last_answer: u64,
    /// The latest one that was sent for the clock's sake, and when.
    clocked: Option<(u64, Instant, SystemTime)>,
    clock: ClockMeter,
    round_trip: RoundTripMeter,
    /// The agent's boot clock in its last pong: what a lease is counted from.
    pong_at_ms: u64,
}

impl Session<'_> {
    /// Runs until the link ends.
    ///
    /// One loop waits for all that may happen. What bounds it: nothing is read
    /// while something that has come is not delivered, so the agent is held
    /// back, not this process filled; and no command or file is taken while the
    /// pipe to the agent is full. Neither waits for the other, or two ends that
    /// both only write would stand still for ever.
    pub(super) async fn run(mut self) -> SessionEnd {
        let (sources, waiting) = mpsc::unbounded_channel();
        let (steps_in, mut steps) = mpsc::channel(2);
        let mut queues = Queues::new(sources, std::mem::take(&mut self.clock));
        tokio::spawn(blob::read_sources(waiting, steps_in, Arc::clone(&queues.piece)));
        queues.ping_for_clock();
        let mut heartbeat = Heartbeat::new(Instant::now());
        let mut ticks = interval(TICK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut piece = vec![0; READ];
        loop {
            if queues.undelivered.is_empty()
                && let Err(error) = queues.take_message(&mut self.frames)
            {
                return SessionEnd::Broken(error);
            }
            if std::mem::take(&mut queues.pings.answered) {
                heartbeat.handle_answer(Instant::now());
            }
            let need = queues.undelivered.front().map(Outgoing::need);
            let blocked = need.is_some();
            let room = queues.has_room();
            tokio::select! {
                () = close_asked(&mut self.closing) => {
                    self.detach(queues).await;
                    return SessionEnd::Closed;
                }
                permit = deliverable(self.inbox, need), if blocked => {
                    match (permit, queues.undelivered.pop_front()) {
                        (Ok(permit), Some(outgoing)) => self.inbox.deliver(permit, outgoing),
                        (Err(Closed::Reader), Some(Outgoing::Part { request, .. })) => {
                            queues.stop_stream(request);
                        }
                        (Err(_), _) | (_, None) => return SessionEnd::Closed,
                    }
                }
                count = self.stdout.read(&mut piece), if !blocked => match count {
                    Ok(count @ 1..) => {
                        if let Some(silence) = heartbeat.handle_bytes(count, Instant::now()) {
                            queues.report(LinkEvent::Silence { silence, is_over: true });
                        }
                        self.frames.extend(&piece[..count]);
                    }
                    _ => return SessionEnd::Eof,
                },
                count = self.stdin.write(&queues.out[queues.written..]), if queues.has_output() => {
                    match count {
                        Ok(count @ 1..) => queues.handle_written(count),
                        _ => return SessionEnd::Eof,
                    }
                }
                command = self.commands.recv(), if room => match command {
                    Some(LinkCommand::Reopen) => return SessionEnd::Broken(ConnectError::Gap),
                    Some(command) => queues.handle_command(command),
                    None => {
                        self.detach(queues).await;
                        return SessionEnd::Closed;
                    }
                },
                Some(step) = steps.recv(), if room && queues.window.is_open() => {
                    queues.handle_step(step, Instant::now());
                }
                _ = ticks.tick() => {
                    // Whoever does not read cannot blame the agent for silence.
                    if blocked {
                        heartbeat.handle_deafness(Instant::now());
                    }
                    match heartbeat.handle_tick(Instant::now()) {
                        Beat::Rest => {}
                        Beat::Ping => queues.ping_for_clock(),
                        Beat::Dead => return SessionEnd::Broken(ConnectError::Unanswered),
                    }
                    if let Some(silence) = heartbeat.new_silence(Instant::now()) {
                        queues.report(LinkEvent::Silence { silence, is_over: false });
                    }
                }
            }
        }
    }

    /// Sends what was queued before the end, and that this is it. What arrives
    /// meanwhile is left: it is in the run log.
    async fn detach(&mut self, mut queues: Queues) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                LinkCommand::Send(message) => queues.push(&message),
                // Nobody will hear the answer, but the host does what it is asked.
                LinkCommand::Call(call) => queues.push(&call.message),
                LinkCommand::SendBlob { .. } | LinkCommand::Reopen | LinkCommand::Close => {}
            }
        }
        queues.push(&ToAgent::Detach);
        let mut piece = [0; 4096];
        let sending = async {
            let _ = self.stdin.write_all(&queues.out[queues.written..]).await;
            let _ = self.stdin.flush().await;
        };
        let discarding = async { while let Ok(1..) = self.stdout.read(&mut piece).await {} };
        let _ = timeout(DETACH_TIMEOUT, async {
            tokio::select! { () = sending => {}, () = discarding => {} }
        })
        .await;
    }
}

/// Waits for room for what is to be delivered, if anything is.
async fn deliverable(inbox: &Inbox, need: Option<Need>) -> Result<DeliveryPermit<'_>, Closed> {
    match need {
        Some(need) => inbox.reserve(need).await,
        None => std::future::pending().await,
    }
}

impl Queues {
    fn new(sources: mpsc::UnboundedSender<Source>, clock: ClockMeter) -> Self {
        Queues {
            encoder: Encoder::default(),
            out: Vec::new(),
            written: 0,
            calls: Calls::default(),
            undelivered: VecDeque::new(),
            window: Window::new(),
            progress: SendProgress::default(),
            piece: Arc::new(AtomicUsize::new(PIECE)),
            pings: Pings {
                nonce: OURS,
                answered: false,
                last_answer: OURS,
                clocked: None,
                clock,
                round_trip: RoundTripMeter::default(),
                pong_at_ms: 0,
            },
            sources,
            unsettled: VecDeque::new(),
            under_way: None,
        }
    }

    fn push(&mut self, message: &ToAgent) {
        self.encoder.encode_into(message, &mut self.out);
    }

    fn has_output(&self) -> bool {
        self.written < self.out.len()
    }

    fn has_room(&self) -> bool {
        self.out.len() - self.written < FULL
    }

    fn handle_written(&mut self, count: usize) {
        self.written += count;
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        } else if self.written > FULL {
            self.out.drain(..self.written);
            self.written = 0;
        }
    }

    /// Queues a ping of ours; returns its nonce.
    fn ping(&mut self) -> u64 {
        let pings = &mut self.pings;
        pings.nonce = pings.nonce.wrapping_add(1) | OURS;
        let (nonce, echo_ms) = (pings.nonce, pings.pong_at_ms);
        self.push(&ToAgent::Ping { nonce, echo_ms });
        nonce
    }

    /// Queues one that also measures the clock: not one that follows a file's
    /// piece, whose round trip is the piece's.
    fn ping_for_clock(&mut self) {
        let nonce = self.ping();
        self.pings.clocked = Some((nonce, Instant::now(), SystemTime::now()));
    }

    fn handle_command(&mut self, command: LinkCommand) {
        match command {
            LinkCommand::Send(message) => self.push(&message),
            LinkCommand::Call(call) => {
                let message = self.calls.add(call);
                self.push(&message);
            }
            LinkCommand::SendBlob { content, from, verify } => {
                let dropped = Arc::<AtomicBool>::default();
                self.unsettled.push_back((content.hash(), Arc::clone(&dropped)));
                // The reader is gone only when the session is.
                drop(self.sources.send(Source { content, from, verify, dropped }));
            }
            // The first ends the session, the other is signalled by the handle in another way,
            // past what is queued.
            LinkCommand::Reopen | LinkCommand::Close => {}
        }
    }

    fn handle_step(&mut self, step: SourceStep, now: Instant) {
        match step {
            SourceStep::Begin { hash, size, offset } => {
                self.under_way = Some(Sent { hash, sent: offset, size });
                self.push(&ToAgent::Blob { hash, size, offset });
            }
            SourceStep::Piece(bytes) => {
                let count = bytes.len();
                self.push(&ToAgent::BlobData { bytes });
                let nonce = self.ping();
                self.window.handle_sent(nonce, count, now);
                if let Some(sent) = &mut self.under_way {
                    sent.sent += count as u64;
                    self.progress.handle_sent(nonce, *sent);
                }
            }
            SourceStep::Failed { hash, reason, begun } => {
                if begun {
                    self.push(&ToAgent::BlobAbort);
                }
                self.settle(hash);
                self.report(LinkEvent::BlobSourceFailed { hash, reason });
            }
            SourceStep::Dropped => self.push(&ToAgent::BlobAbort),
        }
    }

    /// A blob is there, or never will be: what is left of it is not sent.
    fn settle(&mut self, hash: BlobHash) {
        let at = self.unsettled.iter().position(|(unsettled, _)| *unsettled == hash);
        if let Some((_, dropped)) = at.and_then(|at| self.unsettled.remove(at)) {
            dropped.store(true, Ordering::Relaxed);
        }
    }

    fn report(&mut self, event: LinkEvent) {
        self.undelivered.push_back(Outgoing::Event(event));
    }

    /// Nobody reads these outputs any more.
    fn stop_stream(&mut self, request: u32) {
        self.calls.remove(request);
        self.push(&ToAgent::CollectStop { request });
    }

    fn handle_pong(&mut self, nonce: u64, at_ms: u64, clock_ms: u64) {
        let now = Instant::now();
        // An answer to what was not asked, or was answered before, says nothing.
        if (self.pings.last_answer + 1..=self.pings.nonce).contains(&nonce) {
            (self.pings.answered, self.pings.last_answer) = (true, nonce);
        }
        self.pings.pong_at_ms = at_ms;
        self.window.handle_answer(nonce, now);
        self.piece.store(self.window.piece(), Ordering::Relaxed);
        if let Some(Sent { hash, sent, size }) = self.progress.handle_answer(nonce, now) {
            self.report(LinkEvent::Sending { hash, sent, size });
        }
        if let Some((_, sent, wall)) = self.pings.clocked.take_if(|(clocked, ..)| *clocked == nonce)
        {
            let sent_ms = milliseconds(wall);
            let length = self.pings.round_trip.handle_answer(now - sent);
            length.into_iter().for_each(|length| self.report(LinkEvent::RoundTrip(length)));
            let offset = self.pings.clock.handle_answer(sent_ms, now - sent, clock_ms);
            offset.into_iter().for_each(|offset| self.report(LinkEvent::Clock(offset)));
        }
    }

    /// Takes messages until something is to be delivered, or none is left.
    fn take_message(&mut self, frames: &mut FrameBuffer) -> Result<(), ConnectError> {
        while self.undelivered.is_empty() {
            match frames.next()? {
                None => return Ok(()),
                Some(FromAgent::Pong { nonce, at_ms, clock_ms }) if nonce & OURS != 0 => {
                    self.handle_pong(nonce, at_ms, clock_ms);
                }
                Some(FromAgent::Fault { reason, permanent }) => {
                    let reason = reason.shown().into();
                    return Err(ConnectError::Fault { reason, permanent });
                }
                Some(message) if weight(&message) > HEAVIEST => {
                    return Err(ConnectError::Heavy);
                }
                Some(message) => self.handle_message(message)?,
            }
        }
        Ok(())
    }

    fn handle_message(&mut self, message: FromAgent) -> Result<(), ConnectError> {
        if let FromAgent::BlobStored { hash } | FromAgent::BlobFailed { hash, .. } = &message {
            self.settle(*hash);
        }
        match self.calls.route(message) {
            Delivery::Message(message) => self.report(LinkEvent::Message(message)),
            Delivery::Answer(answer) => self.report(LinkEvent::Answer(answer)),
            Delivery::Part { request, to, part } => {
                self.undelivered.push_back(Outgoing::Part { request, to, part });
            }
            Delivery::Dropped => {}
            Delivery::Unexpected => return Err(ConnectError::WrongAnswer),
        }
        Ok(())
    }
}

/// The local wall clock, milliseconds since 1970.
pub(super) fn milliseconds(wall: SystemTime) -> u64 {
    let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
