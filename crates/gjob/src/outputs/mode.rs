//! The modes of outputs: as they are on their host, within the umask here. A host may
//! have another one, and what is everybody's there need not be so here.

use std::sync::OnceLock;

/// The umask where it cannot be read.
const DEFAULT: u32 = 0o022;

/// What of a host's mode a file or directory gets.
pub(super) fn within_umask(mode: u32) -> u32 {
    static UMASK: OnceLock<u32> = OnceLock::new();
    // Read, and not set and restored: threads have it in common.
    let umask = UMASK.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        parse(&status).unwrap_or(DEFAULT)
    });
    mode & 0o777 & !umask
}

fn parse(status: &str) -> Option<u32> {
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(mask.trim(), 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn umask_is_read_from_the_kernel() {
        assert_eq!(parse("Name:\tx\nUmask:\t0027\nState:\tR\n"), Some(0o027));
        assert_eq!(parse("Name:\tx\n"), None);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        assert_eq!(within_umask(0o100777), 0o777 & !parse(&status).unwrap());
    }
}
