//! Why a file system takes nothing more for now. That is no fault of what is to be
//! written, and may be over later.

use std::error::Error;
use std::io;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};

/// What there is too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Shortage {
    #[error("its results disk is full")]
    Space,
    #[error("the quota of its results directory is used up")]
    Quota,
    #[error("its results directory is read-only")]
    ReadOnly,
}

/// All of them, with the exit status of a slot that leaves for it.
const ALL: [(Shortage, u8); 3] =
    [(Shortage::Space, 75), (Shortage::Quota, 76), (Shortage::ReadOnly, 77)];

impl Shortage {
    /// The one that an error, or the cause of one, tells of.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(shortage) = error.downcast_ref::<Shortage>() {
                return Some(*shortage);
            }
            let io = error.downcast_ref::<io::Error>();
            match io.and_then(io::Error::raw_os_error) {
                Some(libc::ENOSPC) => return Some(Shortage::Space),
                Some(libc::EDQUOT) => return Some(Shortage::Quota),
                Some(libc::EROFS) => return Some(Shortage::ReadOnly),
                _ => {}
            }
            // What is wrapped in an I/O error counts as that error itself.
            let wrapped = io.and_then(io::Error::get_ref).map(|error| error as &dyn Error);
            next = wrapped.or_else(|| error.source());
        }
        None
    }

    /// How a slot ends that leaves for it.
    pub(crate) fn exit_code(self) -> ExitCode {
        let code = ALL.iter().find(|(shortage, _)| *shortage == self);
        code.map_or(ExitCode::FAILURE, |(_, code)| ExitCode::from(*code))
    }

    /// The one for which a slot has left.
    pub(crate) fn of_slot(status: ExitStatus) -> Option<Self> {
        let code = status.code()?;
        ALL.iter().find(|(_, known)| i32::from(*known) == code).map(|(shortage, _)| *shortage)
    }

    /// The same in one line, by what is left where `results` are.
    pub(crate) fn describe(self, results: &Path) -> String {
        let stat = rustix::fs::statvfs(results).ok();
        // A file system without a limit on files says that it has none at all.
        let no_files = stat.is_some_and(|stat| stat.f_files > 0 && stat.f_favail == 0);
        match self {
            Shortage::Space if no_files => "its results disk has no inodes left".to_owned(),
            Shortage::Space | Shortage::Quota | Shortage::ReadOnly => self.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortage_is_found_behind_other_errors() {
        let quota = || io::Error::from_raw_os_error(libc::EDQUOT);
        assert_eq!(Shortage::of(&quota()), Some(Shortage::Quota));
        let wrapped = io::Error::other(io::Error::other(quota()));
        assert_eq!(Shortage::of(&wrapped), Some(Shortage::Quota));
        assert_eq!(Shortage::of(&io::Error::other("no")), None);
        assert_eq!(Shortage::of(&io::Error::from_raw_os_error(libc::EACCES)), None);
    }
}
