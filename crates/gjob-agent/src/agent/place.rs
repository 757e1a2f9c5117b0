//! The results directory's own name: hosts that read the same one share it. It
//! is the target of a symbolic link, made by one atomic `symlink(2)`: the first
//! one stands, and there is never half a name.

use std::io;
use std::path::Path;

use crate::jobdir::Layout;

/// The longest name, bytes.
const MAX_NAME: usize = 64;

/// The name, which is given if there is none yet; empty where that can't be.
pub(super) fn make(layout: &Layout) -> String {
    let named = read(layout);
    if !named.is_empty() {
        return named;
    }
    // Another's may have come first; what can't be made isn't there to be read.
    let _ = new_name().and_then(|name| std::os::unix::fs::symlink(name, layout.place()));
    read(layout)
}

/// The name; empty where there is none.
pub(super) fn read(layout: &Layout) -> String {
    let target = std::fs::read_link(layout.place()).unwrap_or_default();
    let name = target.to_str().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.len() <= MAX_NAME && name.bytes().all(is_plain) {
        name.to_owned()
    } else {
        String::new()
    }
}

/// Room left for such as us where `path` is, bytes; of the directory it will be
/// made in if it is not there.
pub(super) fn free_bytes(path: &Path) -> u64 {
    let stat = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok());
    stat.map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn new_name() -> io::Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(name.trim().to_owned())
}
