//! What becomes of local files and directories.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use gjob_core::tree::{Tree, TreeEntry};

use super::*;

fn hash(paths: &[&Path]) -> Result<Inputs, Vec<String>> {
    let paths = paths.iter().map(|path| path.to_str().unwrap());
    let spec = JobSpec::new(["true"]).unwrap().files(paths);
    Inputs::hash([&spec]).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn directory(path: &Path) -> Arc<InputDirectory> {
    let inputs = hash(&[path]).unwrap();
    match inputs.roots().next() {
        Some((_, _, Root::Directory(directory))) => Arc::clone(directory),
        other => panic!("{other:?}"),
    }
}

/// A directory with a file, an empty directory and a directory with a link.
fn sample() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("b"), "content").unwrap();
    fs::set_permissions(dir.path().join("b"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::create_dir(dir.path().join("hollow")).unwrap();
    fs::create_dir(dir.path().join("a")).unwrap();
    symlink("../b", dir.path().join("a/link")).unwrap();
    dir
}

#[test]
fn directory_is_listed_with_modes_times_and_links() {
    let dir = sample();
    let found = directory(dir.path());
    let tree = Tree::parse(&found.list).unwrap();
    let paths: Vec<&str> = tree.entries.iter().map(TreeEntry::path).collect();
    assert_eq!(paths, ["a", "a/link", "b", "hollow"]);
    assert!(matches!(&tree.entries[1], TreeEntry::Link { target, .. } if target == "../b"));
    let TreeEntry::File { mode, mtime_ns, size, hash, .. } = tree.entries[2] else { panic!() };
    assert_eq!((mode, size), (0o750, 7));
    assert_eq!(mtime_ns, found.files[0].mtime_ns);
    assert_eq!(hash.0, *blake3::hash(b"content").as_bytes());
    assert_eq!(found.hash.0, *blake3::hash(&found.list).as_bytes());
    assert_eq!(directory(dir.path()), found, "the list is the same again");
}

#[test]
fn launch_needs_the_list_and_every_file() {
    let dir = sample();
    fs::write(dir.path().join("a/c"), "more").unwrap();
    let path = dir.path().to_str().unwrap();
    let spec = JobSpec::new(["true"]).unwrap().files([path]).link(true);
    let inputs = Inputs::hash([&spec]).unwrap();
    let [input] = inputs.of(&spec, 0).try_into().unwrap();
    assert!(input.hard_link && input.kind == InputKind::Tree);
    let blobs = inputs.blobs(input.hash, input.kind);
    assert_eq!(blobs.len(), 3);
    assert_eq!(blobs[0], input.hash);
    for blob in &blobs {
        assert_eq!(inputs.content(blob).unwrap().hash(), *blob);
    }
}

#[test]
fn symlink_to_a_directory_is_followed() {
    let (dir, other) = (sample(), tempfile::tempdir().unwrap());
    let link = other.path().join("link");
    symlink(dir.path(), &link).unwrap();
    assert_eq!(directory(&link).list, directory(dir.path()).list);
}

#[test]
fn all_entries_that_cannot_be_sent_are_found() {
    let dir = sample();
    let at = |name: &str| dir.path().join(name);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    symlink("/etc/passwd", at("absolute")).unwrap();
    symlink("link/../../..", at("a/out")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    let errors = hash(&[dir.path(), Path::new("/dev/null"), Path::new("/no/such")]).unwrap_err();
    let refused = |name: &str, words: &str| {
        let fits = |error: &&String| error.contains(name) && error.contains(words);
        assert_eq!(errors.iter().filter(fits).count(), 1, "{name}: {errors:#?}");
    };
    refused("/fifo", "is a FIFO");
    refused("/socket", "is a socket");
    refused("/absolute", "leads out of its directory, to \"/etc/passwd\": expected");
    refused("/a/out", "leads out of its directory");
    refused("/dev/null", "is a device");
    refused("/no/such", "does not exist");
    assert_eq!(errors.len(), 6, "{errors:#?}");
}

#[test]
fn depth_of_a_directory_is_limited() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join(vec!["d"; 65].join("/"))).unwrap();
    let errors = hash(&[dir.path()]).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("at most 64 names deep"), "{errors:?}");
}

#[test]
fn files_keep_their_hashes() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..200 {
        fs::write(dir.path().join(format!("{i:03}")), format!("content {i}")).unwrap();
    }
    for (i, file) in directory(dir.path()).files.iter().enumerate() {
        assert_eq!(file.hash.0, *blake3::hash(format!("content {i}").as_bytes()).as_bytes());
        assert!(file.path.ends_with(format!("{i:03}")));
    }
}
