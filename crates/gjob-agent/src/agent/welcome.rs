//! What a host says of itself in answer to an attachment.

use std::path::Path;

use gjob_core::os_text::from_os;
use gjob_core::wire::{Damage, FromAgent, Welcome};

use crate::host;
use crate::jobdir::Layout;

/// The longest name of a results directory, bytes.
const MAX_PLACE: usize = 64;

/// The answer to an attachment that offers `slots`, one for each processor without
/// them. `place` names the results directory; `damage` is what has happened to what was
/// recorded of the run.
pub(super) fn welcome(
    layout: &Layout,
    slots: Option<u32>,
    place: String,
    damage: Option<Damage>,
) -> FromAgent {
    let cpus = host::cpus();
    FromAgent::Welcome(Box::new(Welcome {
        version: env!("CARGO_PKG_VERSION").into(),
        platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        clock_ms: host::now().0,
        hostname: host::hostname().into(),
        boot_id: host::boot_id().to_owned(),
        results_dir: from_os(layout.results().as_os_str()).into_owned(),
        cpus,
        memory_bytes: host::memory_bytes(),
        slots: slots.unwrap_or(cpus).max(1),
        gpus: host::gpus().len() as u32,
        place,
        free_bytes: free_bytes(layout.results()),
        damage,
    }))
}

/// The results directory's own name, by which hosts that share it are known. It is
/// the target of a symbolic link, made by one atomic `symlink(2)`: the first one
/// stands, and there is never half a name. Empty where there is none.
pub(super) fn read_place(layout: &Layout) -> String {
    let target = std::fs::read_link(layout.place()).unwrap_or_default();
    let name = target.to_str().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.len() <= MAX_PLACE && name.bytes().all(is_plain) {
        name.to_owned()
    } else {
        String::new()
    }
}

/// The name, which is made if there is none yet; empty where it cannot be.
pub(super) fn make_place(layout: &Layout) -> String {
    let name = read_place(layout);
    if !name.is_empty() {
        return name;
    }
    // Another host's may have come first. One that cannot be made cannot be read.
    let _ = host::random_text().and_then(|name| std::os::unix::fs::symlink(name, layout.place()));
    read_place(layout)
}

/// Bytes that this user may still write where `path` is, or in the directory that
/// it will be made in.
pub(super) fn free_bytes(path: &Path) -> u64 {
    let stat = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok());
    stat.map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}
