//! Hosts and clusters as a user names them: host lists, hosts files and the
//! original's cluster files.

mod entry;

pub use entry::HostEntry;
