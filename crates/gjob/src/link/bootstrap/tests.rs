//! The script in this machine's real shells, with a program that only looks
//! like one.

use std::cell::Cell;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

use super::*;
use crate::link::tests::write_program;
use gjob_core::wire::MAGIC;

/// Takes its last line for its hash, and says as an agent how it was started.
const AGENT: &str = r##"#!/bin/sh
case "$*" in
"agent --verify "*) [ "$(tail -n 1 "$0")" = "# whole" ] ;;
"agent --protocol") echo 1 ;;
"agent") printf 'gjob-agent protocol 1\n%s umask %s\n' "$0" "$(umask)" ;;
esac
exit
# whole
"##;

/// What the script may use, and gzip apart.
const TOOLS: [&str; 15] = [
    "sh", "uname", "mkdir", "find", "head", "rm", "chmod", "ln", "mv", "tr", "tail", "cat", "bash",
    "ls", "id",
];

/// A home directory, a PATH and a program to send.
struct Site {
    dir: TempDir,
    programs: Arc<Programs>,
}

/// How a bootstrap ended.
#[derive(Debug)]
struct Run {
    result: Result<Option<()>, ConnectError>,
    uploaded: bool,
    /// What the program said behind its magic line.
    said: String,
}

impl Site {
    fn new(agent: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        std::fs::write(dir.path().join("agent"), agent).unwrap();
        let programs =
            Arc::new(Programs::new().with_agent(Platform::own(), dir.path().join("agent")));
        let site = Site { dir, programs };
        TOOLS.iter().for_each(|tool| site.provide(tool));
        site
    }

    fn bin(&self) -> PathBuf {
        self.dir.path().join("bin")
    }

    /// Puts one of this machine's tools on the site's PATH.
    fn provide(&self, tool: &str) {
        let found = ["/usr/bin", "/bin", "/usr/sbin"]
            .map(|dir| Path::new(dir).join(tool))
            .into_iter()
            .find(|path| path.exists());
        symlink(found.unwrap(), self.bin().join(tool)).unwrap();
    }

    /// Puts a script of ours on the site's PATH.
    fn provide_script(&self, name: &str, text: &str) {
        write_program(&self.bin().join(name), text);
    }

    fn program_dir(&self, results_dir: &str) -> PathBuf {
        self.dir.path().join("home").join(results_dir).join(".gjob/bin")
    }

    fn files(&self, results_dir: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.program_dir(results_dir)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    async fn run(&self, shell: &str, results_dir: &str, trust: bool) -> Run {
        let mut shell = Command::new("/bin/bash")
            .args(["-c", &format!("umask 027; {shell}")])
            .env_clear()
            .env("HOME", self.dir.path().join("home"))
            .env("PATH", self.bin())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (mut stdin, mut stdout) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
        let uploaded = Cell::new(false);
        let wanted = BootstrapOptions { results_dir, programs: &self.programs, trust };
        send_script(&mut stdin).await;
        let mut lines = Lines::new(&mut stdout);
        let uploading = async |_| uploaded.set(true);
        let result = match ready(&mut lines, ANSWER).await {
            Ok(Some(ready)) => converse(&mut lines, &mut stdin, &ready, &wanted, uploading).await,
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        let mut said = String::new();
        if let Ok(Some(())) = result
            && lines.line_behind(MAGIC).await.is_ok()
        {
            said = lines.line_behind("").await.unwrap();
        }
        shell.wait().await.unwrap();
        Run { result, uploaded: uploaded.get(), said }
    }
}

/// The shells of this machine, as a login might leave us in one.
fn shells() -> Vec<&'static str> {
    let all = [
        ("/bin/sh", "exec /bin/sh"),
        ("/bin/dash", "exec /bin/dash"),
        ("/bin/bash", "exec /bin/bash --posix"),
        ("/bin/busybox", "exec /bin/busybox sh"),
    ];
    let here = all.into_iter().filter(|(path, _)| Path::new(path).exists());
    here.map(|(_, command)| command).collect()
}

#[tokio::test]
async fn the_program_is_sent_once_and_started_from_then_on() {
    for shell in shells() {
        for gzip in [true, false] {
            let site = Site::new(AGENT.as_bytes());
            if gzip {
                site.provide("gzip");
            }
            for results_dir in [
                "results",
                "a b/c",
                "it's \"x\" ",
                "$(touch evil)`touch evil`",
                "-n",
                "größe *?[a]\\",
                " ~",
            ] {
                let first = site.run(shell, results_dir, true).await;
                assert!(first.uploaded, "{shell} {results_dir}: {first:?}");
                let second = site.run(shell, results_dir, true).await;
                assert!(!second.uploaded, "{shell} {results_dir}: {second:?}");
                let [file] = &site.files(results_dir)[..] else {
                    panic!("{:?}", site.files(results_dir));
                };
                let expected = format!("{} umask 0027", file.display());
                assert_eq!((&first.said, &second.said), (&expected, &expected), "{shell}");
                assert_eq!(std::fs::read(file).unwrap(), AGENT.as_bytes());
                for private in [file.as_path(), &site.program_dir(results_dir)] {
                    let mode = private.metadata().unwrap().permissions().mode();
                    assert_eq!(mode & 0o777, 0o700, "{}", private.display());
                }
            }
            assert!(!site.dir.path().join("home/evil").exists());
        }
    }
}

#[tokio::test]
async fn a_list_that_grants_others_what_is_made_does_not_count_for_gjobs_directories() {
    for shell in shells() {
        let site = Site::new(AGENT.as_bytes());
        if !gjob_testbed::grant_by_default(&site.dir.path().join("home")) {
            return;
        }
        for results_dir in ["results", "a/b"] {
            for uploaded in [true, false] {
                let run = site.run(shell, results_dir, true).await;
                assert!(run.result.is_ok(), "{shell}: {run:?}");
                assert_eq!(run.uploaded, uploaded, "{shell}: {run:?}");
            }
            let dirs = site.program_dir(results_dir);
            for dir in dirs.ancestors().take_while(|dir| !dir.ends_with("home")) {
                let mode = dir.metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o700, "{shell}: {}", dir.display());
            }
        }
    }
}

#[tokio::test]
async fn a_program_on_the_path_serves_where_none_can_be_sent_if_it_speaks_the_same_protocol() {
    for (protocol, serves) in [(PROTOCOL, true), (PROTOCOL + 1, false)] {
        let site = Site::new(b"\x7fELF of another world");
        let text = AGENT.replace("echo 1", &format!("echo {protocol}"));
        site.provide_script("gjob", &text);
        // One that is sent cannot run there.
        let run = site.run("exec /bin/sh", "r", true).await;
        assert_eq!(run.said.contains("bin/gjob"), serves, "{run:?}");
        assert!(run.uploaded && site.files("r").is_empty(), "{run:?}");
        // There is none for that platform.
        std::fs::remove_file(site.bin().join("uname")).unwrap();
        site.provide_script("uname", "#!/bin/sh\necho Plan9 mips\n");
        let run = site.run("exec /bin/sh", "r", true).await;
        assert_eq!(run.said.contains("bin/gjob"), serves, "{run:?}");
        assert!(!run.uploaded, "{run:?}");
    }
    let site = Site::new(AGENT.as_bytes());
    site.provide_script("gjob", &AGENT.replace("echo 1", &format!("echo {PROTOCOL}")));
    let run = site.run("exec /bin/sh", "r", true).await;
    assert!(run.uploaded && !run.said.contains("bin/gjob"), "{run:?}");
}

/// A user who runs nothing here.
const SOMEBODY: u32 = 61001;

/// A site that others can reach; none without root, who alone can give files away.
fn open_site() -> Option<Site> {
    if !rustix::process::geteuid().is_root() {
        gjob_testbed::skip("only root can make files of another user");
        return None;
    }
    let site = Site::new(AGENT.as_bytes());
    for dir in ["", "home"] {
        set_mode(&site.dir.path().join(dir), 0o755);
    }
    Some(site)
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn give(path: &Path, owner: u32, mode: u32) {
    std::os::unix::fs::chown(path, Some(owner), Some(owner)).unwrap();
    set_mode(path, mode);
}

#[tokio::test]
async fn what_another_user_could_have_put_there_is_not_started() {
    for shell in shells() {
        for (below, owner, mode, why) in [
            ("home/r/.gjob/bin/HASH", SOMEBODY, 0o755, "it belongs to user 61001"),
            ("home/r/.gjob/bin/HASH", 0, 0o777, "other users can write to it"),
            ("home/r/.gjob/bin", SOMEBODY, 0o755, "it belongs to user 61001"),
            ("home/r/.gjob/bin", 0, 0o1777, "other users can write to it"),
            ("home/r/.gjob", SOMEBODY, 0o1777, "it belongs to user 61001"),
            ("home/r", SOMEBODY, 0o755, "it belongs to user 61001"),
            ("home/r", SOMEBODY, 0o2775, "it belongs to user 61001"),
            ("home/r", 0, 0o777, "other users can write to it"),
            ("home", 0, 0o777, "other users can write to it"),
            ("home", SOMEBODY, 0o755, "it belongs to user 61001"),
        ] {
            let Some(site) = open_site() else { return };
            let programs = site.program_dir("r");
            std::fs::create_dir_all(&programs).unwrap();
            for dir in ["home/r", "home/r/.gjob", "home/r/.gjob/bin"] {
                set_mode(&site.dir.path().join(dir), 0o755);
            }
            let hash = site.programs.find(&Platform::own()).unwrap().hash().to_string();
            let ran = site.dir.path().join("ran");
            let planted = format!("#!/bin/sh\n: > {}\n", ran.display());
            write_program(&programs.join(&hash), &planted);
            let path = site.dir.path().join(below.replace("HASH", &hash)).canonicalize().unwrap();
            give(&path, owner, mode);
            let run = site.run(shell, "r", true).await;
            let error = run.result.unwrap_err();
            let expected = format!("unsafe results directory: {}: {why}", path.display());
            assert_eq!(error.to_string(), expected, "{shell} {below}");
            assert!(error.is_permanent(false) && !ran.exists(), "{shell} {below}");
        }
    }
}

#[tokio::test]
async fn a_directory_in_which_others_can_only_add_files_is_used() {
    for shell in shells() {
        for (home, results) in [(0o755, 0o1777), (0o1777, 0o755), (0o700, 0o777)] {
            let Some(site) = open_site() else { return };
            std::fs::create_dir(site.dir.path().join("home/r")).unwrap();
            give(&site.dir.path().join("home/r"), 0, results);
            give(&site.dir.path().join("home"), 0, home);
            for _ in 0..2 {
                let run = site.run(shell, "r", true).await;
                assert!(run.said.contains("umask"), "{shell} {home:o} {results:o}: {run:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_group_may_write_if_it_is_the_users_own() {
    for shell in shells() {
        for (group, serves) in [(0, true), (SOMEBODY, false)] {
            let Some(site) = open_site() else { return };
            let results = site.dir.path().join("home/r");
            std::fs::create_dir(&results).unwrap();
            std::os::unix::fs::chown(&results, None, Some(group)).unwrap();
            set_mode(&results, 0o2775);
            let run = site.run(shell, "r", true).await;
            assert_eq!(run.said.contains("umask"), serves, "{shell} {group}: {run:?}");
        }
    }
}

/// A site to which nothing can be sent, and that has a gjob of its own on its PATH.
fn site_with_installed() -> Option<Site> {
    let site = open_site()?;
    std::fs::remove_file(site.bin().join("uname")).unwrap();
    site.provide_script("uname", "#!/bin/sh\necho Plan9 mips\n");
    site.provide_script("gjob", &AGENT.replace("echo 1", &format!("echo {PROTOCOL}")));
    Some(site)
}

#[tokio::test]
async fn another_users_program_on_the_path_is_not_started() {
    let spoils: [fn(&Path); 4] = [
        |gjob| give(gjob, SOMEBODY, 0o755),
        |gjob| {
            std::os::unix::fs::chown(gjob, None, Some(SOMEBODY)).unwrap();
            set_mode(gjob, 0o775);
        },
        |gjob| set_mode(gjob.parent().unwrap(), 0o1777),
        |gjob| {
            // A link of somebody's to a program that is root's.
            let target = gjob.with_file_name("env");
            std::fs::rename(gjob, &target).unwrap();
            std::os::unix::fs::symlink(&target, gjob).unwrap();
            set_mode(gjob.parent().unwrap(), 0o1777);
        },
    ];
    for (nth, spoil) in spoils.into_iter().enumerate() {
        let Some(site) = site_with_installed() else { return };
        spoil(&site.bin().join("gjob"));
        let message = failure_of(&site, "r").await.to_string();
        assert!(message.contains("--agent plan9-mips=PATH"), "{nth}: {message}");
    }
}

#[tokio::test]
async fn program_on_the_path_may_be_a_link_in_a_directory_of_roots() {
    let Some(site) = site_with_installed() else { return };
    site.provide("readlink");
    let target = site.dir.path().join("home/gjob-1.0");
    std::fs::rename(site.bin().join("gjob"), &target).unwrap();
    std::os::unix::fs::symlink(&target, site.bin().join("gjob")).unwrap();
    let run = site.run("exec /bin/sh", "r", true).await;
    assert!(run.said.contains("umask"), "{run:?}");
}

#[tokio::test]
async fn the_noise_of_start_up_files_is_skipped() {
    let site = Site::new(AGENT.as_bytes());
    let noisy = "echo Welcome; echo 'gjob-bootstrapped?'; printf 'no newline'; exec /bin/sh";
    assert!(site.run(noisy, "r", true).await.said.contains("umask"));
}

#[tokio::test]
async fn bootstraps_that_share_a_directory_do_not_hurt_each_other() {
    let site = Site::new(AGENT.as_bytes());
    site.provide("gzip");
    let run = || site.run("exec /bin/sh", "r", true);
    let runs = tokio::join!(run(), run(), run(), run(), run(), run());
    for run in [runs.0, runs.1, runs.2, runs.3, runs.4, runs.5] {
        assert!(run.said.contains("umask"), "{run:?}");
    }
    assert_eq!(site.files("r").len(), 1);
}

#[tokio::test]
async fn a_program_found_damaged_is_replaced() {
    let site = Site::new(AGENT.as_bytes());
    site.run("exec /bin/sh", "r", true).await;
    let file = site.files("r").remove(0);
    for (content, trust) in [("", true), ("#!/bin/sh\nexit 1\n", false)] {
        write_program(&file, content);
        let run = site.run("exec /bin/sh", "r", trust).await;
        assert!(run.uploaded && run.said.contains("umask"), "{run:?}");
        assert_eq!(std::fs::read(&file).unwrap(), AGENT.as_bytes());
    }
    let intact = site.run("exec /bin/sh", "r", false).await;
    assert!(!intact.uploaded && intact.said.contains("umask"), "{intact:?}");
}

#[tokio::test]
async fn whatever_has_the_place_of_the_program_does_not_keep_it_from_its_host() {
    let odd: [fn(&Path); 5] = [
        |path| write_program(path, "#!/bin/sh\nexit 0\n"),
        |path| std::fs::create_dir(path).unwrap(),
        |path| {
            std::fs::create_dir(path).unwrap();
            std::fs::write(path.join("x"), "kept").unwrap();
        },
        |path| symlink("/", path).unwrap(),
        |path| symlink("nowhere", path).unwrap(),
    ];
    for shell in shells() {
        for (nth, put) in odd.into_iter().enumerate() {
            for trust in [true, false] {
                let site = Site::new(AGENT.as_bytes());
                site.run(shell, "r", true).await;
                let file = site.files("r").remove(0);
                std::fs::remove_file(&file).unwrap();
                put(&file);
                let run = site.run(shell, "r", trust).await;
                let said = run.said.contains("umask");
                assert!(run.uploaded && said, "{shell} {nth} {trust}: {run:?}");
                assert_eq!(std::fs::read(&file).unwrap(), AGENT.as_bytes(), "{shell} {nth}");
                // What is no file is kept.
                let files = site.files("r").len();
                assert_eq!(files, if nth == 0 { 1 } else { 2 }, "{shell} {nth} {trust}");
            }
        }
    }
}

async fn failure_of(site: &Site, results_dir: &str) -> ConnectError {
    let run = site.run("exec /bin/sh", results_dir, true).await;
    run.result.unwrap_err()
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_said() {
    let site = Site::new(AGENT.as_bytes());
    std::fs::write(site.dir.path().join("home/file"), "").unwrap();
    let error = failure_of(&site, "file/r").await;
    assert!(error.is_permanent(false));
    let message = error.to_string();
    assert!(message.starts_with("cannot create "), "{message}");
    assert!(message.contains("Not a directory"), "{message}");
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_nothing_behind() {
    let site = Site::new(AGENT.as_bytes());
    let full = "#!/bin/sh\necho 'gzip: stdout: No space left on device' >&2\nexit 1\n";
    site.provide_script("gzip", full);
    let error = failure_of(&site, "r").await;
    assert!(!error.is_permanent(false));
    assert!(error.to_string().starts_with("no room there: "), "{error}");
    assert!(site.files("r").is_empty());
}

#[tokio::test]
async fn a_program_that_cannot_run_there_is_said_and_not_installed() {
    let site = Site::new(b"\x7fELF of another world");
    let error = failure_of(&site, "r").await;
    assert!(error.is_permanent(false));
    assert!(error.to_string().contains("cannot run there"), "{error}");
    assert!(site.files("r").is_empty());
}

#[tokio::test]
async fn a_host_for_which_there_is_no_program_is_told_what_to_do() {
    let site = Site::new(AGENT.as_bytes());
    std::fs::remove_file(site.bin().join("uname")).unwrap();
    site.provide_script("uname", "#!/bin/sh\necho Plan9 mips\n");
    let message = failure_of(&site, "r").await.to_string();
    assert!(message.contains("--agent plan9-mips=PATH"), "{message}");
}

#[tokio::test]
async fn a_script_cut_anywhere_runs_nothing() {
    for end in (0..SCRIPT.len() - 20).step_by(97) {
        let mut shell = Command::new("/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = shell.stdin.take().unwrap();
        stdin.write_all(&SCRIPT.as_bytes()[..end]).await.unwrap();
        drop(stdin);
        let output = shell.wait_with_output().await.unwrap();
        assert_eq!(output.stdout, b"", "cut at {end}");
    }
}

#[tokio::test]
async fn hosts_that_talk_nonsense_are_refused() {
    let site = Site::new(AGENT.as_bytes());
    for (said, expected) in [
        ("gjob-bootstrap ready 2 gzip Linux x86_64\n", "malformed answer"),
        ("gjob-bootstrap ready 1 zip Linux x86_64\n", "malformed answer"),
        ("gjob-bootstrap ready 1 gzip \x1b[2J;\n", "malformed answer"),
        ("gjob-bootstrap ready 1 gzip Linux x86_64\ngjob-bootstrap what\n", "malformed answer"),
        (&"noise\n".repeat(20_000), "not an agent: more than 65536 bytes"),
    ] {
        let mut from = said.as_bytes();
        let wanted = BootstrapOptions { results_dir: "r", programs: &site.programs, trust: true };
        let mut lines = Lines::new(&mut from);
        let error = match ready(&mut lines, ANSWER).await {
            Ok(ready) => {
                let (ready, mut to) = (ready.unwrap(), tokio::io::sink());
                let result = converse(&mut lines, &mut to, &ready, &wanted, async |_| {}).await;
                result.unwrap_err()
            }
            Err(error) => error,
        };
        let message = error.to_string();
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains('\x1b'), "{message:?}");
    }
}
