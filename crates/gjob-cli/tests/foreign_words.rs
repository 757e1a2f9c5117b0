//! Words of other programs, and slips of the shell: each is answered with what to type.

mod support;

use snapbox::{IntoData, str};
use support::Place;

fn place() -> Place {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    place.file("train.sh", "#!/bin/sh\necho trained\n");
    place.file("fit.py", "import sys\nfor x in sys.argv[1:]: Job('echo ' + x)\n");
    place.file("data", "1\n");
    place
}

#[track_caller]
fn refused(args: &[&str], stderr: impl IntoData) {
    let place = place();
    place.gjob(args).code(2).stderr(stderr).run();
    assert!(!place.has_run(), "{args:?} left a run");
}

#[test]
fn foreign_option_is_answered_with_gjobs_own() {
    refused(
        &["run", "--halt-on-error", "1", "jobs.txt"],
        str![[r#"
gjob: unknown option --halt-on-error
help: --max-fails N starts no more jobs after N failures

"#]],
    );
    refused(
        &["run", "jobs.txt", "-N", "4"],
        str![[r#"
gjob: unknown option -N
help: -H HOSTS names the hosts: -H node[1-4]

"#]],
    );
    refused(
        &["run", "-N4", "jobs.txt"],
        str![[r#"
gjob: unknown option -N
help: -H HOSTS names the hosts: -H node[1-4]

"#]],
    );
    refused(
        &["run", "fit.py", "--array=1-10"],
        str![[r#"
gjob: unknown option --array
help: a job per number: gjob run -- CMD {} ::: $(seq 1 10)

"#]],
    );
}

#[test]
fn unknown_option_is_not_proposed_as_a_command() {
    refused(
        &["run", "--frobnicate", "jobs.txt"],
        str![[r#"
gjob: unexpected argument '--frobnicate' found
help: `gjob run --help` lists what it takes

"#]],
    );
    refused(
        &["run", "--jbolog", "x", "jobs.txt"],
        str![[r#"
gjob: unexpected argument '--jbolog' found
help: a similar argument exists: '--joblog'
help: `gjob run --help` lists what it takes

"#]],
    );
}

#[test]
fn options_with_the_same_meaning_simply_work() {
    let place = place();
    for args in [
        &["--jobs", "2"][..],
        &["-P", "2"],
        &["-S", ":"],
        &["--sshlogin", "2/:"],
        &["-w", ":"],
        &["--job-name", "n"],
        &["--basefile", "data"],
        &["--return", "*.csv"],
        &["--time-limit", "1h"],
    ] {
        let answer = place.gjob(&[&["run", "--dryrun", "jobs.txt"], args].concat()).output();
        assert_eq!(answer.code, 0, "{args:?}: {}", answer.stderr);
    }
}

#[test]
fn foreign_command_is_answered_with_gjobs_own() {
    refused(
        &["cancel", "3"],
        str![[r#"
gjob: unknown command "cancel"
help: gjob kill JOB…, or gjob kill --all

"#]],
    );
    refused(
        &["sbatch", "job.sh"],
        str![[r#"
gjob: unknown command "sbatch"
help: gjob run JOBS; a script is one job: gjob run -f job.sh -- ./job.sh

"#]],
    );
    refused(
        &["rm", "1"],
        str![[r#"
gjob: unknown command "rm"
help: gjob clean RUN removes a run's files from its hosts; gjob kill JOB… ends jobs

"#]],
    );
    refused(
        &["uptime", "-p"],
        str![[r#"
gjob: unknown command "uptime"
help: to run it as a job: gjob run -- uptime -p

"#]],
    );
    refused(
        &["jobs.txt"],
        str![[r#"
gjob: unknown command "jobs.txt"
help: for the jobs in a file: gjob run jobs.txt

"#]],
    );
    refused(
        &["rnu", "jobs.txt"],
        str![[r#"
gjob: unknown command "rnu"
help: did you mean "run"?

"#]],
    );
}

#[test]
fn commands_that_only_look_have_other_names() {
    let place = place();
    assert_eq!(place.gjob(&["run", "jobs.txt"]).output().code, 0);
    for command in ["ls", "list", "ps", "squeue", "log"] {
        assert_eq!(place.gjob(&[command]).output().code, 0, "{command}");
    }
}

#[test]
fn arguments_of_a_script_and_options_of_a_command_go_behind_dashes() {
    refused(
        &["run", "fit.py", "0.1", "it's"],
        str![[r#"
gjob: unexpected argument "0.1": arguments of fit.py go after --
help: gjob run fit.py -- 0.1 "it's"

"#]],
    );
    refused(
        &["run", "fit.py", "--rate", "3"],
        str![[r#"
gjob: unexpected argument "--rate": arguments of fit.py go after --
help: gjob run fit.py -- --rate 3

"#]],
    );
    refused(
        &["run", "./train.sh", "--epochs", "3"],
        str![[r#"
gjob: unexpected argument "--epochs": ./train.sh was taken for the job file
help: a command goes after --: gjob run -- ./train.sh --epochs 3

"#]],
    );
    refused(
        &["run", "jobs.txt", "train.sh"],
        str![[r#"
gjob: unexpected argument "train.sh": expected one job file
help: cat jobs.txt train.sh | gjob run -

"#]],
    );
}

#[test]
fn second_value_of_an_option_is_explained() {
    refused(
        &["run", "-f", "data", "fit.py", "train.sh", "--", "./fit.py"],
        str![[r#"
gjob: fit.py was taken for the job file: -f takes one value
help: one for each: -f data -f fit.py

"#]],
    );
    refused(
        &["run", "-f", "fit.py", "data", "--", "./fit.py", "{}", ":::", "1"],
        str![[r#"
gjob: data was taken for the job file: -f takes one value
help: one for each: -f fit.py -f data
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "--file=fit.py", "data", "--", "./fit.py"],
        str![[r#"
gjob: data was taken for the job file: --file takes one value
help: one for each: --file fit.py --file data
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "-o", "a.csv", "b.csv", "--", "true"],
        str![[r#"
gjob: b.csv was taken for the job file: -o takes one value
help: -o a.csv -o b.csv, or a pattern in quotes: -o '*.csv'
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "-H", "h1", "h2", "--", "true"],
        str![[r#"
gjob: h2 was taken for the job file: -H takes one value
help: hosts have commas between them: -H h1,h2
gjob: nothing was started

"#]],
    );
}

#[test]
fn slots_behind_the_host_are_explained() {
    refused(
        &["run", "-H", "h1/4", "jobs.txt"],
        str![[r#"
gjob: host list, item 1: invalid host h1/4: slots come first, expected 4/h1
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "-H", "n[1-3]/2", "jobs.txt"],
        str![[r#"
gjob: host list, item 1: invalid host n[1-3]/2: slots come first, expected 2/n[1-3]
gjob: nothing was started

"#]],
    );
}

#[test]
fn what_is_valid_and_hardly_meant_is_noted() {
    let place = place();
    place.file("nodes", "h1\n");
    std::fs::create_dir_all(place.path("here/sub")).unwrap_or_default();
    place.file("sub/x.csv", "1\n");
    let args = ["run", "--dry-run", "-H", "nodes,h1:4,h2:2222", "-f", "sub/x.csv"];
    let args = [&args[..], &["--", "cat sub/x.csv {}", ":::", "1"]].concat();
    let expected = str![[r#"
host nodes
host h1:4
host h2:2222
job 0
    commands: cat sub/x.csv 1
    files:    sub/x.csv

"#]];
    place
        .gjob(&args)
        .stdout(expected)
        .stderr(str![[r#"
help: h1:4 is port [PORT] of h1; 4 jobs at once are 4/h1
help: nodes is a file, too: --hosts-file nodes reads hosts from it
help: sub/x.csv is x.csv in the job's directory; -f sub sends all of that directory

"#]])
        .run();
    let quiet = [&args[..1], &["-q"], &args[1..]].concat();
    assert_eq!(place.gjob(&quiet).output().stderr, "");
}

#[test]
fn file_that_a_job_did_not_find_is_named_if_it_is_here() {
    let place = place();
    for (command, file) in
        [("./train.sh", "train.sh"), ("sh train.sh", "train.sh"), ("cat < data", "data")]
    {
        let answer = place.gjob(&["run", "--", command, ":::", "1"]).output();
        assert_eq!(answer.code, 1);
        let hint = format!("help: {file} is here but was not sent: -f {file} sends it\n");
        assert!(answer.stderr.contains(&hint), "{command}: {}", answer.stderr);
    }
    for args in [
        &["-f", "data", "--", "cat data >&2; exit 1", ":::", "1"][..],
        &["--", "echo data; exit 1", ":::", "1"],
        &["--", "nocommand", ":::", "1"],
    ] {
        let answer = place.gjob(&[&["run"], args].concat()).output();
        assert!(!answer.stderr.contains("was not sent"), "{args:?}: {}", answer.stderr);
    }
}

#[test]
fn relative_path_in_a_script_elsewhere_is_explained() {
    let place = place();
    place.file("missing.py", "Job('true', files='fit.csv')\n");
    let help =
        "help: paths in a Python job file start at the working directory, not beside the file";
    let answer = place.gjob(&["run", "../here/missing.py"]).output();
    assert!(answer.stderr.contains(help), "{}", answer.stderr);
    let answer = place.gjob(&["run", "missing.py"]).output();
    assert!(!answer.stderr.contains(help), "{}", answer.stderr);
}

#[test]
fn slip_among_gjobs_own_commands_is_answered_in_one_line() {
    let slips: [(&[&str], &str); 8] = [
        (&["run", "--retry", "3", "jobs.txt"], "unknown option --retry\nhelp: --retries N "),
        (&["run", "--dry", "jobs.txt"], "unknown option --dry\nhelp: --dry-run shows "),
        (&["logs", "-n", "5"], "unknown option -n\nhelp: --tail N shows the last N lines"),
        (&["kill"], "kill: nothing is named\nhelp: name jobs (3, 3-7, fit), or --all"),
        (&["explain"], "explain: nothing is named\nhelp: name jobs by number, range or name"),
        (&["clean"], "clean: nothing is named\nhelp: name a run, as `gjob runs` lists them"),
        (&["ls", "3"], "unexpected argument 3\nhelp: -n N lists the last N runs"),
        (&["runs", "--limit=3"], "unknown option --limit\nhelp: -n N lists the last N runs"),
    ];
    for (args, text) in slips {
        let answer = place().gjob(args).output();
        assert_eq!(answer.code, 2, "{args:?}");
        assert!(answer.stderr.starts_with(&format!("gjob: {text}")), "{}", answer.stderr);
        assert_eq!(answer.stderr.lines().count(), 2, "{}", answer.stderr);
    }
}

#[test]
fn command_in_the_place_of_a_job_file_goes_behind_dashes() {
    refused(
        &["run", "hostname"],
        str![[r#"
gjob: hostname: cannot be read: No such file or directory (os error 2)
help: hostname is a command, which goes behind dashes: gjob run … -- hostname
gjob: nothing was started

"#]],
    );
}

#[test]
fn words_in_braces_that_may_be_mistyped_names_are_named() {
    let place = place();
    let notes = |args: &[&str]| {
        let args = [&["run", "--dry-run"], args].concat();
        let answer = place.gjob(&args).output();
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        answer.stderr
    };
    let values = [":::", "lr", "0.1", "0.2", ":::", "seed", "1"];
    let command = |words: &'static str| [&["--", words][..], &values].concat();
    let header = ["--header", ":"];
    let named = [&header[..], &command("fit {lr} {sed} {a,b} ${x} {1..3} {seed}")].concat();
    assert_eq!(notes(&named), "gjob: {sed} is no parameter (lr, seed): it stays as it is\n");
    let option = [&["--name", "fit-{rate}"], &header[..], &command("fit {lr} {seed}")].concat();
    assert_eq!(notes(&option), "gjob: {rate} is no parameter (lr, seed): it stays as it is\n");
    let expected = "gjob: {lr} is no parameter: it stays as it is, and lr is a value\n\
                    help: did you mean --header :?\n";
    assert_eq!(notes(&command("fit {lr} {2}")), expected);
    assert_eq!(notes(&command("fit {1} {2} {print}")), "");
    assert_eq!(notes(&[&["-q"], &named[..]].concat()), "");
}

#[test]
fn joined_words_that_are_no_command_are_to_be_quoted() {
    let place = place();
    let run = |args: &[&str]| place.gjob(&[&["run"], args].concat()).output().stderr;
    let hint = "help: the words behind -- are joined and read by a shell again: quote";
    let said = run(&["--", "echo", "(a)"]);
    assert!(said.contains(hint), "{said}");
    let said = run(&["--", "echo a >&2; exit 2"]);
    assert!(!said.contains(hint), "{said}");
    place.file("jobs.txt", "echo (a)\n");
    let said = run(&["jobs.txt"]);
    assert!(!said.contains(hint), "{said}");
}
