//! Whether the files and directories that jobs name can be sent, known before
//! anything starts.

use std::collections::HashSet;
use std::fs::{File, FileType};
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;

use super::error::{Collector, JobFileErrors, Place, Problem};
use super::excerpt::Spot;

/// Verifies that files exist, are regular files or directories, and can be
/// read. Each comes with what tells its place; each distinct path is looked at
/// once, and not below a directory.
///
/// # Errors
/// All that can't be sent, each with the place that names it first.
pub fn check_files<'a, P: FnOnce() -> Place>(
    files: impl IntoIterator<Item = (&'a str, P)>,
) -> Result<(), JobFileErrors> {
    check_spotted(files)
}

/// The same for places that may have something to show.
pub(super) fn check_spotted<'a, S: Into<Spot>, P: FnOnce() -> S>(
    files: impl IntoIterator<Item = (&'a str, P)>,
) -> Result<(), JobFileErrors> {
    let mut errors = Collector::default();
    let mut seen = HashSet::new();
    for (path, place) in files {
        if !seen.insert(path) {
            continue;
        }
        if let Err(problem) = check_file(path) {
            errors.push(place(), problem);
        }
    }
    errors.finish()
}

fn check_file(path: &str) -> Result<(), Problem> {
    let unreadable = |source| Problem::UnreadableFile { path: path.to_owned(), source };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Problem::MissingFile(path.to_owned()));
        }
        Err(error) => return Err(unreadable(error)),
    };
    if metadata.is_dir() {
        return std::fs::read_dir(path).map(drop).map_err(unreadable);
    }
    // Opening a FIFO would wait for its writer.
    if !metadata.is_file() {
        return Err(Problem::NotAFile { path: path.to_owned(), kind: kind(metadata.file_type()) });
    }
    File::open(path).map(drop).map_err(unreadable)
}

fn kind(file_type: FileType) -> &'static str {
    if file_type.is_fifo() {
        "FIFO"
    } else if file_type.is_socket() {
        "socket"
    } else {
        "device"
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, parse};
    use super::*;

    #[test]
    fn files_that_cannot_be_sent_are_told_at_once_with_the_first_job_that_names_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("good"), "x").unwrap();
        std::fs::create_dir(path("dir")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path("fifo")).status();
        assert!(made.unwrap().success());
        let line =
            |file: &str| format!("{{\"cmds\":\"a\",\"files\":[{:?},{file:?}]}}\n", path("good"));
        let socket = std::os::unix::net::UnixListener::bind(path("socket"));
        socket.unwrap();
        let text = [
            path("no"),
            path("no"),
            path("fifo"),
            path("dir"),
            path("good/x"),
            path("socket"),
            "/dev/null".to_owned(),
        ]
        .map(|file| line(&file))
        .concat();
        let jobs = parse("jobs", text.as_bytes(), Format::JsonLines);
        let text = match jobs {
            Ok(jobs) => jobs.check_files().unwrap_err().to_string(),
            Err(error) => panic!("{error}"),
        };
        let expected = format!(
            "jobs:1: file {:?} does not exist: a file or a directory is expected\n\
             jobs:3: file {:?} is a FIFO: a regular file or a directory is expected\n\
             jobs:5: file {:?} cannot be read: Not a directory (os error 20)\n\
             jobs:6: file {:?} is a socket: a regular file or a directory is expected\n\
             jobs:7: file \"/dev/null\" is a device: a regular file or a directory is expected",
            path("no"),
            path("fifo"),
            path("good/x"),
            path("socket")
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn each_path_is_looked_at_once() {
        let files = [("no/such", 1), ("no/such", 2)];
        let files = files.map(|(path, number)| (path, move || Place::Job(number)));
        assert_eq!(
            check_files(files).unwrap_err().to_string(),
            "job 1: file \"no/such\" does not exist: a file or a directory is expected"
        );
    }
}
