//! What jobs' directories are called.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use gjob_core::from_job::dir_name;

/// The name of a job's directory: its index, behind its name if it has one.
/// What is neither a letter or digit of ASCII nor one of `._+=@-` becomes `_`.
#[must_use]
pub fn job_dir_name(name: Option<&str>, index: u32) -> String {
    let cleaned = dir_name(name.unwrap_or_default());
    match cleaned.as_str() {
        "" => index.to_string(),
        name => format!("{name}-{index}"),
    }
}

/// Those of `names` that there is something of in `dir` already. A directory
/// that is not there has nothing.
///
/// # Errors
/// When it can't be read.
pub fn used_names<'a>(
    dir: &Path,
    names: impl IntoIterator<Item = &'a str>,
) -> io::Result<Vec<&'a str>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let found = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<HashSet<_>>>()?;
    Ok(names.into_iter().filter(|name| found.contains(std::ffi::OsStr::new(name))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jobs_directory_is_named_after_it_and_holds_no_surprise() {
        assert_eq!(job_dir_name(None, 3), "3");
        assert_eq!(job_dir_name(Some(""), 3), "3");
        assert_eq!(job_dir_name(Some("train_lr=0.1"), 0), "train_lr=0.1-0");
        assert_eq!(job_dir_name(Some("../../etc/passwd"), 1), "_._.._etc_passwd-1");
        assert_eq!(job_dir_name(Some("-rf *\u{1b}[2Jü"), 1), "_rf____2J_-1");
        assert_eq!(job_dir_name(Some(&"é".repeat(300)), 1).len(), 102);
    }

    #[test]
    fn directories_of_two_jobs_are_never_the_same() {
        let names = ["a", "a", "a-0", "a-0-2", "3", ""];
        let dirs: Vec<String> =
            (0..).zip(names).map(|(at, it)| job_dir_name(Some(it), at)).collect();
        assert_eq!(dirs, ["a-0", "a-1", "a-0-2", "a-0-2-3", "3-4", "5"]);
    }

    #[test]
    fn names_in_use_are_found_links_to_nowhere_too() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["a-0", "b-1", "c-2"];
        std::fs::create_dir(dir.path().join("a-0")).unwrap();
        std::os::unix::fs::symlink("/nowhere", dir.path().join("c-2")).unwrap();
        assert_eq!(used_names(dir.path(), names).unwrap(), ["a-0", "c-2"]);
        assert!(used_names(&dir.path().join("none"), names).unwrap().is_empty());
    }
}
