//! What goes where: byte by byte, once, and not at all to where it was written.

use std::path::Path;

use gjob_testbed::Bed;
use serde_json::json;

use super::support::{Place, eventually};
use super::{run_on, write_jobs};

#[test]
fn stages_hand_on_files_and_directories_between_hosts_byte_by_byte() {
    let place = Place::new();
    let bed = Bed::start(2);
    let list = "find . -mindepth 2 -printf '%P %y %m %s %l\\n' | sort; \
                find . -mindepth 2 -type f -exec sha256sum {} + | sort";
    let make = "mkdir -p d/sub d/empty; head -c 300000 /dev/urandom > d/sub/data; \
                printf '#!/bin/sh\\necho ran' > d/tool; chmod 750 d/tool; \
                ln -s sub/data d/link; printf x > \"d/$(printf 'n\\351 m\\n')\"; \
                : > d/nothing; sha256sum d/sub/data; touch unnamed";
    write_jobs(
        &place,
        &[
            json!({"name": "make", "cmds": make, "outputs": ["d", "unnamed"], "host": "h1"}),
            json!({"name": "pass", "cmds": ["make/d/tool", "sha256sum make/d/sub/data", "cp -r make/d/. e"],
                "outputs": "e", "files": "@make/d", "host": "h2"}),
            json!({"name": "here", "cmds": list, "files": "@make/d", "host": "h1"}),
            json!({"name": "there", "cmds": list, "files": "@pass/e", "host": "h1"}),
        ],
    );
    let answer = run_on(&place, &bed, &["-k", "--show", "all"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let printed: Vec<&str> = answer.stdout.lines().collect();
    let sum = printed[0].split(' ').next().unwrap();
    assert_eq!(printed[1], "ran");
    assert!(printed[2].starts_with(sum), "{printed:?}");
    let (here, there) = printed[3..].split_at((printed.len() - 3) / 2);
    let renamed: Vec<String> = here.iter().map(|line| line.replace("make/d", "pass/e")).collect();
    assert_eq!(renamed, there);
    assert_eq!(here.iter().filter(|line| line.contains(sum)).count(), 2, "a link is followed");
    for expected in ["make/d/empty d ", "make/d/tool f 750 ", "make/d/nothing f "] {
        assert!(here.iter().any(|line| line.starts_with(expected)), "{expected}: {here:?}");
    }
    assert!(!here.iter().any(|line| line.contains("unnamed")), "only what is named");
}

#[test]
fn large_output_goes_to_a_host_once_for_all_its_jobs_and_never_to_where_it_was_written() {
    let place = Place::new();
    let bed = Bed::start(2);
    let size: u64 = 50 << 20;
    let check = "sha256sum < big/data | cmp - big/sum";
    let check = |name: &str, host: &str| json!({"name": name, "cmds": check, "files": "@big/*", "host": host});
    let make = format!("head -c {size} /dev/urandom > data; sha256sum < data > sum");
    let big = json!({"name": "big", "cmds": make, "outputs": ["data", "sum"], "host": "h1"});
    let (a, b, c) = (check("a", "h2"), check("b", "h2"), check("c", "h1"));
    write_jobs(&place, &[big, a, b, c]);
    let answer = run_on(&place, &bed, &["-q", "-j3"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let status = place.status();
    let of_hosts = |field: &str| -> Vec<u64> {
        let hosts = status["hosts"].as_array().unwrap().iter();
        hosts.map(|host| host[field].as_u64().unwrap()).collect()
    };
    let sent = of_hosts("bytes_sent");
    assert_eq!(sent[1] - sent[0], size, "each got the program, and the other one the file, once");
    assert_eq!(of_hosts("bytes_fetched"), [size + 68, 0]);
}

#[test]
fn outputs_that_were_changed_on_their_host_since_they_were_fetched_arrive_as_they_were() {
    let place = Place::new();
    let bed = Bed::start(1);
    let job_dir = place.path("job-dir");
    let (make, change) = (
        "mkdir d; echo one > d/x; echo two > d/y; echo three > d/z; echo four > d/w",
        "echo 1ne > d/x; rm d/y; echo threes > d/z; ln -sf /etc/hostname d/w",
    );
    let make = format!("{make}; pwd > {}", job_dir.display());
    let change = format!("cd $(cat {}); {change}", job_dir.display());
    write_jobs(
        &place,
        &[
            json!({"name": "make", "cmds": make, "outputs": "d"}),
            json!({"name": "change", "cmds": change, "after": "make"}),
            json!({"cmds": "cat make/d/[xyzw]", "files": "@make/d", "after": "change"}),
        ],
    );
    let answer = run_on(&place, &bed, &["-q", "--show", "all"]).output();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "four\none\ntwo\nthree\n"), "{answer:?}");
    assert_eq!(place.of_jobs("attempts")[2].as_array().unwrap().len(), 1);
    assert_eq!(place.status()["hosts"][0]["host_failures"], 0);
}

#[test]
fn manager_and_agent_that_are_killed_while_an_output_is_copied_on_its_host_send_nothing_of_it() {
    let place = Place::new();
    let bed = Bed::start(2);
    let job_dir = place.path("job-dir");
    let make = "head -c 100M /dev/urandom > data; sha256sum < data > sum";
    let make = format!("{make}; pwd > {}", job_dir.display());
    let check = "sha256sum < big/data | cmp - big/sum";
    write_jobs(
        &place,
        &[
            json!({"name": "big", "cmds": make, "outputs": ["data", "sum"], "host": "h1"}),
            json!({"name": "other", "cmds": "true", "host": "h2"}),
            json!({"cmds": check, "files": "@big/*", "host": "h1"}),
        ],
    );
    let running = run_on(&place, &bed, &["-q"]).start();
    let files = || -> Vec<String> {
        let Ok(dir) = std::fs::read_to_string(&job_dir) else { return Vec::new() };
        let blobs = Path::new(dir.trim_end()).join("../../.gjob/blobs");
        let entries = std::fs::read_dir(blobs).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    eventually("it is being copied", || files().iter().any(|name| name.ends_with(".copy.part")));
    bed.host(1).kill_connections();
    running.kill_9();
    let answer = place.gjob(&["attach", "-q"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let status = place.status();
    let sent = |host: usize| status["hosts"][host]["bytes_sent"].as_u64().unwrap();
    assert_eq!(sent(0), sent(1), "the program alone");
    assert_eq!(files().iter().filter(|name| name.contains('.')).count(), 0, "{:?}", files());
}
