//! `gjob run --dry-run`: what it prints, and that its JSON is a job file with the
//! same jobs.

mod support;

use snapbox::str;
use support::{Gjob, Place};

fn dry_run(place: &Place, args: &[&str]) -> Gjob {
    place.gjob(&[&["run", "--dry-run"], args].concat())
}

fn stdout(place: &Place, args: &[&str]) -> String {
    let answer = dry_run(place, args).output();
    assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{answer:?}");
    assert!(!place.has_run() && !place.path("results").exists());
    answer.stdout
}

#[test]
fn all_fields_of_a_job_are_shown() {
    let place = Place::new();
    place.file("fit", "");
    place.file("data", "");
    place.file(
        "jobs.py",
        "first = Job(['./fit', './plot\\n./more'], ['fit', 'data'], 'fit', repeat=2, env={'A': 'b c'},\n\
         \x20   outputs='*.csv', timeout='1h30m', retries=2, cpus=2, mem='1G', gpus=1)\n\
         Job('echo done', after=[first, 'fit'], link=True, files='fit')\n",
    );
    dry_run(&place, &["jobs.py", "-H", "2/a,b"])
        .stdout(str![[r#"
host a, 2 slots
host b
job 0 fit
    commands: ./fit
              ./plot
              ./more
    files:    fit
              data
    outputs:  *.csv
    env:      A="b c"
    timeout:  1h30m
    retries:  2
    cpus:     2
    gpus:     1
    mem:      1G
job 1 fit, copy 1
    commands: ./fit
              ./plot
              ./more
    files:    fit
              data
    outputs:  *.csv
    env:      A="b c"
    timeout:  1h30m
    retries:  2
    cpus:     2
    gpus:     1
    mem:      1G
job 2
    commands: echo done
    files:    fit
    link:     true
    after:    jobs 0 to 1
              fit

"#]])
        .run();
    assert!(!place.has_run() && !place.path("results").exists());
}

#[test]
fn json_is_a_job_file_with_the_same_jobs() {
    let place = Place::new();
    place.file("fit", "");
    place.file(
        "jobs.py",
        "a = Job(['x', 'y \\u00e9'], 'fit', name='a', repeat=3, cpus='all', mem='1.5G', timeout=0.1)\n\
         b = Job('z', after=a, env={'A': 0.1}, gpus=2, link=True, outputs=['*.csv'])\n\
         Job('z', after=[b, 'a'], retries=3, repeat=0)\n\
         Job('z', after=[a, b, 'a'], retries=3)\n",
    );
    place.file(
        "jobs.toml",
        "[[job]]\nname = 'a-{n}'\ncommands = 'x {n}'\nmatrix.n = '1..3'\nrepeat = 2\nfiles = 'fit'\n\
         [[job]]\ncommands = 'z'\nafter = [0, 'a-2']\ntimeout = '1d'\n",
    );
    place.file(
        "jobs.jsonl",
        "{\"cmds\":\"a\",\"repeat\":2,\"mem\":\"8G\"}\n{\"cmds\":\"b\",\"after\":[0],\"cpus\":1}\n",
    );
    place.file("jobs.txt", "echo a\necho 'b'\n");
    let options = [&[][..], &["-n", "2", "--cpus", "4", "--gpus", "1", "--mem", "2G"]];
    for (name, options) in ["jobs.py", "jobs.toml", "jobs.jsonl", "jobs.txt"]
        .into_iter()
        .flat_map(|name| options.map(|options| (name, options)))
    {
        let first = stdout(&place, &[&["--json", name], options].concat());
        place.file("again.jsonl", &first);
        assert_eq!(stdout(&place, &["--json", "again.jsonl"]), first, "{name} {options:?}");
        assert_eq!(
            stdout(&place, &["again.jsonl"]),
            stdout(&place, &[&[name], options].concat()),
            "{name} {options:?}"
        );
    }
}

#[test]
fn options_are_defaults() {
    let place = Place::new();
    place.file(
        "jobs.jsonl",
        "{\"cmds\":\"a\",\"cpus\":1,\"gpus\":0,\"mem\":7,\"repeat\":1,\"retries\":0,\"timeout\":5,\
         \"name\":\"own\",\"env\":{\"A\":\"own\"},\"outputs\":\"a\"}\n{\"cmds\":\"b\"}\n",
    );
    let args = ["--json", "jobs.jsonl", "-n", "2", "--cpus", "all", "--gpus", "3", "--mem", "1K"];
    let more = ["--retries", "2", "--timeout", "1m", "--name", "default", "--link-files"];
    let lists = ["--env", "A=default", "--env", "B=b", "-o", "b", "-f", "jobs.jsonl"];
    dry_run(&place, &[&args[..], &more, &lists].concat()).stdout(str![[r#"
{"cmds":["a"],"files":["jobs.jsonl"],"link":true,"outputs":["a","b"],"name":"own","env":{"A":"own","B":"b"},"timeout":5.0,"retries":0,"mem":7}
{"cmds":["b"],"files":["jobs.jsonl"],"link":true,"outputs":["b"],"name":"default","env":{"A":"default","B":"b"},"timeout":60.0,"retries":2,"cpus":"all","gpus":3,"mem":1024}
{"cmds":["b"],"files":["jobs.jsonl"],"link":true,"outputs":["b"],"name":"default","env":{"A":"default","B":"b"},"timeout":60.0,"retries":2,"cpus":"all","gpus":3,"mem":1024,"repeat_index":1}

"#]]).run();
}
