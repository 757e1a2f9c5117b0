//! What tables of jobs become.

use std::time::Duration;

use gjob_core::dependency::After;
use gjob_core::resources::Cpus;

use crate::jobfile::{Format, JobDraft, JobFileErrors, Jobs, parse};

fn read(name: &str, text: &str) -> Result<Jobs, JobFileErrors> {
    parse(name, text.as_bytes(), Format::Toml, &JobDraft::default())
}

fn jobs(text: &str) -> Jobs {
    read("sweep.toml", text).unwrap_or_else(|e| panic!("{e}"))
}

fn scripts(text: &str) -> Vec<String> {
    let jobs = jobs(text);
    jobs.specs().iter().map(|spec| spec.script().trim_end().to_owned()).collect()
}

fn errors(text: &str) -> String {
    read("sweep.toml", text).unwrap_err().to_string()
}

#[test]
fn job_has_its_own_fields_and_the_defaults() {
    let text = r#"
        [defaults]
        files = ["data"]
        env = { A = 1, B = 1e-3 }
        timeout = "1h30m"
        repeat = 2

        [[job]]
        cmds = ["a", "b"]
        env = { A = "x" }
        mem = "8G"
        cpus = "all"

        [[job]]
        commands = "c"
        files = []
        repeat = 1
    "#;
    let jobs = jobs(text);
    let spec = &jobs.specs()[0];
    assert_eq!((spec.script().as_str(), spec.files.as_slice()), ("a\nb\n", &["data".into()][..]));
    let env: Vec<(&str, &str)> = spec.env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(env, [("A", "x"), ("B", "1e-3")]);
    assert_eq!((spec.mem, spec.cpus), (Some(8 << 30), Cpus::All));
    assert_eq!(spec.timeout, Some(Duration::from_secs(5400)));
    assert!(jobs.specs()[1].files.is_empty());
    assert_eq!(jobs.repeats(), [2, 1]);
    assert_eq!(jobs.place(1).to_string(), "sweep.toml:14:9");
}

#[test]
fn matrix_combines_parameters_in_the_order_written() {
    let text = "[[job]]\ncommands = '{b}{a} {c}'\n\
                matrix = { b = ['x', 'y'], a = '1..2', c = [true, 0.10] }\n";
    assert_eq!(
        scripts(text),
        ["x1 true", "x1 0.10", "x2 true", "x2 0.10", "y1 true", "y1 0.10", "y2 true", "y2 0.10"]
    );
}

#[test]
fn matrix_that_is_too_large_is_not_expanded() {
    let job = |rest: &str| format!("[[job]]\ncommands = '{{a}}'\n{rest}\n");
    let error = |line: &str| {
        let marks = "^".repeat(line.len() - "matrix = ".len());
        format!(
            "sweep.toml:3:10: too many jobs: expected at most 10000000\n  |\n3 | \
             {line}\n  |          {marks}"
        )
    };
    let ranges = ["a", "b", "c", "d"].map(|name| format!("{name} = '1..10000000'"));
    let matrix = format!("matrix = {{ {} }}", ranges.join(", "));
    assert_eq!(errors(&job(&matrix)), error(&matrix));
    let matrix = "matrix = { a = '1..5000000' }";
    assert_eq!(errors(&job(&format!("{matrix}\nrepeat = 3"))), error(matrix));
    let list = "matrix = { a = ['x', 'y'], b = '1..5000001' }";
    assert_eq!(errors(&job(list)), error(list));
    let range = errors(&job("matrix.a = '1..1000000000'"));
    assert!(range.contains("expected at most 10000000 values"), "{range}");
}

#[test]
fn ranges_include_both_ends() {
    let values = |range: &str| {
        let text = format!("[[job]]\ncommands = 'x{{a}}'\nmatrix.a = '{range}'\n");
        scripts(&text).join(" ")
    };
    assert_eq!(values("1..3"), "x1 x2 x3");
    assert_eq!(values("-1..1"), "x-1 x0 x1");
    assert_eq!(values("0..100..40"), "x0 x40 x80");
    assert_eq!(values("3..1..-1"), "x3 x2 x1");
    assert_eq!(values("5..5"), "x5");
}

/// The example in GitHub's documentation of workflows, with the same outcome.
#[test]
fn include_extends_combinations_or_adds_one() {
    let text = r#"
        [[job]]
        commands = "{fruit} {animal}"
        env = { C = "{color}", S = "{shape}" }
        matrix = { fruit = ["apple", "pear"], animal = ["cat", "dog"] }
        include = [
            { color = "green", shape = "none" },
            { color = "pink", animal = "cat" },
            { fruit = "apple", shape = "circle" },
            { fruit = "banana", animal = "none", color = "none", shape = "none" },
            { fruit = "banana", animal = "cat", color = "none", shape = "none" },
        ]
    "#;
    let found: Vec<String> = jobs(text)
        .specs()
        .iter()
        .map(|spec| format!("{} {} {}", spec.cmds[0], spec.env["C"], spec.env["S"]))
        .collect();
    assert_eq!(
        found,
        [
            "apple cat pink circle",
            "apple dog green circle",
            "pear cat pink none",
            "pear dog green none",
            "banana none none none",
            "banana cat none none",
        ]
    );
}

#[test]
fn exclude_drops_matching_combinations() {
    let text = "[[job]]\ncommands = '{a}{b}'\nmatrix = { a = [1, 2], b = ['x', 'y'] }\n\
                exclude = [{ a = 1, b = 'x' }, { a = 2.0, b = 'y' }]\n";
    assert_eq!(scripts(text), ["1y", "2x"]);
    let all = "[[job]]\ncommands = '{a}'\nmatrix.a = [1, 2]\nexclude = [{ a = 1 }, { a = 2 }]\n";
    assert_eq!(scripts(all), Vec::<String>::new());
    let alone = "[[job]]\ncommands = '{a}'\ninclude = [{ a = 1 }, { a = 2 }]\n";
    assert_eq!(scripts(alone), ["1", "2"]);
}

#[test]
fn parameters_are_filled_into_all_texts() {
    let text = r#"
        [[job]]
        commands = ["./fit {lr} ${HOME} {a,b} {word}", "awk '{print $1}'"]
        name = "fit-{lr}"
        files = ["data-{lr}"]
        outputs = ["{lr}.csv"]
        after = ["prepare-{lr}"]
        cpus = "{n}"
        mem = "{n}G"
        env = { LR = "{lr}" }
        matrix = { lr = ["0.1"], n = [2] }
    "#;
    let jobs = jobs(text);
    let spec = &jobs.specs()[0];
    assert_eq!(spec.cmds, ["./fit 0.1 ${HOME} {a,b} {word}", "awk '{print $1}'"]);
    assert_eq!(spec.name.as_deref(), Some("fit-0.1"));
    assert_eq!((&spec.files[0], &spec.outputs[0]), (&"data-0.1".into(), &"0.1.csv".into()));
    assert_eq!(spec.after, [After::Name("prepare-0.1".into())]);
    assert_eq!((spec.cpus, spec.mem), (Cpus::Count(2), Some(2 << 30)));
    assert_eq!(spec.env["LR"], "0.1");
}

#[test]
fn number_in_after_means_all_jobs_of_a_table() {
    let text = "[[job]]\ncommands = 'a'\n[[job]]\ncommands = '{a}'\nmatrix.a = '1..3'\n\
                [[job]]\ncommands = 'b'\nafter = [0, 1]\n";
    assert_eq!(jobs(text).specs()[4].after, [After::Jobs(0, 0), After::Jobs(1, 3)]);
    assert_eq!(
        errors("[[job]]\ncommands = 'a'\nafter = 1\n"),
        "sweep.toml:3:9: unknown job 1: expected a number from 0 to 0\n  |\n3 | after = 1\n  |         ^"
    );
}

#[test]
fn files_are_relative_to_the_job_file() {
    let text = "[[job]]\ncommands = 'a'\nfiles = ['fit', '/abs', '../x']\n";
    let jobs = read("sub/dir/sweep.toml", text).unwrap();
    assert_eq!(jobs.specs()[0].files, ["sub/dir/fit", "/abs", "sub/dir/../x"]);
    assert_eq!(
        jobs.into_specs().unwrap_err().to_string().lines().next(),
        Some("sub/dir/sweep.toml:3:9: file \"sub/dir/fit\" does not exist")
    );
}

#[test]
fn all_errors_of_all_tables_are_found_at_once() {
    let text = r#"[[job]]
commands = "./fit {lr}"
timeout = "soon"
retries = -1
matrix = { lr = [0.1, []], seed = "10..1", 1a = [] }
[[job]]
name = "x"
[[job]]
commands = 'a'
name = ''
"#;
    assert_eq!(
        errors(text),
        r#"sweep.toml:3:11: field "timeout": invalid duration "soon": expected seconds (90) or units (500ms, 1h30m, 2d)
  |
3 | timeout = "soon"
  |           ^^^^^^
sweep.toml:4:11: field "retries": invalid value: integer `-1`, expected a whole number from 0
  |
4 | retries = -1
  |           ^^
sweep.toml:5:23: invalid value of "lr": expected a string, a number or a boolean, found an array
  |
5 | matrix = { lr = [0.1, []], seed = "10..1", 1a = [] }
  |                       ^^
sweep.toml:5:35: invalid range "10..1" of "seed": expected a step that leads to its end (1..10, 10..1..-1)
  |
5 | matrix = { lr = [0.1, []], seed = "10..1", 1a = [] }
  |                                   ^^^^^^^
sweep.toml:5:44: invalid parameter "1a": expected letters, digits and _, not starting with a digit
  |
5 | matrix = { lr = [0.1, []], seed = "10..1", 1a = [] }
  |                                            ^^
sweep.toml:6:1: no command: expected at least one that is not blank
  |
6 | [[job]]
  | ^^^^^^^
sweep.toml:10:8: invalid job name "": expected 1 to 255 bytes of printable characters
   |
10 | name = ''
   |        ^^"#
    );
}

#[test]
fn combination_without_a_value_is_named() {
    let text =
        "[[job]]\ncommands = '{a} {b}'\nmatrix = { a = [1], b = [2] }\ninclude = [{ a = 3 }]\n";
    assert_eq!(
        errors(text),
        "sweep.toml:2:12: no value for {b} in the combination a = 3: expected one in `include`\n  \
         |\n2 | commands = '{a} {b}'\n  |            ^^^^^^^^^"
    );
}
