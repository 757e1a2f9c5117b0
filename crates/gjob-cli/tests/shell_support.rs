//! Completion in a real bash, and the manual.

mod support;

use std::collections::BTreeSet;
use std::process::Command;

use gjob_testbed::is_installed;
use support::Place;

/// Calls the function that `gjob completions bash` defines as bash does when a user
/// presses tab behind the last word.
const SCRIPT: &str = r#"
gjob=$1
shift
source <("$gjob" completions bash)
COMP_WORDS=(gjob "$@") COMP_CWORD=$# COMP_TYPE=9
for word; do previous=$last last=$word; done
$(complete -p gjob | sed 's/.* -F \([^ ]*\) .*/\1/') gjob "$last" "$previous"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// What bash proposes for the last of these words.
fn completed(place: &Place, words: &[&str]) -> Vec<String> {
    let last = words.last().copied().unwrap_or_default();
    let mut bash = Command::new("bash");
    bash.args(["-c", SCRIPT, "bash", env!("CARGO_BIN_EXE_gjob")]).args(words);
    bash.current_dir(place.path("here"));
    let answer = place.invoke(bash).output();
    assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{words:?}");
    let proposed = answer.stdout.lines().map(|word| word.trim_end().to_owned());
    // Options are proposed for nothing, too.
    let is_option = |word: &String| word.starts_with('-') && last.is_empty();
    proposed.filter(|word| !word.is_empty() && !is_option(word)).collect()
}

#[test]
fn bash_completes_commands_options_and_their_values() {
    let place = Place::new();
    assert_eq!(completed(&place, &["stat"]), ["status"]);
    assert!(completed(&place, &["run", "--max-"]).contains(&"--max-fails".to_owned()));
    assert_eq!(completed(&place, &["run", "--on-lost", "w"]), ["wait"]);
    assert_eq!(completed(&place, &["completions", ""]), ["bash", "zsh", "fish"]);
}

#[test]
fn bash_completes_runs_jobs_and_hosts() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    for name in ["fit", "plot"] {
        assert_eq!(place.gjob(&["run", "-n", "2", "--name", name, "jobs.txt"]).output().code, 0);
    }
    let runs = completed(&place, &["status", "-R", ""]);
    assert_eq!((runs.len(), runs[0].as_str()), (3, "latest"));
    assert_eq!(completed(&place, &["clean", "lat"]), ["latest"]);
    assert_eq!(completed(&place, &["logs", ""]), ["plot", "0", "1"]);
    assert_eq!(completed(&place, &["kill", "-R", "1", "f"]), ["fit"]);

    place.file("gjob.toml", "[group.gpu]\nhosts = 'gpu[1-2]'\n[host.big]\nslots = 2\n");
    assert_eq!(completed(&place, &["run", "-H", "gp"]), ["gpu1", "gpu2"]);
    assert_eq!(completed(&place, &["run", "-H", "big,@"]), ["big,@gpu"]);
    assert_eq!(completed(&place, &["run", "-H", "2/b"]), ["2/big"]);
}

#[test]
fn other_shells_have_scripts_that_call_gjob() {
    let place = Place::new();
    for shell in ["zsh", "fish"] {
        let answer = place.gjob(&["completions", shell]).output();
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        assert!(answer.stdout.contains("GJOB_COMPLETE"), "{}", answer.stdout);
        if is_installed(shell) {
            let path = place.file("script", &answer.stdout);
            let mut check = Command::new(shell);
            check.arg("-n").arg(path);
            let checked = place.invoke(check).output();
            assert_eq!(checked.code, 0, "{shell}: {}", checked.stderr);
        }
    }
}

#[test]
fn manual_has_a_page_for_each_command() {
    let place = Place::new();
    place.gjob(&["man", "pages"]).run();
    let pages = std::fs::read_dir(place.path("here/pages")).unwrap().flatten();
    let pages: BTreeSet<String> =
        pages.map(|page| page.file_name().to_string_lossy().into_owned()).collect();
    let help = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/help")).unwrap();
    for page in help.flatten() {
        let page = page.file_name().to_string_lossy().into_owned();
        let name = match page.strip_suffix(".txt").unwrap() {
            "gjob" => "gjob.1".to_owned(),
            command => format!("gjob-{command}.1"),
        };
        assert!(pages.contains(&name), "{name}: {pages:?}");
    }
    let page = std::fs::read_to_string(place.path("here/pages/gjob-run.1")).unwrap();
    for word in ["WHEN THINGS FAIL", "EXIT STATUS: 0 ALL JOBS DONE"] {
        assert!(page.to_uppercase().contains(word), "{word}: {page}");
    }
    assert!(!page.contains(&place.path("").display().to_string()), "{page}");
    if is_installed("man") {
        let mut man = Command::new("man");
        man.args(["-l", "pages/gjob-run.1"]).current_dir(place.path("here"));
        let shown = place.invoke(man).env("MANPAGER", "cat").output();
        assert!(shown.code == 0 && shown.stdout.contains("--max-fails"), "{shown:?}");
    }
    let first = place.gjob(&["man"]).output();
    assert!(first.stdout.contains(".TH gjob 1"), "{}", first.stdout);
}
