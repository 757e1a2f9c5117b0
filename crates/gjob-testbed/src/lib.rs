//! Real ssh hosts for gjob's tests: a fresh set for each test, gone with it.
//!
//! A [`Bed`] is some sshds on loopback, each with a port, a host key, a home
//! directory and a log of its own. It needs no root and no configuration. A
//! [`NetBed`] is the same in namespaces, so that a host can lose its network,
//! crash and boot again; that takes root, and [`NetBed::start`] gives `None`
//! without it. What cannot run is [skipped](skip), never in silence.
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
//! - **A session** is what sshd would start, but for its home. sshd runs
//!   `h1/enter` (a `ForceCommand`), which sets `HOME`, goes there, and hands
//!   the client's command to the host's login shell with `-c`, as sshd does.
//!   Start-up files in that home are read (or not) by that shell's own rules.
//! - **What a host runs is marked**: `TESTBED_DIR` and `TESTBED_HOST` are
//!   in the environment of all that its sessions start, detached or not. So
//!   [`Site::processes`] finds them, and no test needs `pkill`.
//! - **The janitor** is a small shell process with a pipe to the test. When the
//!   pipe closes, because the bed was dropped or the test was killed by
//!   whatever means, it ends the bed's processes and removes its directory.
//!   Should it be killed too, the next bed finds the directory's lock free and
//!   has it swept.
//!
//! Constructors panic, with what is missing: a test without its hosts has
//! nothing else to do.
#![expect(clippy::expect_used, reason = "a bed that can't be made ends its test, with the reason")]

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
