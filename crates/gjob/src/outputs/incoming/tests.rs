//! What an honest agent sends, and what a hostile one might.

use std::path::Path;

use gjob_core::Key;
use tempfile::TempDir;

use super::super::OutputsConfig;
use super::super::dir::Destination;
use super::*;

struct Scene {
    dir: TempDir,
    incoming: IncomingOutputs,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = OutputsConfig::new(dir.path().join("out"), None);
        let place = Destination::new(Some(config), "r".to_owned());
        let (part, below) = place.open().unwrap().begin(Key::new(0, 1)).unwrap();
        Scene { dir, incoming: IncomingOutputs::new(part, below, 1 << 20) }
    }

    fn take(&mut self, parts: impl IntoIterator<Item = OutputPart>) -> Result<(), String> {
        self.incoming.take(parts.into_iter().collect()).map_err(|refusal| refusal.to_string())
    }

    fn part(&self) -> std::path::PathBuf {
        self.dir.path().join("out/.gjob-part.r.0.1.0")
    }

    /// Everything below the test's directory.
    fn everything(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(self.dir.path(), &mut found);
        found
    }
}

fn walk(dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.display().to_string());
        if path.symlink_metadata().unwrap().is_dir() {
            walk(&path, found);
        }
    }
}

fn dir(path: &str) -> OutputPart {
    OutputPart::Dir { path: path.to_owned(), mode: 0o750 }
}

fn head(path: &str, size: u64, offset: u64) -> OutputPart {
    let path = path.to_owned();
    OutputPart::File { path, mode: 0o4755, mtime_ns: 1_500_000_000, size, offset }
}

fn bytes(bytes: &[u8]) -> OutputPart {
    OutputPart::Bytes(bytes.to_vec())
}

fn end(content: &[u8]) -> OutputPart {
    OutputPart::End { hash: BlobHash(*blake3::hash(content).as_bytes()) }
}

fn file(path: &str, content: &[u8]) -> [OutputPart; 3] {
    [head(path, content.len() as u64, 0), bytes(content), end(content)]
}

#[test]
fn outputs_come_as_they_were() {
    use std::os::unix::fs::MetadataExt;
    let mut scene = Scene::new();
    scene.take(file("a/b/c.csv", b"1,2")).unwrap();
    scene.take([dir("d"), head("d/big", 6, 0), bytes(b"abc")]).unwrap();
    scene.take([bytes(b"def"), end(b"abcdef"), dir("d-e"), head("x", 0, 0), end(b"")]).unwrap();
    let at = scene.part();
    assert_eq!(std::fs::read(at.join("a/b/c.csv")).unwrap(), b"1,2");
    assert_eq!(std::fs::read(at.join("d/big")).unwrap(), b"abcdef");
    let meta = at.join("d/big").metadata().unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.mtime(), meta.mtime_nsec()), (0o755, 1, 500_000_000));
    assert_eq!(at.join("d").metadata().unwrap().mode() & 0o7777, 0o750);
    let complete = scene.incoming.finish(3).unwrap();
    assert_eq!(complete.bytes, 9);
    let paths: Vec<_> = complete.listing.read().unwrap().into_iter().map(|f| f.path).collect();
    assert_eq!(paths, ["a/b/c.csv", "d/big", "x"]);
}

#[test]
fn what_was_cut_off_goes_on_where_it_was() {
    let mut scene = Scene::new();
    scene.take(file("a", b"1")).unwrap();
    scene.take([head("b", 6, 0), bytes(b"abc")]).unwrap();
    let resume = scene.incoming.interrupt();
    assert_eq!(resume, Resume { after: Some("a".into()), partial: Some(("b".into(), 3)) });
    assert_eq!(scene.take([bytes(b"x")]).unwrap_err(), Violation::Stray.in_full());
    scene.take([head("b", 6, 3), bytes(b"def"), end(b"abcdef")]).unwrap();
    assert_eq!(std::fs::read(scene.part().join("b")).unwrap(), b"abcdef");

    // Or anew; or not at all.
    scene.take([head("c", 2, 0), bytes(b"x")]).unwrap();
    scene.incoming.interrupt();
    scene.take([head("c", 3, 0), bytes(b"new"), end(b"new"), head("d", 2, 0)]).unwrap();
    assert_eq!(scene.incoming.interrupt().partial, None);
    assert_eq!(std::fs::read(scene.part().join("c")).unwrap(), b"new");
    let at = scene.part();
    let complete = scene.incoming.finish(3).unwrap();
    assert!(!at.join("d").exists());
    assert_eq!(complete.bytes, 10);
}

#[test]
fn a_file_that_was_changed_between_two_sessions_is_asked_for_anew() {
    let mut scene = Scene::new();
    scene.take([head("b", 6, 0), bytes(b"abc")]).unwrap();
    scene.incoming.interrupt();
    let refused = scene.incoming.take(vec![head("b", 6, 3), bytes(b"def"), end(b"ABCdef")]);
    assert!(matches!(refused, Err(Refusal::Changed { .. })));
    assert_eq!(scene.incoming.interrupt(), Resume { after: None, partial: None });
    scene.take(file("b", b"ABCdef")).unwrap();
}

#[test]
fn a_file_that_has_grown_between_two_sessions_is_asked_for_anew() {
    let mut scene = Scene::new();
    scene.take(file("a", b"1")).unwrap();
    scene.take([head("b", 6, 0), bytes(b"abc")]).unwrap();
    scene.incoming.interrupt();
    let refused = scene.incoming.take(vec![head("b", 9, 3), bytes(b"defghi")]);
    assert!(matches!(refused, Err(Refusal::Changed { .. })));
    assert_eq!(scene.incoming.interrupt(), Resume { after: Some("a".into()), partial: None });
    scene.take(file("b", b"abcdefghi")).unwrap();
    assert_eq!(std::fs::read(scene.part().join("b")).unwrap(), b"abcdefghi");
    // From where nobody asked for, it is a violation still.
    scene.take([head("c", 6, 0), bytes(b"abc")]).unwrap();
    scene.incoming.interrupt();
    let offset = Violation::Offset { path: "c".to_owned(), offset: 2 };
    assert_eq!(scene.take([head("c", 9, 2)]).unwrap_err(), offset.in_full());
}

#[test]
fn a_file_that_has_appeared_behind_what_was_sent_has_all_asked_for_anew() {
    let mut scene = Scene::new();
    scene.take(file("b", b"1")).unwrap();
    scene.incoming.interrupt();
    scene.take(file("c", b"2")).unwrap();
    assert!(matches!(scene.incoming.finish(3), Err(Refusal::Altered)));
}

impl Violation {
    fn in_full(self) -> String {
        Refusal::from(self).to_string()
    }
}

#[test]
fn paths_that_lead_elsewhere_are_refused_and_nothing_is_made() {
    let long = "a".repeat(300);
    let deep = "a/".repeat(100);
    for path in
        ["../x", "/tmp/x", "a/../../x", "..", ".", "", "a//b", "a/", "\0\u{1b}[2J", &long, &deep]
    {
        for parts in [vec![dir(path)], vec![head(path, 1, 0)]] {
            let mut scene = Scene::new();
            let before = scene.everything();
            let said = scene.take(parts).unwrap_err();
            assert!(said.starts_with("the host's agent sent an output"), "{said}");
            assert!(!said.contains(char::is_control) && said.len() < 500, "{said}");
            assert_eq!(scene.everything(), before);
        }
    }
}

#[test]
fn what_comes_twice_or_out_of_order_is_refused() {
    for (first, second) in [("a", "a"), ("b", "a"), ("a/b", "a"), ("a-b", "a/b"), ("a/b/c", "a/b")]
    {
        let mut scene = Scene::new();
        scene.take(file(first, b"")).unwrap();
        let said = scene.take([head(second, 0, 0)]).unwrap_err();
        assert!(said.contains("out of order, behind"), "{said}");
    }
    let mut scene = Scene::new();
    scene.take(file("a", b"")).unwrap();
    let said = scene.take([head("a/b", 0, 0)]).unwrap_err();
    assert_eq!(said, "the host's agent sent the output \"a/b\" below a file");
}

#[test]
fn content_that_is_not_what_was_announced_is_refused() {
    let refused = |parts: Vec<OutputPart>| Scene::new().take(parts).unwrap_err();
    let full = |violation: Violation| violation.in_full();
    let path = || "a".to_owned();
    let too_long = Violation::TooLong { path: path(), size: 2 };
    assert_eq!(refused(vec![head("a", 2, 0), bytes(b"abc")]), full(too_long));
    let too_short = Violation::TooShort { path: path(), got: 1, size: 2 };
    assert_eq!(refused(vec![head("a", 2, 0), bytes(b"a"), end(b"a")]), full(too_short));
    let wrong = Violation::Hash { path: path() };
    assert_eq!(refused(vec![head("a", 1, 0), bytes(b"a"), end(b"b")]), full(wrong));
    let offset = Violation::Offset { path: path(), offset: 7 };
    assert_eq!(refused(vec![head("a", 9, 7)]), full(offset));
    assert_eq!(refused(vec![bytes(b"a")]), full(Violation::Stray));
    assert_eq!(refused(vec![end(b"")]), full(Violation::Stray));
    let unfinished = Violation::Unfinished { path: "b".to_owned() };
    assert_eq!(refused(vec![head("a", 1, 0), dir("b")]), full(unfinished));

    let mut scene = Scene::new();
    scene.take([head("a", 1, 0)]).unwrap();
    assert!(matches!(scene.incoming.finish(0), Err(Refusal::Violation(Violation::Cut))));
    let count = Violation::Count { said: 2, sent: 0 };
    assert_eq!(Scene::new().incoming.finish(2).unwrap_err().to_string(), full(count));
}

#[test]
fn what_is_more_than_is_accepted_is_refused_when_it_is_announced() {
    let mut scene = Scene::new();
    scene.take(file("a", &[0; 1000])).unwrap();
    for size in [1 << 63, u64::MAX, (1 << 20) - 999] {
        let said = scene.take([head("b", size, 0)]).unwrap_err();
        assert_eq!(said, "its outputs come to more than the 1048576 bytes that are accepted");
    }
    scene.take([head("b", (1 << 20) - 1000, 0)]).unwrap();
}

#[test]
fn there_is_an_end_to_entries() {
    let mut scene = Scene::new();
    scene.incoming.entries = MAX_ENTRIES - 1;
    scene.take([dir("a")]).unwrap();
    assert_eq!(scene.take([dir("b")]).unwrap_err(), Violation::TooMany.in_full());
    scene.incoming.entries = 0;
    scene.incoming.implied = MAX_ENTRIES - 1;
    assert_eq!(scene.take([dir("c/d/e")]).unwrap_err(), Violation::TooMany.in_full());
}
