//! `gjob run --dry-run`: what it prints, and that its JSON is a job file with the
//! same jobs.

mod support;

use support::Place;

fn dry(place: &Place, args: &[&str]) -> String {
    let mut all = vec!["run", "--dry-run"];
    all.extend(args);
    let answer = place.gjob(&all).output();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(!place.has_run() && !place.path("results").exists());
    answer.stdout
}

#[test]
fn everything_that_is_said_of_a_job_is_shown() {
    let place = Place::new();
    place.file("fit", "");
    place.file("data", "");
    place.file(
        "jobs.py",
        "first = Job(['./fit', './plot\\n./more'], ['fit', 'data'], 'fit', repeat=2, env={'A': 'b c'},\n\
         \x20   outputs='*.csv', timeout='1h30m', retries=2, cpus=2, mem='1G', gpus=1)\n\
         Job('echo done', after=[first, 'fit'], link=True, files='fit')\n",
    );
    assert_eq!(
        dry(&place, &["jobs.py", "-H", "2/a,b"]),
        "\
host a, 2 slots
host b
job 0 fit
    commands: ./fit
              ./plot
              ./more
    files:    fit
              data
    outputs:  *.csv
    env:      A=\"b c\"
    asks for: 2 cpus, 1024 MiB of memory, 1 gpus
    timeout:  1h30m
    retries:  2
job 1 fit, copy 1
    commands: ./fit
              ./plot
              ./more
    files:    fit
              data
    outputs:  *.csv
    env:      A=\"b c\"
    asks for: 2 cpus, 1024 MiB of memory, 1 gpus
    timeout:  1h30m
    retries:  2
job 2
    commands: echo done
    links:    fit
    after:    jobs 0 to 1
              fit
"
    );
}

#[test]
fn the_json_of_every_format_is_a_job_file_with_the_same_jobs() {
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
        let first = dry(&place, &[&["--json", name], options].concat());
        place.file("again.jsonl", &first);
        assert_eq!(dry(&place, &["--json", "again.jsonl"]), first, "{name} {options:?}");
        assert_eq!(
            dry(&place, &["again.jsonl"]),
            dry(&place, &[&[name], options].concat()),
            "{name} {options:?}"
        );
    }
}

#[test]
fn options_are_for_the_jobs_that_do_not_say_it_themselves() {
    let place = Place::new();
    place.file(
        "jobs.jsonl",
        "{\"cmds\":\"a\",\"cpus\":1,\"gpus\":0,\"mem\":7,\"repeat\":1}\n{\"cmds\":\"b\"}\n",
    );
    let args = ["--json", "jobs.jsonl", "-n", "2", "--cpus", "all", "--gpus", "3", "--mem", "1K"];
    assert_eq!(
        dry(&place, &args),
        "{\"cmds\":[\"a\"],\"retries\":0,\"mem\":7}\n\
         {\"cmds\":[\"b\"],\"retries\":0,\"cpus\":\"all\",\"gpus\":3,\"mem\":1024}\n\
         {\"cmds\":[\"b\"],\"retries\":0,\"cpus\":\"all\",\"gpus\":3,\"mem\":1024,\"repeat_index\":1}\n"
    );
}

#[test]
fn wrong_amounts_are_refused() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    let answer = place.gjob(&["run", "jobs.txt", "--cpus", "few", "--mem", "much"]).output();
    assert_eq!(answer.code, 2);
    assert_eq!(
        answer.stderr,
        "gjob: --cpus: \"few\" is not accepted: a number of processors or \"all\" is\n\
         gjob: --mem: size \"much\" is not accepted: bytes such as 4096, or a number with a unit \
         such as 500M, 1.5G or 2T is\ngjob: nothing was started\n"
    );
}
