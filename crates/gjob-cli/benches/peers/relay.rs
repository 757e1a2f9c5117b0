//! A connection with a delay: this program as ssh's `ProxyCommand`.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Bytes that are read at once.
const PIECE: usize = 1 << 16;

/// Connects stdin and stdout to HOST:PORT; what is sent either way arrives MS later.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let text: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let [ms, host, port] = &text[..] else { anyhow::bail!("expected MS HOST PORT") };
    let delay = Duration::from_millis(ms.parse().context("MS")?);
    let socket = TcpStream::connect((&**host, port.parse::<u16>().context("PORT")?))?;
    socket.set_nodelay(true)?;
    let outward = socket.try_clone()?;
    thread::spawn(move || {
        pass(io::stdin(), &outward, delay);
        // The other direction ends by itself, when the host has closed it.
        let _ = outward.shutdown(Shutdown::Write);
    });
    pass(socket, io::stdout(), delay);
    Ok(())
}

/// Passes bytes on until either side is closed.
fn pass(mut from: impl Read + Send + 'static, mut to: impl Write, delay: Duration) {
    let (sender, pieces) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            if sender.send((Instant::now() + delay, piece[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    for (due, bytes) in pieces {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}
