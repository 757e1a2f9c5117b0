//! The threads behind a control socket: one accepts, two serve each client.
//! They move lines and know nothing of jobs.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use gjob_core::RunId;

use super::protocol::{self, CONTROL_VERSION, Fault, Hello, MAGIC, MAX_LINE, Request};
use super::socket;
use crate::network::Waker;
use crate::store::RunDir;

/// Clients at once.
const MAX_CLIENTS: usize = 32;

/// Lines on their way to a client; one that lets more gather is cut off.
const OUTBOX: usize = 16_384;

/// Requests that wait for the engine; then readers wait.
const REQUESTS: usize = 64;

/// How long a client may take to read anything at all.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the last lines may take when the manager exits.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// After an accept that failed, for want of descriptors perhaps.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// A client, by the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::manager) struct ClientId(u64);

/// What the threads have for the engine.
#[derive(Debug)]
pub(super) enum Incoming {
    Connected(ClientId, Outbox),
    Request(ClientId, Request),
    /// It sent something that is not a request.
    Invalid(ClientId, String),
    Disconnected(ClientId),
}

/// Lines on their way to a client. Dropped, it lets the client go.
#[derive(Debug)]
pub(super) struct Outbox {
    lines: SyncSender<Arc<[u8]>>,
    stream: UnixStream,
}

impl Outbox {
    /// False when the client is gone, or cannot keep up and is cut off.
    pub(super) fn put(&self, line: Arc<[u8]>) -> bool {
        let put = self.lines.try_send(line).is_ok();
        if !put {
            hang_up(&self.stream);
        }
        put
    }
}

/// The listening socket and its threads.
#[derive(Debug)]
pub(super) struct Server {
    dir: PathBuf,
    listener: UnixListener,
    incoming: Receiver<Incoming>,
    closing: Arc<AtomicBool>,
    /// Ends when the last writer has.
    writers: Receiver<()>,
}

impl Server {
    pub(super) fn start(dir: &RunDir, waker: Waker) -> io::Result<Self> {
        let listener = socket::bind(dir.path())?;
        let (sender, incoming) = mpsc::sync_channel(REQUESTS);
        let (writing, writers) = mpsc::channel();
        let closing = Arc::new(AtomicBool::new(false));
        let mut acceptor = Acceptor {
            listener: listener.try_clone()?,
            run: dir.run().clone(),
            to: ToEngine { sender, waker },
            closing: Arc::clone(&closing),
            writing,
            seats: Arc::default(),
            next: 0,
        };
        thread::Builder::new().name("gjob-control".into()).spawn(move || acceptor.run())?;
        Ok(Server { dir: dir.path().to_owned(), listener, incoming, closing, writers })
    }

    pub(super) fn next(&self) -> Option<Incoming> {
        self.incoming.try_recv().ok()
    }

    /// Accepts nobody any more, and gives the last lines a moment to be read.
    pub(super) fn close(self) {
        let Server { dir, listener, incoming, closing, writers } = self;
        closing.store(true, Ordering::Release);
        // A client finds nobody rather than somebody who does not answer.
        let _ = socket::remove(&dir);
        hang_up(&UnixStream::from(OwnedFd::from(listener)));
        drop(incoming);
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while writers.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {}
    }
}

/// Ends both directions of a socket, for every thread that uses it.
fn hang_up(stream: &UnixStream) {
    // An error says that it has ended already.
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

/// The engine's end, as the threads see it.
#[derive(Clone)]
struct ToEngine {
    sender: SyncSender<Incoming>,
    waker: Waker,
}

impl ToEngine {
    /// False when the engine no longer listens.
    fn put(&self, incoming: Incoming) -> bool {
        let put = self.sender.send(incoming).is_ok();
        self.waker.wake();
        put
    }
}

struct Acceptor {
    listener: UnixListener,
    run: RunId,
    to: ToEngine,
    closing: Arc<AtomicBool>,
    writing: mpsc::Sender<()>,
    /// One reference more for each client.
    seats: Arc<()>,
    next: u64,
}

impl Acceptor {
    fn run(&mut self) {
        while !self.closing.load(Ordering::Acquire) {
            match self.listener.accept() {
                // A client that cannot be served sees the end of its connection.
                Ok((stream, _)) => drop(self.serve(stream)),
                // Closing ends the listener, and with it this call.
                Err(_) if self.closing.load(Ordering::Acquire) => return,
                Err(_) => thread::sleep(ACCEPT_RETRY_DELAY),
            }
        }
    }

    fn serve(&mut self, stream: UnixStream) -> io::Result<()> {
        if !is_own_user(&stream) {
            return Ok(());
        }
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let hello = Hello { gjob: MAGIC.into(), version: CONTROL_VERSION, run: self.run.clone() };
        let hello = protocol::line(&hello)?;
        if Arc::strong_count(&self.seats) > MAX_CLIENTS {
            let error = format!("{MAX_CLIENTS} clients are connected already");
            let fault = protocol::line(&Fault { error })?;
            return (&stream).write_all(&hello).and_then(|()| (&stream).write_all(&fault));
        }
        let id = ClientId(self.next);
        self.next += 1;
        let (lines, queue) = mpsc::sync_channel(OUTBOX);
        let outbox = Outbox { lines, stream: stream.try_clone()? };
        let (reading, writing) = (stream.try_clone()?, self.writing.clone());
        // An outbox just made has room.
        let _ = outbox.lines.try_send(hello);
        thread::Builder::new().name("gjob-control-w".into()).spawn(move || {
            write_lines(&stream, &queue);
            drop(writing);
        })?;
        let (to, seat) = (self.to.clone(), Arc::clone(&self.seats));
        thread::Builder::new().name("gjob-control-r".into()).spawn(move || {
            if to.put(Incoming::Connected(id, outbox)) {
                to.put(match read_requests(&reading, id, &to) {
                    Ok(()) => Incoming::Disconnected(id),
                    Err(error) => Incoming::Invalid(id, error),
                });
            }
            drop(seat);
        })?;
        Ok(())
    }
}

/// The directory's mode says the same; this holds even if somebody changed it.
fn is_own_user(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid();
    rustix::net::sockopt::socket_peercred(stream)
        .is_ok_and(|peer| peer.uid == own || peer.uid.is_root())
}

fn write_lines(mut stream: &UnixStream, queue: &Receiver<Arc<[u8]>>) {
    while let Ok(line) = queue.recv() {
        if stream.write_all(&line).is_err() {
            break;
        }
    }
    hang_up(stream);
}

/// Hands requests on until the client disconnects; an error is the client's.
fn read_requests(stream: &UnixStream, id: ClientId, to: &ToEngine) -> Result<(), String> {
    let mut reader = BufReader::new(stream);
    loop {
        match read_line(&mut reader) {
            Ok(Some(line)) => {
                if !to.put(Incoming::Request(id, protocol::parse(&line)?)) {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(error.to_string());
            }
            Ok(None) | Err(_) => return Ok(()),
        }
    }
}

/// The next line, without its end; none at the end of the stream.
pub(super) fn read_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() >= MAX_LINE => {
            let why = format!("a line is longer than {MAX_LINE} bytes");
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        }
        // A line that was cut off means nothing.
        Some(_) | None => Ok(None),
    }
}
