//! What a user's ssh configuration says for people at a terminal, and an unattended
//! pipe must not do; and logins that need a person, over a connection that one has
//! opened.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use gjob_testbed::Bed;
use support::{Answer, Gjob, Place, eventually};

/// A host, and an `ssh_config` that begins with words of a user's for it.
struct Scene {
    place: Place,
    bed: Bed,
}

impl Scene {
    fn new(option: &str) -> Self {
        Scene { place: Place::new(), bed: Bed::builder().sshd_option(option).start() }
    }

    fn config(&self, words: &str) -> PathBuf {
        let beds = std::fs::read_to_string(self.bed.ssh_config()).unwrap();
        self.place.file("config", &format!("Host h1\n{words}\n{beds}"))
    }

    fn gjob(&self, words: &str, job: &str) -> Gjob {
        let config = self.config(words).display().to_string();
        self.place.file("jobs.txt", &format!("{job}\n"));
        let args = ["run", "-k", "--show", "all", "-H", "h1", "-F", &config, "-r", "results"];
        self.place.gjob(&[&args[..], &["jobs.txt"]].concat())
    }

    /// Runs a job with these words and gives back what it wrote.
    fn run(&self, words: &str, job: &str) -> String {
        let Answer { code, stdout, stderr } = self.gjob(words, job).output();
        assert_eq!(code, 0, "{words}:\n{stderr}");
        stdout
    }
}

#[test]
fn words_for_people_do_not_change_what_a_pipe_does() {
    let scene = Scene::new("PermitTunnel yes");
    let control = scene.place.path("control");
    let touched = scene.place.path("touched");
    let control =
        format!("ControlMaster auto\nControlPath {}\nControlPersist 9", control.display());
    let local = format!("PermitLocalCommand yes\nLocalCommand cat; touch {}", touched.display());
    let words = [
        "RemoteCommand tmux new -A",
        "SessionType none",
        "SessionType subsystem",
        "StdinNull yes",
        "ForkAfterAuthentication yes",
        "RequestTTY force",
        "EscapeChar a",
        "LogLevel QUIET",
        "LogLevel DEBUG3",
        "VisualHostKey yes",
        "AddKeysToAgent ask",
        "UpdateHostKeys ask",
        "ConnectionAttempts 100",
        "Tunnel yes",
        "LocalForward 1 127.0.0.1:1\nRemoteForward 2 127.0.0.1:1\nDynamicForward 3\n\
         ExitOnForwardFailure yes",
        &control,
        &local,
    ];
    for words in words {
        let job = "ps -o tty= -p $$ | tr -d ' '; echo a~.b";
        assert_eq!(scene.run(words, job), "?\na~.b\n", "{words}");
    }
    assert!(!touched.exists(), "the local command has run");
    assert!(!scene.place.path("control").exists(), "a connection is left open for others");
}

#[test]
fn neither_the_users_keys_nor_the_users_display_reach_a_job() {
    let scene = Scene::new("X11Forwarding yes");
    let agent = scene.place.path("agent");
    let mut keys = Command::new("ssh-agent");
    keys.arg("-D").arg("-a").arg(&agent).stdout(Stdio::null());
    let mut keys = keys.spawn().unwrap();
    eventually("the agent listens", || agent.exists());
    let words = format!(
        "ForwardAgent yes\nIdentityAgent {}\nForwardX11 yes\nForwardX11Trusted yes",
        agent.display()
    );
    let job = "echo \"${SSH_AUTH_SOCK-no agent} ${DISPLAY-no display}\"";
    let run = scene.gjob(&words, job).env("SSH_AUTH_SOCK", &agent).env("DISPLAY", ":7");
    let Answer { code, stdout, stderr } = run.output();
    keys.kill().unwrap();
    keys.wait().unwrap();
    assert_eq!((code, stdout.as_str()), (0, "no agent no display\n"), "{stderr}");
}

#[test]
fn quiet_ssh_still_says_why_a_login_is_refused() {
    let scene = Scene::new("X11Forwarding no");
    scene.bed.host(1).refuse_key();
    let answer = scene.gjob("LogLevel QUIET", "true").output();
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    let reason = "host h1 failed: login was not permitted: ";
    assert_eq!(answer.stderr.matches(reason).count(), 1, "{}", answer.stderr);
}

#[test]
fn ssh_that_is_older_than_a_word_is_used_without_it() {
    let scene = Scene::new("X11Forwarding no");
    let ssh = scene.place.file(
        "old-ssh",
        "#!/bin/sh\nfor word; do\n  case $word in\n  SessionType=* | StdinNull=* | RemoteCommand=*)\n    \
         name=$(echo \"${word%%=*}\" | tr A-Z a-z)\n    \
         printf 'command-line: line 0: Bad configuration option: %s\\r\\n' \"$name\" >&2\n    \
         exit 255 ;;\n  esac\ndone\nexec ssh \"$@\"\n",
    );
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    let Answer { code, stdout, stderr } = scene.gjob("", "echo ran").env("GJOB_SSH", &ssh).output();
    assert_eq!((code, stdout.as_str()), (0, "ran\n"), "{stderr}");
    assert!(!stderr.contains("Bad configuration option"), "{stderr}");
}

#[test]
fn login_that_needs_a_person_goes_over_the_connection_that_one_has_opened() {
    let scene = Scene::new("X11Forwarding no");
    let control = scene.place.path("control");
    let words = format!("ControlPath {}", control.display());
    let config = scene.config(&words);
    let ssh = |args: &[&str]| {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(&config).args(args).arg("h1");
        ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        ssh
    };
    let mut master = ssh(&["-M", "-N"]).spawn().unwrap();
    eventually("the connection is open", || control.exists());
    scene.bed.host(1).refuse_key();
    assert_eq!(scene.run(&words, "echo ran"), "ran\n");
    assert!(ssh(&["-O", "check"]).status().unwrap().success(), "it is still open");
    master.kill().unwrap();
    master.wait().unwrap();
}

#[test]
fn words_for_people_at_a_jump_host_do_not_change_what_a_pipe_does() {
    let scene = Scene { place: Place::new(), bed: Bed::start(2) };
    let touched = scene.place.path("touched");
    let beds = std::fs::read_to_string(scene.bed.ssh_config()).unwrap();
    let words = [
        "RemoteCommand tmux new -A".to_owned(),
        "RequestTTY force".to_owned(),
        "SessionType none".to_owned(),
        format!("PermitLocalCommand yes\nLocalCommand touch {}", touched.display()),
    ];
    scene.place.file("jobs.txt", "echo \"$TESTBED_HOST\"\n");
    for words in words {
        // What stands first counts: ssh to the jump host reads the file by itself.
        let config = format!("Host h2\n{words}\nHost h1\nProxyJump h2\n{beds}");
        let config = scene.place.file("config", &config).display().to_string();
        let before = scene.bed.host(2).logins();
        let args = ["run", "-k", "--show", "all", "-H", "h1", "-F", &config, "-r", "results"];
        let answer = scene.place.gjob(&[&args[..], &["jobs.txt"]].concat()).output();
        assert_eq!((answer.code, &*answer.stdout), (0, "h1\n"), "{words}: {answer:?}");
        assert!(scene.bed.host(2).logins() > before, "{words}: it went another way");
    }
}
