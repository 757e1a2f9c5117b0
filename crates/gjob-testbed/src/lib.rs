//! Real ssh hosts for gjob's tests: a fresh set for each test, removed at its end.
//!
//! A [`Bed`] is a set of sshds on loopback, each with its own port, host key, home
//! directory and log. It needs no root and no configuration. A [`NetBed`] has them
//! in namespaces, so that a host can lose its network,
//! crash and boot again; that takes root, and [`NetBed::start`] gives `None`
//! without it. What cannot run is [skipped](fn@skip), never in silence.
//!
//! ```no_run
//! let bed = gjob_testbed::Bed::start(2);
//! let out = bed.ssh("h1").arg("echo hello").output().unwrap();
//! assert_eq!(out.stdout, b"hello\n");
//! assert_eq!(bed.host(1).logins(), 1);
//! ```
//!
//! # How it works
//!
//! - **A host is a directory**: `h1/` below the bed's own holds that host's
//!   keys, `sshd_config`, `sshd.log` and `home/`. All of it is plain text; set
//!   `GJOB_TESTBED_KEEP=1` to keep it for a look after the test.
//! - **A session** is what sshd would start, except for its home. sshd runs
//!   `h1/enter` (a `ForceCommand`), which sets `HOME`, goes there, and hands
//!   the client's command to the host's login shell with `-c`, as sshd does.
//!   Start-up files in that home are read (or not) by that shell's own rules.
//! - **The processes of a host are marked**: `TESTBED_DIR` and `TESTBED_HOST` are
//!   in the environment of everything that its sessions start, detached or not, so
//!   that [`Site::processes`] finds them, and no test needs `pkill`.
//! - **The janitor** is a small shell process with a pipe to the test. When the
//!   pipe closes, because the bed was dropped or the test was killed, it ends the
//!   bed's processes and removes its directory. If the janitor is killed, too, the
//!   next bed finds the directory's lock free and cleans up.
//!
//! Constructors panic and name what is missing: a test cannot continue without its
//! hosts.
#![expect(
    clippy::expect_used,
    reason = "a bed that cannot be set up ends its test, with the reason"
)]

mod acl;
mod bed;
mod freezer;
mod ground;
mod host;
mod net;
mod process;
mod site;
mod skip;
mod sshd;
mod tools;

pub use acl::grant_by_default;
pub use bed::{Bed, BedBuilder};
pub use freezer::Freezer;
pub use host::Host;
pub use net::{NetBed, NetHost};
pub use process::Process;
pub use site::Site;
pub use skip::{is_installed, skip};
pub use tools::{eventually, find_program, wait_within};

/// An alias in every bed's `ssh_config` whose name does not resolve.
pub const NOWHERE: &str = "nowhere";

/// An alias in every bed's `ssh_config`: the first host, under a name whose
/// host key nobody has recorded, so that its verification fails.
pub const STRANGER: &str = "stranger";
