//! Screens of the real program, to be looked at:
//! `cargo test -p gjob-cli --test captures -- --ignored --nocapture`.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

mod support;

use gjob_testbed::Bed;
use support::{Place, Screen};

/// What is done on a host: fit, slowly on h3, with a failure now and then.
const FIT: &str = r#"
import sys, time, os
seed = int(sys.argv[2])
print("fitting with rate", sys.argv[1], flush=True)
time.sleep((3 if os.environ["TESTBED_HOST"] == "h3" else 1) * (1 + seed % 3))
if seed % 9 == 4:
    sys.exit("Traceback (most recent call last): loss is NaN in epoch 3")
"#;

#[test]
#[ignore = "prints screens for people"]
fn screens_of_a_run_on_three_hosts() {
    for columns in [80, 160] {
        let place = Place::new();
        let bed = Bed::start(3);
        let config = bed.ssh_config().to_str().unwrap();
        place.file("fit.py", FIT);
        let args = ["run", "-F", config, "-H", "h1,h2,h3", "-j", "2", "-f", "fit.py"];
        let rates = ["--", "python3 fit.py {1} {2}", ":::", "0.1", "0.01", ":::"];
        let seeds: Vec<String> = (1..=30).map(|seed| seed.to_string()).collect();
        let seeds = seeds.iter().map(String::as_str);
        let args: Vec<&str> = args.into_iter().chain(rates).chain(seeds).collect();
        let mut run = place.gjob(&args).on_screen(30, columns);
        run.wait_for("some ends", |text| ended(text) >= 6);
        capture("progress", &run);
        bed.host(2).stop();
        bed.host(2).kill_connections();
        run.wait_for_text(" of 3 hosts up · h2 away 3s");
        capture("host away", &run);
        bed.host(2).start();
        let top = place.gjob(&["top"]).on_screen(30, columns);
        top.wait_for_text("? help");
        run.wait_for_text("h2 is back after ");
        run.wait_for("more ends", |text| ended(text) >= 40);
        capture("failures", &run);
        capture("top", &top);
        top.keys("\n");
        top.wait_for_text("stdout:");
        capture("top, log", &top);
        top.keys("qe");
        top.wait_for_text("Explain");
        capture("top, explain", &top);
        top.keys("q\t");
        top.wait_for("hosts", |text| !text.contains("Explain"));
        capture("top, hosts", &top);
        let logs = place.gjob(&["logs", "-f", "30-59", "--tail", "0"]).on_screen(20, columns);
        capture_end("status", place.gjob(&["status"]).on_screen(40, columns));
        capture_end("explain, running", place.gjob(&["explain", "59"]).on_screen(20, columns));
        run.end();
        capture_end("logs -f", logs);
        capture("end", &run);
        top.wait_for_text("failed in ");
        capture("top, over", &top);
        capture_end("status, over", place.gjob(&["status"]).on_screen(20, columns));
        capture_end("explain", place.gjob(&["explain", "3"]).on_screen(30, columns));
        capture_end("logs", place.gjob(&["logs", "3", "12"]).on_screen(20, columns));
        capture_end("runs", place.gjob(&["runs"]).on_screen(10, columns));
        let hosts = ["hosts", "-F", config, "-H", "h1,64/h2,nowhere,stranger"];
        capture_end("hosts", place.gjob(&hosts).on_screen(60, columns));
        capture_end("du", place.gjob(&["du"]).on_screen(20, columns));
        capture_end("clean", place.gjob(&["clean", "latest", "--dry-run"]).on_screen(20, columns));
    }
}

/// Forty names of this machine, three of which lead nowhere, and long commands.
#[test]
#[ignore = "prints screens for people"]
fn screens_of_a_run_on_forty_hosts_with_long_names() {
    for columns in [80, 160] {
        let place = Place::new();
        place.file(
            "reach",
            "case $1 in *-0[789].*) echo 'no such pod' >&2; exit 1;; esac; exec $2\n",
        );
        let to = ["-H", "gpu-node-[01-40].rack-7.cluster.example.org", "--connect"];
        let to = [&to[..], &["sh reach {host}"]].concat();
        let command = "sleep 1; test $(({seed} % 9)) != 4 || { echo 'loss is NaN' >&2; exit 3; }; \
                       : --data /scratch/projects/long/{data} --output /scratch/out/{seed}/model.ckpt";
        let name = "train-with-a-long-name-{seed}";
        let run = ["run", "--header", ":", "--name", name, "-j", "1"];
        let data = ["--", command, ":::", "data", "imagenet-21k-winter-2026.tar", ":::", "seed"];
        let seeds: Vec<String> = (1..=60).map(|seed| seed.to_string()).collect();
        let seeds = seeds.iter().map(String::as_str);
        let args: Vec<&str> = run.into_iter().chain(to.clone()).chain(data).chain(seeds).collect();
        let mut run = place.gjob(&args).on_screen(30, columns);
        run.wait_for("some ends", |text| ended(text) >= 10);
        capture("40 hosts: progress", &run);
        let top = place.gjob(&["top"]).on_screen(30, columns);
        top.wait_for_text("? help");
        top.keys("\t");
        capture("40 hosts: top, hosts", &top);
        capture_end("40 hosts: status", place.gjob(&["status"]).on_screen(60, columns));
        run.end();
        capture("40 hosts: end", &run);
        capture_end("40 hosts: status, over", place.gjob(&["status"]).on_screen(70, columns));
        let hosts: Vec<&str> = ["hosts"].into_iter().chain(to.clone()).collect();
        capture_end("40 hosts: hosts", place.gjob(&hosts).on_screen(70, columns));
    }
}

fn capture_end(name: &str, mut screen: Screen) {
    screen.end();
    capture(name, &screen);
}

/// How many jobs have ended, as the progress says: a drawing may pass over any number.
fn ended(text: &str) -> u32 {
    let (before, _) = text.rsplit_once("/60 ").unwrap_or_default();
    before.rsplit("] ").next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn capture(name: &str, screen: &Screen) {
    let text = screen.wait_for("anything", |_| true);
    println!("──── {name}\n{text}\n");
}
