//! `gjob.toml`, of the user and of the project, and the environment.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use snapbox::str;
use support::{Gjob, Place};

/// A place with a project's file.
fn place(project: &str) -> Place {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    place.file("gjob.toml", project);
    place
}

/// Makes the user's file.
fn users_file(place: &Place, text: &str) {
    let dir = place.path("config/gjob");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("gjob.toml"), text).unwrap();
}

fn dry_run(place: &Place, args: &[&str]) -> Gjob {
    place.gjob(&[&["run", "--dry-run", "jobs.txt"], args].concat())
}

/// The hosts that a dry run shows.
fn hosts(place: &Place, args: &[&str]) -> Vec<String> {
    let answer = dry_run(place, args).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let lines = answer.stdout.lines().filter_map(|line| line.strip_prefix("host "));
    lines.map(str::to_owned).collect()
}

#[test]
fn example_is_read_and_its_defaults_are_used() {
    let place = Place::new();
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/config");
    let copy = place.path("here");
    fs::copy(dir.join("gjob.toml"), copy.join("gjob.toml")).unwrap();
    place.file("model.bin", "x");
    place.file("ssh_config", "");
    place.file("jobs.txt", "true\n");
    dry_run(&place, &[])
        .stdout(str![[r#"
host lab01, 2 slots
    env:      SCRATCH="/tmp/me"
host lab02, 2 slots
    env:      SCRATCH="/tmp/me"
host lab03, 2 slots
    env:      SCRATCH="/tmp/me"
host lab04, 2 slots
    env:      SCRATCH="/tmp/me"
host me@gpu1, cluster gpu
host me@bigbox, 2 slots, cluster gpu
host me@gpu2:2222, 1 slot, cluster gpu
    setup:    mount-data /scratch
job 0
    commands: true
    files:    [PLACE]/here/model.bin
    env:      OMP_NUM_THREADS="1"
    timeout:  2h
    retries:  1

"#]])
        .run();
    let pod = |number| format!("pod{number}, cluster pods, by kubectl exec -i {{host}} --");
    let expected = ["lab02, 2 slots".to_owned(), pod(1), pod(2), pod(3), pod(4)];
    assert_eq!(hosts(&place, &["-H", "@pods,lab02"]), expected);
    let lab = |number| format!("lab0{number}, 2 slots, cluster quiet");
    assert_eq!(hosts(&place, &["-H", "@quiet"]), [lab(1), lab(2), lab(3), lab(4)]);
}

#[test]
fn readme_has_a_part_of_the_example() {
    let example = include_str!("../../../examples/config/gjob.toml");
    let readme = include_str!("../../../README.md");
    let (_, block) = readme.split_once("```toml\n# gjob.toml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    for line in block.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        assert!(example.lines().any(|it| it == line), "{line}");
    }
}

#[test]
fn command_line_counts_more_than_environment_project_and_user() {
    let place = place("[defaults]\nhosts = 'project'\ntimeout = '1h'\n");
    users_file(&place, "[defaults]\nhosts = 'user'\ntimeout = '2h'\nretries = 3\n");
    assert_eq!(hosts(&place, &[]), ["project"]);
    assert_eq!(hosts(&place, &["-H", "line"]), ["line"]);
    assert_eq!(hosts(&place, &["--no-config"]), [":"]);
    let answer = dry_run(&place, &[]).env("GJOB_HOSTS", "2/env").output();
    assert!(answer.stdout.starts_with("host env, 2 slots\n"), "{answer:?}");
    let answer = dry_run(&place, &["-H", "line"]).env("GJOB_HOSTS", "env").output();
    assert!(answer.stdout.starts_with("host line\n"), "{answer:?}");
    dry_run(&place, &["--timeout", "5s"])
        .stdout(str![[r#"
host project
job 0
    commands: true
    timeout:  5s
    retries:  3

"#]])
        .run();
    fs::remove_file(place.path("here/gjob.toml")).unwrap();
    dry_run(&place, &[])
        .stdout(str![[r#"
host user
job 0
    commands: true
    timeout:  2h
    retries:  3

"#]])
        .run();
}

#[test]
fn nearest_file_upwards_is_the_projects_and_its_paths_are_relative_to_it() {
    let place = place("[defaults]\nfile = 'data'\ninto = 'out'\nhosts = ':'\n");
    place.file("data", "1\n");
    let below = place.path("here/a/b");
    fs::create_dir_all(&below).unwrap();
    fs::write(below.join("jobs.txt"), "cat data > copy\n").unwrap();
    place.gjob(&["run", "-q", "-o", "copy", "jobs.txt"]).current_dir(&below).output();
    assert_eq!(fs::read_to_string(place.path("here/out/0/copy")).unwrap(), "1\n");
    place
        .gjob(&["run", "-v", "jobs.txt", "--dry-run"])
        .current_dir(&below)
        .stdout(str![[r#"
host :
job 0
    commands: cat data > copy
    files:    [PLACE]/here/data

"#]])
        .stderr(str![[r#"
gjob: read [PLACE]/here/gjob.toml

"#]])
        .run();
}

#[test]
fn settings_of_a_host_count_more_than_its_groups_and_less_than_the_command_line() {
    let place = place(
        "[group.g]\nhosts = ['a', 'b', '7/c']\nslots = 2\nuser = 'me'\n\
         [host.b]\nslots = 3\n[host.c]\nslots = 4\nport = 99\n",
    );
    let expected = |a, b, c| {
        [
            format!("me@a, {a} slots, cluster g"),
            format!("me@b, {b} slots, cluster g"),
            format!("me@c:99, {c} slots, cluster g"),
        ]
    };
    assert_eq!(hosts(&place, &["-H", "@g"]), expected(2, 3, 7));
    assert_eq!(hosts(&place, &["-H", "@g", "-j", "5"]), expected(5, 5, 7));
    assert_eq!(hosts(&place, &["-H", "b,x@b:300"]), ["b, 3 slots", "x@b:300, 3 slots"]);
    // A host in two groups is one host.
    place.file("gjob.toml", "[group.g]\nhosts = 'a,b'\n[group.h]\nhosts = 'b,c'\n");
    assert_eq!(hosts(&place, &["-H", "@g,@h"]), ["a, cluster g", "b, cluster g", "c, cluster h"]);
}

#[test]
fn default_slots_are_for_hosts_that_set_none() {
    let place = place("[defaults]\nslots = 5\n[host.b]\nslots = 3\n");
    assert_eq!(hosts(&place, &["-H", "a,b"]), ["a, 5 slots", "b, 3 slots"]);
    assert_eq!(hosts(&place, &["-H", "a,b", "-j", "4"]), ["a, 4 slots", "b, 4 slots"]);
}

#[test]
fn everything_wrong_is_shown_at_its_place() {
    let place = place(
        "hosts = 'x'\n\
         [defaults]\n\
         timeot = '1h'\n\
         timeout = 'soon'\n\
         on-lost = 'never'\n\
         verbose = 3\n\
         slots = [1, 2]\n\
         hosts = ['@nobody', 'a/4']\n\
         [host.'a b']\n\
         [host.c]\n\
         slot = 2\n\
         port = 0\n\
         user = 'a,b'\n\
         [group.g]\n\
         hosts = 3.5\n\
         connect = '{hots}'\n\
         [group.h]\n\
         [cluster.g]\n\
         hosts = 'x'\n",
    );
    dry_run(&place, &[]).code(2).stderr(str![[r#"
gjob: [PLACE]/here/gjob.toml:1:1: unknown key "hosts": did you mean "host"?
gjob:   |
gjob: 1 | hosts = 'x'
gjob:   | ^^^^^
gjob: [PLACE]/here/gjob.toml:8:21: invalid host a/4: slots come first, expected 4/a
gjob:   |
gjob: 8 | hosts = ['@nobody', 'a/4']
gjob:   |                     ^^^^^
gjob: [PLACE]/here/gjob.toml:9:7: invalid host name "a b": expected up to 200 letters, digits and -._, not starting with a dash
gjob:   |
gjob: 9 | [host.'a b']
gjob:   |       ^^^^^
gjob: [PLACE]/here/gjob.toml:11:1: unknown key "slot": did you mean "slots"?
gjob:    |
gjob: 11 | slot = 2
gjob:    | ^^^^
gjob: [PLACE]/here/gjob.toml:12:8: invalid port "0": expected a number from 1 to 65535
gjob:    |
gjob: 12 | port = 0
gjob:    |        ^
gjob: [PLACE]/here/gjob.toml:13:8: invalid user "a,b": expected letters, digits and -._@, not starting with a dash
gjob:    |
gjob: 13 | user = 'a,b'
gjob:    |        ^^^^^
gjob: [PLACE]/here/gjob.toml:15:9: invalid hosts: expected a host list or an array of them, found a float
gjob:    |
gjob: 15 | hosts = 3.5
gjob:    |         ^^^
gjob: [PLACE]/here/gjob.toml:16:11: unknown placeholder {hots} in the connect command: expected {host}, {user} or {port}
gjob:    |
gjob: 16 | connect = '{hots}'
gjob:    |           ^^^^^^^^
gjob: [PLACE]/here/gjob.toml:17:8: cluster h has no hosts: expected hosts = "node[1-4]" or a list of such texts
gjob:    |
gjob: 17 | [group.h]
gjob:    |        ^
gjob: [PLACE]/here/gjob.toml:18:10: group g is defined twice
gjob:    |
gjob: 18 | [cluster.g]
gjob:    |          ^
gjob: [PLACE]/here/gjob.toml:8:9: no group @nobody: expected one of @g, @h
gjob:   |
gjob: 8 | hosts = ['@nobody', 'a/4']
gjob:   |         ^^^^^^^^^^^^^^^^^^
gjob: [PLACE]/here/gjob.toml:3:10: unknown option "timeot": expected the long name of an option of `gjob run`
gjob:   |
gjob: 3 | timeot = '1h'
gjob:   |          ^^^^
help: did you mean "timeout"?
gjob: [PLACE]/here/gjob.toml:4:11: timeout: invalid duration "soon": expected seconds (90) or units (500ms, 1h30m, 2d)
gjob:   |
gjob: 4 | timeout = 'soon'
gjob:   |           ^^^^^^
gjob: [PLACE]/here/gjob.toml:5:11: on-lost: expected one of rerun, wait, lease
gjob:   |
gjob: 5 | on-lost = 'never'
gjob:   |           ^^^^^^^
gjob: [PLACE]/here/gjob.toml:6:11: verbose: expected true or false
gjob:   |
gjob: 6 | verbose = 3
gjob:   |           ^
gjob: [PLACE]/here/gjob.toml:7:9: slots: expected one value
gjob:   |
gjob: 7 | slots = [1, 2]
gjob:   |         ^^^^^^

"#]]).run();
    place.file("gjob.toml", "[defaults]\ntimeout = \n");
    dry_run(&place, &[]).code(2).stderr(str![[r#"
gjob: [PLACE]/here/gjob.toml:2:11: invalid TOML: string values must be quoted, expected literal string
gjob:   |
gjob: 2 | timeout = 
gjob:   |           ^

"#]]).run();
    place.file("gjob.toml", "[defaults]\nquiet = true\nverbose = true\n");
    dry_run(&place, &[])
        .code(2)
        .stderr(str![[r#"
gjob: [PLACE]/here/gjob.toml:3:11: verbose: the argument '--quiet...' cannot be used with '--verbose'
gjob:   |
gjob: 3 | verbose = true
gjob:   |           ^^^^

"#]])
        .run();
    dry_run(&place, &["--no-config", "-H", "a"])
        .stdout(str![[r#"
host a
job 0
    commands: true

"#]])
        .run();
}

#[test]
fn group_that_is_not_there_is_named_with_those_that_are() {
    let place = place("[group.gpu]\nhosts = 'a'\n[host.b]\nlabels = 'lab'\n");
    place.file("nodes", "a\n");
    dry_run(&place, &["-H", "c,@nodes"])
        .code(2)
        .stderr(str![[r#"
gjob: host list, item 2: no group @nodes: expected one of @gpu, @lab
help: --hosts-file nodes reads hosts from the file nodes
gjob: nothing was started

"#]])
        .run();
    dry_run(&place, &["-H", "2/@gpu"]).code(2).stderr(str![[r#"
gjob: host list, item 1: @gpu is a group of gjob.toml: expected a host, or the group in -H, without slots
gjob: nothing was started

"#]]).run();
}

#[test]
fn file_that_others_could_have_written_is_not_relied_on() {
    let place = place("[defaults]\nhosts = 'a'\n");
    let path = place.path("here/gjob.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    dry_run(&place, &[])
        .code(2)
        .stderr(str![[r#"
gjob: [PLACE]/here/gjob.toml: not relied on: other users can write to it
help: make it yours alone, or leave it out with --no-config

"#]])
        .run();
    dry_run(&place, &["--no-config", "-H", "a"])
        .stdout(str![[r#"
host a
job 0
    commands: true

"#]])
        .run();
}

#[test]
fn link_is_followed_only_if_nobody_else_could_have_made_it() {
    if !rustix::process::geteuid().is_root() {
        return gjob_testbed::skip("only root can give a link to another user");
    }
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    fs::create_dir(place.path("own")).unwrap();
    fs::write(place.path("own/gjob.toml"), "[defaults]\nhosts-file = \"list\"\n").unwrap();
    fs::write(place.path("own/list"), "n1\n").unwrap();
    // What lies beside the link is not what the file means.
    place.file("list", "elsewhere\n");
    let link = place.path("here/gjob.toml");
    std::os::unix::fs::symlink("../own/gjob.toml", &link).unwrap();
    let shown = hosts(&place, &[]);
    assert!(shown.len() == 1 && shown[0].starts_with("n1"), "{shown:?}");
    std::os::unix::fs::lchown(&link, Some(12_345), None).unwrap();
    let passed_over = dry_run(&place, &["-H", "a"]).stdout(str![[r#"
host a
job 0
    commands: true

"#]]);
    passed_over
        .stderr(str![[r#"
gjob: passed over [PLACE]/here/gjob.toml: it belongs to user 12345

"#]])
        .run();
}

#[test]
fn file_that_another_user_has_planted_above_the_project_is_passed_over() {
    if !rustix::process::geteuid().is_root() {
        return gjob_testbed::skip("only root can give a file to another user");
    }
    let place = Place::new();
    fs::set_permissions(place.path("here"), fs::Permissions::from_mode(0o1777)).unwrap();
    let planted = place.file("gjob.toml", "[defaults]\nhosts = 'theirs'\nunknown = 1\n");
    std::os::unix::fs::chown(&planted, Some(12_345), None).unwrap();
    fs::create_dir(place.path("here/project")).unwrap();
    fs::write(place.path("here/project/jobs.txt"), "true\n").unwrap();
    fs::write(place.path("gjob.toml"), "[defaults]\nhosts = 'own'\n").unwrap();
    let project = place.path("here/project");
    dry_run(&place, &[])
        .current_dir(&project)
        .stdout(str![[r#"
host own
job 0
    commands: true

"#]])
        .stderr(str![[r#"
gjob: passed over [PLACE]/here/gjob.toml: it belongs to user 12345

"#]])
        .run();
}

#[test]
fn cluster_file_that_others_could_have_written_is_refused() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    let cluster =
        place.file("lab.toml", "[cluster.lab]\nhosts = 'n1'\nconnect = './enter {host}'\n");
    let plain = place.file("lab", "gate\nn1\n");
    for path in [&cluster, &plain] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
        let answer = dry_run(&place, &["-c", path.to_str().unwrap()]).output();
        let why = format!(
            "gjob: {path}: not relied on: {path}: other users can write to it\n\
             help: copy it to a directory that only you can write to\n\
             gjob: nothing was started\n",
            path = path.display()
        );
        assert_eq!((answer.code, answer.stderr), (2, why));
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(dry_run(&place, &["-c", path.to_str().unwrap()]).output().code, 0);
    }
    // From a pipe, as a shell gives one.
    let pipe = ["-c", "/dev/stdin"];
    assert_eq!(dry_run(&place, &pipe).stdin("gate\nn1\n").output().code, 0);
}

#[test]
fn program_that_others_could_have_written_connects_to_no_host() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    fs::create_dir(place.path("here/shared")).unwrap();
    let shared = place.path("here/shared");
    fs::write(shared.join("enter"), "#!/bin/sh\nexec /bin/sh\n").unwrap();
    fs::set_permissions(shared.join("enter"), fs::Permissions::from_mode(0o777)).unwrap();
    let args = ["-H", "n1", "--connect", "shared/enter {host}"];
    dry_run(&place, &args).code(2).stderr(str![[r#"
gjob: [PLACE]/here/shared/enter is not relied on: [PLACE]/here/shared/enter: other users can write to it
help: copy it to a directory that only you can write to
gjob: nothing was started

"#]]).run();
    fs::set_permissions(shared.join("enter"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(dry_run(&place, &args).output().code, 0);
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    dry_run(&place, &args)
        .code(2)
        .stderr(str![[r#"
gjob: [PLACE]/here/shared/enter is not relied on: [PLACE]/here/shared: other users can write to it
help: copy it to a directory that only you can write to
gjob: nothing was started

"#]])
        .run();
    // A script is run likewise; other words are no files.
    let args = ["-H", "n1", "--connect", "sh -e shared/enter {host} --"];
    dry_run(&place, &args)
        .code(2)
        .stderr(str![[r#"
gjob: shared/enter is not relied on: [PLACE]/here/shared: other users can write to it
help: copy it to a directory that only you can write to
gjob: nothing was started

"#]])
        .run();
    // There, others can put files, and none in the place of those of this user.
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    assert_eq!(dry_run(&place, &args).output().code, 0);
}

#[test]
fn what_is_no_file_that_a_person_wrote_is_refused_at_once() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    let path = place.path("here/gjob.toml");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let refused = dry_run(&place, &[]).code(2);
    refused
        .stderr(str![[r#"
gjob: [PLACE]/here/gjob.toml: cannot be read: it is no regular file

"#]])
        .run();
    fs::remove_file(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(3 << 30).unwrap();
    let refused = dry_run(&place, &[]).code(2);
    refused
        .stderr(str![[r#"
gjob: [PLACE]/here/gjob.toml: cannot be read: it is larger than 1 MiB: expected hosts and defaults for options

"#]])
        .run();
}
