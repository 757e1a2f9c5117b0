//! The life of one link: connect, live, fall, pause, and again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use gjob_core::id::Epoch;
use gjob_core::text::Shown;
use gjob_core::wire::{
    Attach, FrameBuffer, FromAgent, MAGIC, MAX_AGENT_FRAME, PROTOCOL, ToAgent, WITHIN, Welcome,
    encode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{SemaphorePermit, mpsc, watch};
use tokio::time::{Instant, timeout};

use super::backoff::Backoff;
use super::bootstrap::{self, ANSWER, BootstrapOptions};
use super::clock::ClockMeter;
use super::diagnose::{Diagnosis, Trouble, diagnose, diagnose_command, diagnose_login};
use super::error::ConnectError;
use super::handshakes::{FilesPermit, Handshakes, Hop, LoginPermit};
use super::lines::{Lines, NOISE_LIMIT, NoLine};
use super::pipe::{Login, Pipe, PipeExit};
use super::sender::CLOSED;
use super::session::{Session, SessionEnd, milliseconds};
use super::stage::{self, ConnectStage, Counted};
use super::text::last_lines;
use super::transport::{Connection, has_master, learn_unknown};
use super::{Inbox, LinkCommand, LinkConfig, LinkEvent, LinkState, Transport, close_asked};

/// How long an agent may take to take up a run.
const WELCOME: Duration = Duration::from_secs(60);
/// How long what a login has started may say nothing. The login itself may take longer:
/// a person may have to do something for it.
const MUTE: Duration = Duration::from_secs(30);
/// A login that takes longer is reported while it goes on.
const SLOW_LOGIN: Duration = Duration::from_secs(20);

/// What the task of a link owns.
pub(super) struct Link {
    pub(super) config: LinkConfig,
    pub(super) limits: Arc<Handshakes>,
    pub(super) inbox: Inbox,
    pub(super) state: watch::Sender<LinkState>,
    pub(super) commands: mpsc::UnboundedReceiver<LinkCommand>,
    pub(super) closing: watch::Receiver<Option<String>>,
    pub(super) hop: Option<Hop>,
    /// Whether it has ever been up.
    pub(super) was_up: bool,
    /// Whether a program found on the host may be started unseen: not after
    /// one did not become an agent.
    pub(super) trust: bool,
    /// Whose connection ssh uses next.
    pub(super) connection: Connection,
}

/// An agent that has taken up the run.
struct Attached {
    pipe: Pipe,
    _files: Option<FilesPermit>,
    agent: Agent,
}

/// The agent at the other end of a pipe.
struct Agent {
    stdin: ChildStdin,
    frames: FrameBuffer,
    welcome: Box<Welcome>,
    /// When it was asked to take up the run, and how long it took to answer.
    asked: SystemTime,
    took: Duration,
}

/// How far a connection came before it ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    LoggingIn,
    Started,
}

impl Link {
    /// Runs until it is closed, or fails for good.
    pub(super) async fn run(mut self, seed: u64) {
        self.run_connections(seed).await;
        // Whoever still asks is not to wait for a connection.
        let closed = self.closing.borrow().clone().unwrap_or_else(|| CLOSED.to_owned());
        self.state.send_if_modified(|state| match state {
            LinkState::Failed { .. } => false,
            LinkState::Up | LinkState::Connecting { .. } | LinkState::Down { .. } => {
                *state = LinkState::Failed { reason: closed };
                true
            }
        });
    }

    async fn run_connections(&mut self, seed: u64) {
        let mut backoff = Backoff::new(seed);
        loop {
            let connection = self.config.connections.fetch_add(1, Ordering::AcqRel) + 1;
            let mut closing = self.closing.clone();
            let reporting = stage::report(self.state.subscribe(), self.inbox.clone());
            let connected = tokio::select! {
                biased;
                () = close_asked(&mut closing) => return,
                connected = self.connect(connection) => connected,
                () = reporting => return,
            };
            let error = match connected {
                Err(error) => error,
                Ok(attached) => {
                    let began = Instant::now();
                    let ended = self.live(attached).await;
                    backoff.handle_life(began.elapsed());
                    match ended {
                        Some(error) => error,
                        None => return,
                    }
                }
            };
            let reason = error.to_string();
            if error.is_permanent(self.was_up) {
                self.state.send_replace(LinkState::Failed { reason: reason.clone() });
                self.report(LinkEvent::Failed { reason }).await;
                return;
            }
            let may_pass_soon = error.may_pass_soon(self.was_up);
            self.state.send_replace(LinkState::Down { reason: reason.clone(), may_pass_soon });
            let retry_in = backoff.next_pause();
            if !self.report(LinkEvent::Down { reason, retry_in }).await {
                return;
            }
            let pause = tokio::time::sleep(retry_in);
            tokio::select! {
                () = close_asked(&mut closing) => return,
                () = pause => {}
            }
        }
    }

    /// Puts `event` into the inbox; false when the link is to end instead.
    async fn report(&mut self, event: LinkEvent) -> bool {
        tokio::select! {
            () = close_asked(&mut self.closing) => false,
            put = self.inbox.put(event) => put,
        }
    }

    async fn connect(&mut self, connection: u64) -> Result<Attached, ConnectError> {
        self.enter(ConnectStage::NoFiles);
        let files = self.limits.files().await;
        self.enter(ConnectStage::LoginTurn);
        if self.hop.is_none() {
            self.hop = self.limits.first_hop(&self.config.plan).await;
        }
        let permit = match &self.hop {
            Some(hop) => self.limits.begin(hop).await,
            None => None,
        };
        let plan = &self.config.plan;
        let transport = plan.transport();
        let command = transport.command(plan.entry(), &self.config.programs, self.connection)?;
        self.enter(ConnectStage::LoggingIn);
        let mut pipe = Pipe::start(command, transport.owns_group())?;
        let mut stage = Stage::LoggingIn;
        let said = match self.attach(&mut pipe, permit, connection, &mut stage).await {
            Ok(agent) => return Ok(Attached { pipe, _files: files, agent }),
            Err(Broken::Error(error)) => return Err(error),
            Err(Broken::End { said }) => said,
        };
        if stage == Stage::Started {
            self.trust = false;
        }
        let exit = pipe.finish().await;
        drop(files);
        let error = self.explain(stage, &exit, said);
        match self.knows_better(&error, &exit).await {
            true => Box::pin(self.connect(connection)).await,
            false => Err(error),
        }
    }

    /// True when the connection is to be tried again at once, in another way: an
    /// old ssh without a word it does not know, or, where a login needs a person,
    /// over a connection that one has opened.
    async fn knows_better(&mut self, error: &ConnectError, exit: &PipeExit) -> bool {
        let Transport::Ssh { config_file } = self.config.plan.transport() else { return false };
        let was = std::mem::replace(&mut self.connection, Connection::Own);
        match error {
            ConnectError::Transport(Diagnosis { trouble: Trouble::Config, .. }) => {
                self.connection = was;
                learn_unknown(&exit.stderr)
            }
            ConnectError::Transport(Diagnosis { trouble: Trouble::Auth, .. }) => {
                let entry = self.config.plan.entry();
                if was == Connection::Own && has_master(config_file.as_deref(), entry).await {
                    self.connection = Connection::Master;
                }
                self.connection == Connection::Master
            }
            _ => false,
        }
    }

    /// Notes what the connection waits for from now on.
    fn enter(&self, next: ConnectStage) {
        self.state.send_modify(|state| {
            let last = match state {
                LinkState::Connecting { last, .. } => last.take(),
                LinkState::Down { reason, .. } | LinkState::Failed { reason } => {
                    Some(std::mem::take(reason))
                }
                LinkState::Up => None,
            };
            *state = LinkState::Connecting { stage: next, last, upload: 0 };
        });
    }

    /// Waits for a turn at sending a program of so many bytes.
    async fn begin_upload(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        self.enter(ConnectStage::UploadTurn);
        let turn = self.limits.upload_turn().await;
        self.inbox.put(LinkEvent::Uploading { bytes }).await;
        self.enter(ConnectStage::Uploading(0));
        self.state.send_modify(|state| {
            if let LinkState::Connecting { upload, .. } = state {
                *upload = bytes;
            }
        });
        turn
    }

    /// From a pipe just opened to an agent that has taken up the run.
    async fn attach(
        &self,
        pipe: &mut Pipe,
        permit: Option<LoginPermit>,
        connection: u64,
        stage: &mut Stage,
    ) -> Result<Agent, Broken> {
        let Some(mut stdin) = pipe.stdin.take() else {
            return Err(Broken::End { said: String::new() });
        };
        let login = pipe.login();
        let mut lines = Lines::new(&mut pipe.stdout);
        if self.config.plan.transport().needs_bootstrap() {
            bootstrap::send_script(&mut stdin).await;
            let Some(ready) = self.log_in(&mut lines, login, permit).await? else {
                return Err(Broken::End { said: lines.said() });
            };
            let wanted = BootstrapOptions {
                results_dir: self.config.plan.results_dir(),
                programs: &self.config.programs,
                trust: self.trust,
            };
            self.enter(ConnectStage::LoggedIn);
            let mut turn = None;
            let uploading = async |bytes| turn = self.begin_upload(bytes).await;
            let mut to = Counted::new(&mut stdin, &self.state);
            let started =
                bootstrap::converse(&mut lines, &mut to, &ready, &wanted, uploading).await?;
            drop(turn);
            if started.is_none() {
                return Err(Broken::End { said: lines.said() });
            }
        }
        *stage = Stage::Started;
        self.enter(ConnectStage::Starting);
        let theirs = match timeout(ANSWER, lines.line_behind(MAGIC)).await {
            Ok(Ok(theirs)) => theirs,
            Ok(Err(NoLine::End)) => return Err(Broken::End { said: lines.said() }),
            Ok(Err(NoLine::Noise)) => {
                let said = lines.said();
                return Err(ConnectError::Noise { limit: NOISE_LIMIT, said }.into());
            }
            Err(_) => {
                return Err(silent("starting the agent", ANSWER, lines.said()).into());
            }
        };
        if theirs != PROTOCOL.to_string() {
            let theirs = Shown::new(&theirs).into();
            return Err(ConnectError::Protocol { theirs }.into());
        }
        let mut frames = FrameBuffer::with_limit(MAX_AGENT_FRAME);
        frames.extend(&lines.into_rest());
        let attach = encode(&ToAgent::Attach(self.attach_message(connection)));
        let (asked, began) = (SystemTime::now(), Instant::now());
        // A failure shows as the end of the other stream, with its reason.
        let _ = stdin.write_all(&attach).await;
        let welcome = timeout(WELCOME, welcome(&mut frames, &mut pipe.stdout));
        match welcome.await {
            Ok(welcome) => {
                let (welcome, took) = (welcome?, began.elapsed());
                Ok(Agent { stdin, frames, welcome, asked, took })
            }
            Err(_) => {
                let said = last_lines(&pipe.said(), 2);
                Err(silent("taking up the run", WELCOME, said).into())
            }
        }
    }

    /// Waits for the far shell's first report. Whoever wants it may log in once
    /// this login is accepted.
    async fn log_in(
        &self,
        lines: &mut Lines<'_, ChildStdout>,
        mut login: Login,
        permit: Option<LoginPermit>,
    ) -> Result<Option<String>, ConnectError> {
        let mut permit = Some(permit);
        let mut waiting_since = Instant::now();
        let mut is_slow = false;
        loop {
            let limit = if permit.is_none() { MUTE } else { ANSWER };
            let left = (waiting_since + limit).saturating_duration_since(Instant::now());
            tokio::select! {
                biased;
                ready = bootstrap::ready(lines, left) => return match ready {
                    Err(ConnectError::Silent { said, .. }) => {
                        Err(no_answer(permit.is_none(), limit, said))
                    }
                    ready => ready,
                },
                () = login.accepted(), if permit.is_some() => {
                    (permit, waiting_since) = (None, Instant::now());
                    self.enter(ConnectStage::Accepted);
                }
                () = tokio::time::sleep_until(waiting_since + SLOW_LOGIN), if !is_slow => {
                    is_slow = true;
                    let reason = no_answer(permit.is_none(), SLOW_LOGIN, String::new());
                    self.inbox.put(LinkEvent::Slow { reason: reason.to_string() }).await;
                }
            }
        }
    }

    fn attach_message(&self, connection: u64) -> Attach {
        let LinkConfig { plan, run, managed, programs: _, epoch_base, connections: _, offset } =
            &self.config;
        Attach {
            run: run.clone(),
            host: plan.label().clone(),
            results_dir: plan.results_dir().to_owned(),
            epoch: Epoch(epoch_base.saturating_add(connection)),
            offset: offset.load(Ordering::Acquire),
            slots: plan.slots(),
            lease_ms: plan.lease().map(|lease| lease.as_millis() as u64),
            blob_budget: plan.blob_budget(),
            limits: plan.limits().clone(),
            within: within(),
            managed: managed.clone(),
        }
    }

    /// Why the pipe ended before the agent's welcome.
    fn explain(&self, stage: Stage, exit: &PipeExit, said: String) -> ConnectError {
        let diagnosis = self.diagnose(exit);
        match (stage, self.config.plan.transport()) {
            (Stage::LoggingIn, Transport::Ssh { .. }) => {
                ConnectError::Transport(diagnose_login(exit.status, &said, &exit.stderr))
            }
            (Stage::LoggingIn, _) if diagnosis.said.is_empty() => {
                ConnectError::Transport(Diagnosis { said, ..diagnosis })
            }
            (Stage::LoggingIn, _) => ConnectError::Transport(diagnosis),
            // ssh's own words count for more than an agent's that was cut off.
            (Stage::Started, _) if diagnosis.trouble == Trouble::Closed => {
                ConnectError::Transport(diagnosis)
            }
            (Stage::Started, _) => ConnectError::Ended { said: last_lines(&exit.stderr, 2) },
        }
    }

    fn diagnose(&self, exit: &PipeExit) -> Diagnosis {
        match self.config.plan.transport() {
            Transport::Ssh { .. } => diagnose(exit.status, &exit.stderr),
            Transport::Command(_) => diagnose_command(exit.status, &exit.stderr),
            Transport::Local => {
                Diagnosis { trouble: Trouble::Ended, said: last_lines(&exit.stderr, 2) }
            }
        }
    }

    /// Serves a link that is up until it ends: none when it was closed.
    async fn live(&mut self, attached: Attached) -> Option<ConnectError> {
        let Attached { mut pipe, _files, agent } = attached;
        let Agent { mut stdin, frames, welcome, asked, took } = agent;
        let mut clock = ClockMeter::default();
        let offset = clock.handle_answer(milliseconds(asked), took, welcome.clock_ms);
        self.was_up = true;
        self.trust = true;
        // Whatever was meant for the connection before this one.
        while self.commands.try_recv().is_ok() {}
        self.state.send_replace(LinkState::Up);
        if !self.report(LinkEvent::Up(welcome)).await {
            return None;
        }
        // Before any record: times are read with it.
        if let Some(offset) = offset
            && !self.report(LinkEvent::Clock(offset)).await
        {
            return None;
        }
        let session = Session {
            stdin: &mut stdin,
            stdout: &mut pipe.stdout,
            frames,
            commands: &mut self.commands,
            closing: self.closing.clone(),
            inbox: &self.inbox,
            clock,
        };
        let end = session.run().await;
        // At once, so that nobody asks on while the pipe is taken down.
        let reason = "the connection ended".to_owned();
        self.state.send_replace(LinkState::Down { reason, may_pass_soon: true });
        match end {
            SessionEnd::Closed => {
                drop(stdin);
                pipe.leave().await;
                None
            }
            SessionEnd::Eof => {
                drop(stdin);
                let exit = pipe.finish().await;
                Some(ConnectError::Transport(self.diagnose(&exit)))
            }
            SessionEnd::Broken(error) => Some(error),
        }
    }
}

/// Why there is no agent.
enum Broken {
    /// The pipe ended; the transport's exit says why.
    End {
        said: String,
    },
    Error(ConnectError),
}

impl<E: Into<ConnectError>> From<E> for Broken {
    fn from(error: E) -> Self {
        Broken::Error(error.into())
    }
}

/// Nothing came from the far shell in time.
fn no_answer(has_logged_in: bool, waited: Duration, said: String) -> ConnectError {
    match has_logged_in {
        true => ConnectError::Mute { waited, said },
        false => silent("logging in", waited, said),
    }
}

/// The shares of machines in which this process runs, if a job has started it.
fn within() -> Vec<String> {
    let names = std::env::var(WITHIN).unwrap_or_default();
    names.split(':').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn silent(doing: &'static str, limit: Duration, said: String) -> ConnectError {
    ConnectError::Silent { doing, limit, said }
}

/// Waits for the agent's first message.
async fn welcome(
    frames: &mut FrameBuffer,
    stdout: &mut ChildStdout,
) -> Result<Box<Welcome>, Broken> {
    let mut piece = [0; 4096];
    loop {
        match frames.next().map_err(ConnectError::from)? {
            Some(FromAgent::Welcome(welcome)) => return Ok(welcome),
            Some(FromAgent::Fault { reason, permanent }) => {
                let reason = reason.shown().into();
                return Err(ConnectError::Fault { reason, permanent }.into());
            }
            Some(_) => return Err(ConnectError::NoWelcome.into()),
            None => {}
        }
        match stdout.read(&mut piece).await {
            Ok(count @ 1..) => frames.extend(&piece[..count]),
            _ => return Err(Broken::End { said: String::new() }),
        }
    }
}
