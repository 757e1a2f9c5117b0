//! How this host is, for `gjob hosts`: what it has, what limits jobs, and what a job's
//! shell does not see.

use std::path::{Path, PathBuf};

use gjob_core::os_text::from_os;
use gjob_core::text::Foreign;
use gjob_core::wire::HostDescription;
use rustix::process::{Resource, getrlimit};

use super::disk_usage::Walk;
use super::logout::kills_at_logout;
use super::welcome::free_bytes;
use crate::host;
use crate::jobdir::Layout;

/// Where conda is usually installed, below the home directory or `/opt`.
const CONDAS: [&str; 5] = ["miniforge3", "mambaforge", "miniconda3", "anaconda3", "conda"];

/// What sets up environment modules.
const MODULES: [&str; 3] =
    ["/etc/profile.d/lmod.sh", "/etc/profile.d/modules.sh", "/usr/share/modules/init/bash"];

/// Looks at everything; that takes as long as the disk takes.
pub(super) fn describe(layout: &Layout) -> HostDescription {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let used_bytes = Walk::new().bytes_in(layout.results());
    HostDescription {
        version: env!("CARGO_PKG_VERSION").into(),
        hostname: host::hostname().into(),
        cpus: host::cpus(),
        memory_bytes: host::memory_bytes(),
        gpus: host::gpus().len() as u32,
        load_milli: host::load_milli(),
        results_dir: foreign(layout.results()),
        free_bytes: free_bytes(layout.results()),
        used_bytes,
        open_files: getrlimit(Resource::Nofile).maximum,
        processes: getrlimit(Resource::Nproc).current,
        conda: conda(&home, &path),
        modules: MODULES.iter().map(Path::new).find(|it| it.exists()).map(foreign),
        path: foreign(Path::new(&path)),
        kills_at_logout: kills_at_logout(),
        // Last, since all that takes time.
        clock_ms: host::now().0,
    }
}

fn foreign(path: &Path) -> Foreign {
    from_os(path.as_os_str()).into_owned().into()
}

/// A conda that is installed, if none is on the path.
fn conda(home: &Path, path: &std::ffi::OsStr) -> Option<Foreign> {
    let is_found = |dir: PathBuf| dir.join("conda").exists();
    if std::env::split_paths(path).any(is_found) {
        return None;
    }
    let bases = [home, Path::new("/opt")];
    let mut places = bases.iter().flat_map(|base| CONDAS.iter().map(|name| base.join(name)));
    places.find(|place| place.join("etc/profile.d/conda.sh").exists()).map(|place| foreign(&place))
}
