//! Where the files are, and whether they can be relied on.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use gjob_core::os_text::from_os;
use gjob_core::plain_text::{self, TextError};
use gjob_core::trust::Distrust;

use super::PassedOver;
use super::error::{ConfigError, ConfigProblem};
use crate::jobfile::place::{Place, Spot};
use crate::trust::{PlaceError, resolve, stranger};

/// The most that is read, bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The name of the file.
const NAME: &str = "gjob.toml";

/// The files that there are, the nearest first. A project's file that another user has
/// put above it, as anybody can in `/tmp`, is added to `passed_over` instead.
pub(super) fn paths(here: &Path, passed_over: &mut Vec<PassedOver>) -> Vec<PathBuf> {
    let base = etcetera::base_strategy::Xdg::new().ok();
    let home = base.as_ref().map(|base| base.home_dir().to_owned());
    let users = base.map(|base| base.config_dir().join("gjob").join(NAME));
    let users = users.filter(|path| exists(path));
    let projects =
        project(here, home.as_deref(), passed_over).filter(|path| Some(path) != users.as_ref());
    projects.into_iter().chain(users).collect()
}

/// The nearest one from `here` upwards: not beyond the home directory, nor on another
/// file system.
fn project(here: &Path, home: Option<&Path>, passed_over: &mut Vec<PassedOver>) -> Option<PathBuf> {
    let device = |dir: &Path| dir.metadata().map(|meta| meta.dev()).ok();
    let on = device(here);
    for dir in here.ancestors().take_while(|dir| device(dir) == on) {
        let path = dir.join(NAME);
        match stranger(&path) {
            Some(uid) => passed_over.push(PassedOver { path, why: Distrust::Owner { uid } }),
            None if exists(&path) => return Some(path),
            None => {}
        }
        if Some(dir) == home {
            return None;
        }
    }
    None
}

/// A link that leads nowhere is not the same as no file.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The text of a file that nobody else could have written, and where it really is.
pub(super) fn text(path: &Path) -> Result<(String, PathBuf), Box<ConfigError>> {
    let file = from_os(path.as_os_str()).into_owned();
    let error = |place, problem| Box::new(ConfigError { spot: Spot::from(place), problem });
    let whole = || Place::File(file.clone());
    let real = resolve(path).map_err(|found| match found {
        PlaceError::Distrusted { path: found, why } => {
            let place = Place::File(from_os(found.as_os_str()).into_owned());
            error(place, ConfigProblem::Unsafe { why })
        }
        PlaceError::Io { source, .. } => error(whole(), ConfigProblem::Unreadable(source)),
    })?;
    let bytes =
        contents(&real).map_err(|source| error(whole(), ConfigProblem::Unreadable(source)))?;
    let text = plain_text::read(&bytes).map_err(|problem| {
        let place = match problem {
            TextError::NotUtf8 { line, column } => Place::column(&file, line, column),
            _ => whole(),
        };
        error(place, problem.into())
    })?;
    Ok((text, real))
}

/// What is in a regular file of a size that people write.
fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let meta = path.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    if meta.len() > MAX_BYTES {
        let text = "it is larger than 1 MiB: expected hosts and defaults for options";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    std::fs::read(path)
}
