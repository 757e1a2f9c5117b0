//! What tables of jobs become.

use std::time::Duration;

use gjob_core::dependency::After;
use gjob_core::resources::Cpus;

use super::super::{Format, Jobs, parse as parse_as};

fn jobs(text: &str) -> Jobs {
    parse_as("sweep.toml", text.as_bytes(), Format::Toml).unwrap_or_else(|e| panic!("{e}"))
}

fn scripts(text: &str) -> Vec<String> {
    let jobs = jobs(text);
    jobs.specs.iter().map(|spec| spec.script().trim_end().to_owned()).collect()
}

fn errors(text: &str) -> String {
    parse_as("sweep.toml", text.as_bytes(), Format::Toml).unwrap_err().to_string()
}

#[test]
fn a_job_has_its_own_fields_and_the_defaults() {
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
    let spec = &jobs.specs[0];
    assert_eq!((spec.script().as_str(), spec.files.as_slice()), ("a\nb\n", &["data".into()][..]));
    let env: Vec<(&str, &str)> = spec.env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(env, [("A", "x"), ("B", "1e-3")]);
    assert_eq!((spec.mem, spec.cpus), (Some(8 << 30), Cpus::All));
    assert_eq!(spec.timeout, Some(Duration::from_secs(5400)));
    assert!(jobs.specs[1].files.is_empty());
    assert_eq!((jobs.said(0).repeat, jobs.said(1).repeat), (Some(2), Some(1)));
    assert_eq!(jobs.place(1).to_string(), "sweep.toml:14:9");
}

#[test]
fn a_matrix_is_a_product_in_the_order_written() {
    let text = "[[job]]\ncommands = '{b}{a} {c}'\n\
                matrix = { b = ['x', 'y'], a = '1..2', c = [true, 0.10] }\n";
    assert_eq!(
        scripts(text),
        ["x1 true", "x1 0.10", "x2 true", "x2 0.10", "y1 true", "y1 0.10", "y2 true", "y2 0.10"]
    );
}

#[test]
fn a_matrix_of_too_many_jobs_is_refused_before_it_is_expanded() {
    let job = |rest: &str| format!("[[job]]\ncommands = '{{a}}'\n{rest}\n");
    let said = |line: &str| {
        let marks = "^".repeat(line.len() - "matrix = ".len());
        format!(
            "sweep.toml:3:10: more jobs than a run may have: at most 10000000 are accepted\n  3 | \
             {line}\n    |          {marks}"
        )
    };
    let ranges = ["a", "b", "c", "d"].map(|name| format!("{name} = '1..10000000'"));
    let matrix = format!("matrix = {{ {} }}", ranges.join(", "));
    assert_eq!(errors(&job(&matrix)), said(&matrix));
    let matrix = "matrix = { a = '1..5000000' }";
    assert_eq!(errors(&job(&format!("{matrix}\nrepeat = 3"))), said(matrix));
    let list = "matrix = { a = ['x', 'y'], b = '1..5000001' }";
    assert_eq!(errors(&job(list)), said(list));
    let range = errors(&job("matrix.a = '1..1000000000'"));
    assert!(range.contains("no more values than a run may have jobs are"), "{range}");
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

/// The example of GitHub's documentation of workflows, and its outcome there.
#[test]
fn include_adds_to_combinations_or_makes_new_ones() {
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
        .specs
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
fn exclude_drops_what_has_all_its_values() {
    let text = "[[job]]\ncommands = '{a}{b}'\nmatrix = { a = [1, 2], b = ['x', 'y'] }\n\
                exclude = [{ a = 1, b = 'x' }, { a = 2.0, b = 'y' }]\n";
    assert_eq!(scripts(text), ["1y", "2x"]);
    let all = "[[job]]\ncommands = '{a}'\nmatrix.a = [1, 2]\nexclude = [{ a = 1 }, { a = 2 }]\n";
    assert_eq!(scripts(all), Vec::<String>::new());
    let alone = "[[job]]\ncommands = '{a}'\ninclude = [{ a = 1 }, { a = 2 }]\n";
    assert_eq!(scripts(alone), ["1", "2"]);
}

#[test]
fn parameters_are_filled_in_wherever_text_is() {
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
    let spec = &jobs.specs[0];
    assert_eq!(spec.cmds, ["./fit 0.1 ${HOME} {a,b} {word}", "awk '{print $1}'"]);
    assert_eq!(spec.name.as_deref(), Some("fit-0.1"));
    assert_eq!((&spec.files[0], &spec.outputs[0]), (&"data-0.1".into(), &"0.1.csv".into()));
    assert_eq!(spec.after, [After::Name("prepare-0.1".into())]);
    assert_eq!((spec.cpus, spec.mem), (Cpus::Count(2), Some(2 << 30)));
    assert_eq!(spec.env["LR"], "0.1");
}

#[test]
fn a_number_in_after_is_a_tables_and_stands_for_all_its_jobs() {
    let text = "[[job]]\ncommands = 'a'\n[[job]]\ncommands = '{a}'\nmatrix.a = '1..3'\n\
                [[job]]\ncommands = 'b'\nafter = [0, 1]\n";
    assert_eq!(jobs(text).specs[4].after, [After::Jobs(0, 0), After::Jobs(1, 3)]);
    assert_eq!(
        errors("[[job]]\ncommands = 'a'\nafter = 1\n"),
        "sweep.toml:3:9: after 1 names no job: the jobs are 0 to 0\n  3 | after = 1\n    |         ^"
    );
}

#[test]
fn files_are_looked_for_beside_the_job_file() {
    let text = b"[[job]]\ncommands = 'a'\nfiles = ['fit', '/abs', '../x']\n";
    let jobs = parse_as("sub/dir/sweep.toml", text, Format::Toml).unwrap();
    assert_eq!(jobs.specs[0].files, ["sub/dir/fit", "/abs", "sub/dir/../x"]);
    assert_eq!(
        jobs.check_files().unwrap_err().to_string().lines().next(),
        Some(
            "sub/dir/sweep.toml:3:9: file \"sub/dir/fit\" does not exist: \
             a file or a directory is expected"
        )
    );
}

#[test]
fn all_errors_of_all_tables_come_at_once_each_with_its_line() {
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
        r#"sweep.toml:3:11: field "timeout": duration "soon" is not accepted: seconds such as 90, or numbers with units such as 500ms, 12.5s, 1h30m or 2d are
  3 | timeout = "soon"
    |           ^^^^^^
sweep.toml:4:11: field "retries": invalid value: integer `-1`, expected u32
  4 | retries = -1
    |           ^^
sweep.toml:5:23: "lr" is an array: a string, a number or a boolean is expected
  5 | matrix = { lr = [0.1, []], seed = "10..1", 1a = [] }
    |                       ^^
sweep.toml:5:35: range "10..1" of "seed" is not accepted: one that its step leads through, such as 1..10 or 10..1..-1, is
  5 | matrix = { lr = [0.1, []], seed = "10..1", 1a = [] }
    |                                   ^^^^^^^
sweep.toml:5:44: parameter "1a" is not accepted: letters, digits and _ are, not beginning with a digit
  5 | matrix = { lr = [0.1, []], seed = "10..1", 1a = [] }
    |                                            ^^
sweep.toml:6:1: a job needs at least one command that is not blank
  6 | [[job]]
    | ^^^^^^^
sweep.toml:10:8: name "" is not accepted: one line of 1 to 255 bytes without control characters is
  10 | name = ''
     |        ^^"#
    );
}

#[test]
fn a_combination_without_a_value_is_said() {
    let text =
        "[[job]]\ncommands = '{a} {b}'\nmatrix = { a = [1], b = [2] }\ninclude = [{ a = 3 }]\n";
    assert_eq!(
        errors(text),
        "sweep.toml:2:12: {b} has no value in the combination a = 3: one in `include` is expected\n  \
         2 | commands = '{a} {b}'\n    |            ^^^^^^^^^"
    );
}
