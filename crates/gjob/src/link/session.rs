//! A link that is up: frames both ways, the heartbeat, and files on their way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gjob_core::wire::{BlobHash, Encoder, FrameBuffer, FromAgent, ToAgent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::blob::{self, Source, Step};
use super::error::ConnectError;
use super::heartbeat::{Beat, Heartbeat, TICK};
use super::inbox::{Claim, HEAVIEST, Inbox, weight};
use super::window::{PIECE, Progress, Sent, Window};
use super::{LinkCommand, LinkEvent, close_asked};

/// Bytes queued for the agent above which nothing more is queued.
const FULL: usize = 128 * 1024;
/// Bytes read at once.
const READ: usize = 64 * 1024;
/// Marks our own pings among the manager's.
const OURS: u64 = 1 << 63;
/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// How a session ended.
#[derive(Debug)]
pub(super) enum End {
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
    pub(super) closing: watch::Receiver<bool>,
    pub(super) inbox: &'a Inbox,
}

/// What is queued for the agent, and what is owed to the inbox.
struct Queues {
    encoder: Encoder,
    out: Vec<u8>,
    written: usize,
    arrived: VecDeque<LinkEvent>,
    window: Window,
    progress: Progress,
    /// What the window wants a file's pieces to be.
    piece: Arc<AtomicUsize>,
    nonce: u64,
    /// The agent's clock in its last pong: what a lease is counted from.
    heard_at_ms: u64,
    sources: mpsc::UnboundedSender<Source>,
    /// The blobs asked for and not settled, with the words to drop them.
    unsettled: VecDeque<(BlobHash, Arc<AtomicBool>)>,
    /// The blob under way.
    under_way: Option<Sent>,
}

impl Session<'_> {
    /// Runs until the link ends. While there is no room for what has come,
    /// nothing is read: the agent is held back, not this process filled.
    pub(super) async fn run(mut self) -> End {
        let (sources, waiting) = mpsc::unbounded_channel();
        let (steps_in, mut steps) = mpsc::channel(2);
        let mut queues = Queues::new(sources);
        tokio::spawn(blob::read_sources(waiting, steps_in, Arc::clone(&queues.piece)));
        let mut heartbeat = Heartbeat::new(Instant::now());
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut piece = vec![0; READ];
        loop {
            if queues.arrived.is_empty()
                && let Err(error) = queues.take_message(&mut self.frames)
            {
                return End::Broken(error);
            }
            let claim = queues.arrived.front().map(Claim::of);
            let owed = claim.is_some();
            let room = queues.has_room();
            tokio::select! {
                () = close_asked(&mut self.closing) => {
                    self.say_farewell(queues).await;
                    return End::Closed;
                }
                room = self.inbox.reserve(claim.unwrap_or_default()), if owed => {
                    match (room, queues.arrived.pop_front()) {
                        (Some(room), Some(event)) => room.put(event),
                        _ => return End::Closed,
                    }
                }
                count = self.stdout.read(&mut piece), if !owed => match count {
                    Ok(count @ 1..) => {
                        heartbeat.handle_heard(Instant::now());
                        self.frames.extend(&piece[..count]);
                    }
                    _ => return End::Eof,
                },
                count = self.stdin.write(&queues.out[queues.written..]), if queues.has_output() => {
                    match count {
                        Ok(count @ 1..) => queues.handle_written(count),
                        _ => return End::Eof,
                    }
                }
                command = self.commands.recv(), if room => match command {
                    Some(command) => queues.handle_command(command),
                    None => {
                        self.say_farewell(queues).await;
                        return End::Closed;
                    }
                },
                Some(step) = steps.recv(), if room && queues.window.is_open() => {
                    queues.handle_step(step, Instant::now());
                }
                _ = ticks.tick() => {
                    if owed {
                        heartbeat.handle_heard(Instant::now());
                    }
                    match heartbeat.handle_tick(Instant::now()) {
                        Beat::Rest => {}
                        Beat::Ping => drop(queues.ping()),
                        Beat::Dead => return End::Broken(ConnectError::Unanswered),
                    }
                }
            }
        }
    }

    /// Sends what was queued before the end and that this is it. What arrives
    /// meanwhile is left: it is in the run log.
    async fn say_farewell(&mut self, mut queues: Queues) {
        while let Ok(command) = self.commands.try_recv() {
            if let LinkCommand::Send(message) = command {
                queues.push(&message);
            }
        }
        queues.push(&ToAgent::Detach);
        let mut piece = [0; 4096];
        let sending = async {
            let _ = self.stdin.write_all(&queues.out[queues.written..]).await;
            let _ = self.stdin.flush().await;
        };
        let discarding = async { while let Ok(1..) = self.stdout.read(&mut piece).await {} };
        let _ = timeout(FAREWELL, async {
            tokio::select! { () = sending => {}, () = discarding => {} }
        })
        .await;
    }
}

impl Queues {
    fn new(sources: mpsc::UnboundedSender<Source>) -> Self {
        Queues {
            encoder: Encoder::default(),
            out: Vec::new(),
            written: 0,
            arrived: VecDeque::new(),
            window: Window::new(),
            progress: Progress::default(),
            piece: Arc::new(AtomicUsize::new(PIECE)),
            nonce: OURS,
            heard_at_ms: 0,
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

    /// Queues a ping of ours; gives back its nonce.
    fn ping(&mut self) -> u64 {
        self.nonce = self.nonce.wrapping_add(1) | OURS;
        let nonce = self.nonce;
        self.push(&ToAgent::Ping { nonce, echo_ms: self.heard_at_ms });
        nonce
    }

    fn handle_command(&mut self, command: LinkCommand) {
        match command {
            LinkCommand::Send(message) => self.push(&message),
            LinkCommand::SendBlob { content, from, verify } => {
                let dropped = Arc::<AtomicBool>::default();
                self.unsettled.push_back((content.hash(), Arc::clone(&dropped)));
                // The reader is gone only when the session is.
                drop(self.sources.send(Source { content, from, verify, dropped }));
            }
            // Told by the handle in another way, past what is queued here.
            LinkCommand::Close => {}
        }
    }

    fn handle_step(&mut self, step: Step, now: Instant) {
        match step {
            Step::Begin { hash, size, offset } => {
                self.under_way = Some(Sent { hash, sent: offset, size });
                self.push(&ToAgent::Blob { hash, size, offset });
            }
            Step::Piece(bytes) => {
                let count = bytes.len();
                self.push(&ToAgent::BlobData { bytes });
                let nonce = self.ping();
                self.window.handle_sent(nonce, count, now);
                if let Some(sent) = &mut self.under_way {
                    sent.sent += count as u64;
                    self.progress.handle_sent(nonce, *sent);
                }
            }
            Step::Failed { hash, reason, begun } => {
                if begun {
                    self.push(&ToAgent::BlobAbort);
                }
                self.settle(hash);
                self.arrived.push_back(LinkEvent::BlobSourceFailed { hash, reason });
            }
            Step::Dropped => self.push(&ToAgent::BlobAbort),
        }
    }

    /// A blob is there, or never will be: what is left of it is not sent.
    fn settle(&mut self, hash: BlobHash) {
        let at = self.unsettled.iter().position(|(unsettled, _)| *unsettled == hash);
        if let Some((_, dropped)) = at.and_then(|at| self.unsettled.remove(at)) {
            dropped.store(true, Ordering::Relaxed);
        }
    }

    fn handle_answer(&mut self, nonce: u64, now: Instant) {
        self.window.handle_answer(nonce, now);
        self.piece.store(self.window.piece(), Ordering::Relaxed);
        if let Some(Sent { hash, sent, size }) = self.progress.handle_answer(nonce, now) {
            self.arrived.push_back(LinkEvent::Sending { hash, sent, size });
        }
    }

    /// Takes messages until one is for the inbox, or none is left.
    fn take_message(&mut self, frames: &mut FrameBuffer) -> Result<(), ConnectError> {
        while self.arrived.is_empty() {
            match frames.next()? {
                None => return Ok(()),
                Some(FromAgent::Pong { nonce, at_ms, .. }) if nonce & OURS != 0 => {
                    self.heard_at_ms = at_ms;
                    self.handle_answer(nonce, Instant::now());
                }
                Some(FromAgent::Fault { reason, permanent }) => {
                    let reason = reason.shown().into();
                    return Err(ConnectError::Fault { reason, permanent });
                }
                Some(message) if weight(&message) > HEAVIEST => {
                    return Err(ConnectError::Heavy);
                }
                Some(message) => {
                    if let FromAgent::BlobStored { hash } | FromAgent::BlobFailed { hash, .. } =
                        &message
                    {
                        self.settle(*hash);
                    }
                    self.arrived.push_back(LinkEvent::Message(message));
                }
            }
        }
        Ok(())
    }
}
