//! Which worker program is sent to which kind of host, and which one serves
//! this machine.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gjob_core::wire::BlobHash;
use gjob_embedded::Agent;

pub use gjob_core::platform::{ParsePlatformError, Platform};
use gjob_core::trust::Distrust;
pub use gjob_embedded::agents as embedded_agents;

use crate::trust::{PlaceError, check_file};

/// Where the worker programs are, and those already read.
#[derive(Debug, Default)]
pub struct Programs {
    given: BTreeMap<Platform, PathBuf>,
    own: Option<PathBuf>,
    read: Mutex<HashMap<Platform, Arc<Program>>>,
}

/// The worker program that the running process has declared itself to be.
static RUNNING: OnceLock<PathBuf> = OnceLock::new();

/// Declares that `executable`, the running one, can be started as an agent
/// (`EXECUTABLE agent`): it then serves this machine and the hosts like it,
/// unless [`Programs::with_own`] names another. `gjob` calls this when it
/// starts; a program that only uses this library does not, and its agents are
/// looked for (see [`Programs::local`]). The first declaration counts.
pub fn declare_worker(executable: PathBuf) {
    RUNNING.get_or_init(|| executable);
}

/// A worker program as it is sent: read, hashed and compressed once.
#[derive(Debug)]
pub struct Program {
    hash: BlobHash,
    length: u64,
    plain: OnceLock<Vec<u8>>,
    compressed: OnceLock<Cow<'static, [u8]>>,
}

/// Why there is no program for a host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// None was found anywhere.
    #[error(
        "no worker program for {platform}: name one with --agent {platform}=PATH, put \
         gjob-agent-{platform} beside {}, or install gjob on the host's PATH",
        .beside.display()
    )]
    None {
        /// The host's.
        platform: Platform,
        /// The directory that was looked in.
        beside: PathBuf,
    },
    /// None for this machine.
    #[error(
        "no worker program for this machine: neither gjob nor gjob-agent is beside {} or on the PATH",
        .beside.display()
    )]
    NoLocal {
        /// The directory that was looked in.
        beside: PathBuf,
    },
    /// Another user could have put it there.
    #[error("unsafe worker program: {path}: {why}", path = .path.display())]
    Unsafe {
        /// Which.
        path: PathBuf,
        /// Why it is not relied on.
        why: Distrust,
    },
    /// The one that was chosen can't be read.
    #[error("cannot read the worker program {}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Programs {
    /// What this build holds and what lies beside the executable.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends the file at `path` to hosts of `platform` (`--agent OS-ARCH=PATH`).
    #[must_use]
    pub fn with_agent(mut self, platform: Platform, path: impl Into<PathBuf>) -> Self {
        self.given.insert(platform, path.into());
        self
    }

    /// Sends these files to hosts of their platforms.
    #[must_use]
    pub fn with_agents(mut self, agents: BTreeMap<Platform, PathBuf>) -> Self {
        self.given.extend(agents);
        self
    }

    /// The files given for platforms.
    #[must_use]
    pub fn agents(&self) -> &BTreeMap<Platform, PathBuf> {
        &self.given
    }

    /// Says which program serves this machine, and the hosts like it for
    /// which there is no other: a `gjob` or a `gjob-agent`.
    #[must_use]
    pub fn with_own(mut self, path: impl Into<PathBuf>) -> Self {
        self.own = Some(path.into());
        self
    }

    /// The program that is run as the agent of this machine: the one named by
    /// [`with_own`](Self::with_own), else the one that
    /// [`declare_worker`] names, else a `gjob-agent` or a `gjob` beside the
    /// running executable or one directory up, else on the PATH.
    ///
    /// # Errors
    /// When there is none.
    pub fn local(&self) -> Result<PathBuf, ProgramError> {
        if let Some(own) = self.own.as_ref().or_else(|| RUNNING.get()) {
            return Ok(own.clone());
        }
        let beside = executable_dir();
        let near = [Some(beside.as_path()), beside.parent()];
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let found = near
            .into_iter()
            .flatten()
            .chain(on_path.iter().map(PathBuf::as_path))
            .flat_map(|dir| ["gjob-agent", "gjob"].map(|name| dir.join(name)))
            .find(|candidate| is_program(candidate));
        let found = found.ok_or(ProgramError::NoLocal { beside })?;
        check(&found)?;
        Ok(found)
    }

    /// The program for hosts of `platform`. Reads and hashes a file the first
    /// time: not for an async task.
    ///
    /// # Errors
    /// When there is none, or it can't be read.
    pub fn find(&self, platform: &Platform) -> Result<Arc<Program>, ProgramError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = read.get(platform) {
            return Ok(Arc::clone(program));
        }
        let program = Arc::new(self.find_anew(platform)?);
        read.insert(platform.clone(), Arc::clone(&program));
        Ok(program)
    }

    fn find_anew(&self, platform: &Platform) -> Result<Program, ProgramError> {
        if let Some(path) = self.given.get(platform) {
            return read(path);
        }
        if let Some(agent) = embedded(platform) {
            return Ok(Program::embedded(agent));
        }
        let beside = executable_dir();
        let slim = beside.join(format!("gjob-agent-{platform}"));
        if slim.is_file() {
            check(&slim)?;
            return read(&slim);
        }
        match self.local() {
            Ok(own) if *platform == Platform::own() => read(&own),
            _ => Err(ProgramError::None { platform: platform.clone(), beside }),
        }
    }
}

impl Program {
    fn new(bytes: Vec<u8>) -> Self {
        Program {
            hash: BlobHash(*blake3::hash(&bytes).as_bytes()),
            length: bytes.len() as u64,
            plain: OnceLock::from(bytes),
            compressed: OnceLock::new(),
        }
    }

    fn embedded(agent: &'static Agent) -> Self {
        Program {
            hash: BlobHash(agent.hash),
            length: agent.length,
            plain: OnceLock::new(),
            compressed: OnceLock::from(Cow::Borrowed(agent.gzip)),
        }
    }

    /// The executable file's content; unpacked the first time it is asked for.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.plain.get_or_init(|| {
            let packed = self.compressed.get().map(Cow::as_ref).unwrap_or_default();
            let mut plain = Vec::new();
            // This build has packed it; a cut file would fail the check of its hash on
            // the host.
            let unpacked = flate2::read::GzDecoder::new(packed).read_to_end(&mut plain);
            debug_assert!(unpacked.is_ok());
            plain
        })
    }

    /// How long [`bytes`](Self::bytes) is.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The blake3 hash of [`bytes`](Self::bytes).
    #[must_use]
    pub fn hash(&self) -> BlobHash {
        self.hash
    }

    /// The content as a gzip file; made the first time it is asked for.
    #[must_use]
    pub fn compressed(&self) -> &[u8] {
        self.compressed.get_or_init(|| {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            // Writing into memory does not fail; a cut file would fail the
            // check of its hash on the host.
            let written = encoder.write_all(self.bytes());
            debug_assert!(written.is_ok());
            Cow::Owned(encoder.finish().unwrap_or_default())
        })
    }
}

/// The agent for a platform, if this build has it.
fn embedded(platform: &Platform) -> Option<&'static Agent> {
    let platform = platform.to_string();
    gjob_embedded::agents().iter().find(|agent| agent.platform == platform)
}

/// The directory of the running executable.
fn executable_dir() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    executable.parent().map(Path::to_owned).unwrap_or_default()
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Checks a program that was found and not named. Who can write to its directory
/// could replace gjob as well, or any other program on the PATH.
fn check(path: &Path) -> Result<(), ProgramError> {
    check_file(path).map_err(|error| match error {
        PlaceError::Distrusted { path, why } => ProgramError::Unsafe { path, why },
        PlaceError::Io { path, source } => ProgramError::Read { path, source },
    })
}

fn read(path: &Path) -> Result<Program, ProgramError> {
    let bytes = std::fs::read(path);
    bytes.map(Program::new).map_err(|source| ProgramError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn a_given_program_is_read_hashed_and_compressed_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent");
        std::fs::write(&path, b"program ".repeat(1000)).unwrap();
        let programs = Programs::new().with_agent(platform("plan9-mips"), &path);
        let program = programs.find(&platform("plan9-mips")).unwrap();
        assert_eq!(program.hash().0, *blake3::hash(program.bytes()).as_bytes());
        let mut plain = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(program.compressed());
        io::copy(&mut decoder, &mut plain).unwrap();
        assert_eq!(plain, program.bytes());
        std::fs::remove_file(&path).unwrap();
        let again = programs.find(&platform("plan9-mips")).unwrap();
        assert!(Arc::ptr_eq(&program, &again));
    }

    #[test]
    fn agent_of_this_build_is_what_its_hash_and_length_say() {
        let Some(agent) = embedded(&Platform::own()) else {
            return gjob_testbed::skip("no static libc to build an agent with");
        };
        let program = Programs::new().find(&Platform::own()).unwrap();
        assert_eq!(program.compressed().as_ptr(), agent.gzip.as_ptr());
        assert_eq!(program.bytes().len() as u64, program.length());
        assert_eq!(program.hash().0, *blake3::hash(program.bytes()).as_bytes());
    }

    #[test]
    fn hosts_like_this_one_get_the_own_program_and_others_an_explanation() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("gjob");
        std::fs::write(&own, "own").unwrap();
        let programs = Programs::new().with_own(&own);
        assert_eq!(programs.local().unwrap(), own);
        if embedded(&Platform::own()).is_none() {
            assert_eq!(programs.find(&Platform::own()).unwrap().bytes(), b"own");
        }
        let message = programs.find(&platform("plan9-mips")).unwrap_err().to_string();
        for hint in ["plan9-mips", "--agent plan9-mips=PATH", "PATH"] {
            assert!(message.contains(hint), "{message}");
        }
    }

    #[test]
    fn program_that_another_user_could_have_put_there_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gjob-agent-plan9-mips");
        std::fs::write(&path, "planted").unwrap();
        assert!(check(&path).is_ok());
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o757);
        std::fs::set_permissions(&path, mode).unwrap();
        let message = check(&path).unwrap_err().to_string();
        assert!(
            message.ends_with("gjob-agent-plan9-mips: other users can write to it"),
            "{message}"
        );
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(61001), None).unwrap();
            let message = check(&path).unwrap_err().to_string();
            assert!(message.ends_with(": it belongs to user 61001"), "{message}");
        } else {
            gjob_testbed::skip("only root can make files of another user");
        }
    }

    #[test]
    fn a_given_program_that_is_missing_is_said_by_its_path() {
        let programs = Programs::new().with_agent(platform("linux-x86_64"), "/no/such/agent");
        let message = programs.find(&platform("linux-x86_64")).unwrap_err().to_string();
        assert!(message.contains("/no/such/agent"), "{message}");
    }
}
