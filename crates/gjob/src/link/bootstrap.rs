//! The conversation with the bootstrap script: from a shell at the far end to
//! an agent that is about to say its first line. `bootstrap.sh` is the other
//! side.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use gjob_core::os_text::to_bytes;
use gjob_core::text::Shown;
use gjob_core::wire::PROTOCOL;

use super::error::{BootstrapFailure, ConnectError};
use super::lines::{Lines, NOISE_LIMIT, NoLine};
use crate::program::{Platform, Program, Programs};

/// What the far shell runs. Nothing is sent behind it before it has answered:
/// a shell may read ahead.
pub(super) const SCRIPT: &str = include_str!("bootstrap.sh");

/// What each of the script's reports begins with.
const MARK: &str = "gjob-bootstrap ";

/// How long the far side may take for an answer.
pub(super) const ANSWER: Duration = Duration::from_secs(45);
/// The slowest link a program is sent over, bytes a second.
const SLOWEST: u64 = 8 * 1024;

/// What is wanted of a host.
pub(super) struct BootstrapOptions<'a> {
    pub(super) results_dir: &'a str,
    pub(super) programs: &'a Arc<Programs>,
    /// Whether a program that is there already may be started unseen.
    pub(super) trust: bool,
}

/// Sends the script. What it answers is for [`converse`].
pub(super) async fn send_script(to: &mut (impl AsyncWrite + Unpin)) {
    // A shell that is gone shows on the other stream, with its reason.
    let _ = to.write_all(SCRIPT.as_bytes()).await;
    let _ = to.flush().await;
}

/// Waits for the script's first report; none when the stream ended. May be cancelled
/// and called again.
pub(super) async fn ready<R: AsyncRead + Unpin>(
    lines: &mut Lines<'_, R>,
    limit: Duration,
) -> Result<Option<String>, ConnectError> {
    report(lines, "logging in", limit).await
}

/// Brings a far side that is [`ready`] to start an agent; `uploading` is told how many bytes
/// are to be sent, if any. None when the stream ended.
pub(super) async fn converse<R, W>(
    lines: &mut Lines<'_, R>,
    to: &mut W,
    ready: &str,
    wanted: &BootstrapOptions<'_>,
    uploading: impl AsyncFnOnce(u64),
) -> Result<Option<()>, ConnectError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (gzip, platform) = parse_ready(ready)?;
    let found = find_program(wanted.programs, platform).await?;
    let (hash, length) = match &found {
        Ok(program) => (program.hash().to_string(), program.length()),
        Err(_) => ("none".to_owned(), 0),
    };
    let trust = if wanted.trust { "yes" } else { "no" };
    let answer = format!(
        "{}\n{PROTOCOL}\n{hash}\n{length}\n{trust}\n{:016x}\n",
        wanted.results_dir,
        fastrand::u64(..)
    );
    let _ = to.write_all(&to_bytes(&answer)).await;
    let _ = to.flush().await;

    match report(lines, "looking for the program there", ANSWER).await?.as_deref() {
        None => Ok(None),
        Some("starting") => Ok(Some(())),
        Some("send") => {
            let program = found?;
            let bytes = if gzip { program.compressed() } else { program.bytes() };
            uploading(bytes.len() as u64).await;
            send_program(lines, to, bytes).await
        }
        Some(other) => match (failure(other), found) {
            (Some(BootstrapFailure::Unknown(_)), Err(missing)) => Err(missing.into()),
            (Some(failure), _) => Err(failure.into()),
            (None, _) => Err(ConnectError::Garbled(Shown::new(other).into())),
        },
    }
}

/// Sends `bytes` while listening: a host without room says so before the end.
async fn send_program<R, W>(
    lines: &mut Lines<'_, R>,
    to: &mut W,
    bytes: &[u8],
) -> Result<Option<()>, ConnectError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let limit = ANSWER + Duration::from_secs(bytes.len() as u64 / SLOWEST);
    let mut listening = std::pin::pin!(report(lines, "sending the program", limit));
    let sending = async {
        let _ = to.write_all(format!("{}\n", bytes.len()).as_bytes()).await;
        let _ = to.write_all(bytes).await;
        let _ = to.flush().await;
    };
    let answer = tokio::select! {
        answer = &mut listening => answer,
        () = sending => listening.await,
    };
    match answer?.as_deref() {
        None => Ok(None),
        Some("starting") => Ok(Some(())),
        Some(other) => Err(match failure(other) {
            Some(failure) => failure.into(),
            None => ConnectError::Garbled(Shown::new(other).into()),
        }),
    }
}

/// The script's next report; none when the stream ended.
async fn report<R: AsyncRead + Unpin>(
    lines: &mut Lines<'_, R>,
    doing: &'static str,
    limit: Duration,
) -> Result<Option<String>, ConnectError> {
    match timeout(limit, lines.line_behind(MARK)).await {
        Ok(Ok(report)) => Ok(Some(report)),
        Ok(Err(NoLine::End)) => Ok(None),
        Ok(Err(NoLine::Noise)) => {
            Err(ConnectError::Noise { limit: NOISE_LIMIT, said: lines.said() })
        }
        Err(_) => Err(ConnectError::Silent { doing, limit, said: lines.said() }),
    }
}

/// Reads `ready 1 gzip|plain OS ARCH`.
fn parse_ready(report: &str) -> Result<(bool, Platform), ConnectError> {
    let garbled = || ConnectError::Garbled(Shown::new(report).into());
    let rest = report.strip_prefix("ready 1 ").ok_or_else(garbled)?;
    let (how, uname) = rest.split_once(' ').ok_or_else(garbled)?;
    let platform = Platform::from_uname(uname).map_err(|_| garbled())?;
    match how {
        "gzip" => Ok((true, platform)),
        "plain" => Ok((false, platform)),
        _ => Err(garbled()),
    }
}

/// Reads `failed KIND TEXT`.
fn failure(report: &str) -> Option<BootstrapFailure> {
    let report = report.strip_prefix("failed ")?;
    Some(BootstrapFailure::parse(&Shown::new(report)))
}

/// Reading, hashing and compressing are not for the runtime's own threads.
async fn find_program(
    programs: &Arc<Programs>,
    platform: Platform,
) -> Result<Result<Arc<Program>, crate::program::ProgramError>, ConnectError> {
    let programs = Arc::clone(programs);
    Ok(tokio::task::spawn_blocking(move || programs.find(&platform)).await?)
}

#[cfg(test)]
mod tests;
