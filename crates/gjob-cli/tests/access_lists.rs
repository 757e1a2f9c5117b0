//! Access control lists that grant other users what is made in a directory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gjob_testbed::{Bed, grant_by_default};
use support::Place;

/// The directories below this one that others can get to, or write to.
fn open_dirs(dir: &Path) -> Vec<String> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        if meta.is_dir() {
            if meta.permissions().mode() & 0o077 != 0 {
                open.push(path.display().to_string());
            }
            open.extend(open_dirs(&path));
        }
    }
    open
}

#[test]
fn results_directory_with_a_default_list_serves_runs_here_and_over_ssh() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let results = place.path("results");
    std::fs::create_dir(&results).unwrap();
    std::fs::set_permissions(&results, std::fs::Permissions::from_mode(0o700)).unwrap();
    if !grant_by_default(&results) {
        return;
    }
    place.file("data", "content\n");
    place.file("jobs.txt", "cat data > out\n");
    let config = bed.ssh_config().to_str().unwrap();
    let reached: [&[&str]; 3] = [&[], &["-F", config, "-H", "h1,h2"], &["-F", config, "-H", "h1"]];
    for hosts in reached {
        let args = [&["run", "-f", "data", "-o", "out"], hosts, &["jobs.txt"]].concat();
        let answer = place.gjob(&args).output();
        assert_eq!(answer.code, 0, "{hosts:?}: {answer:?}");
    }
    assert_eq!(place.gjob(&["clean", "latest"]).output().code, 0);
    let made = place.gjob(&["local", "mkdir"]).output();
    assert_eq!(made.code, 0, "{made:?}");
    let open = open_dirs(&results);
    assert_eq!(open, [""; 0]);
}
