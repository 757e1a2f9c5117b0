//! Commands and what GNU parallel 20221122 makes of them. Where it quotes
//! differently, the words are the same.

use super::*;

/// The commands of a command line, with this on standard input.
fn filled(words: &[&str], stdin: &str) -> Result<Vec<String>, String> {
    let arguments = Arguments::new(words.iter().copied());
    let jobs = arguments.read(&JobDraft::default(), &mut stdin.as_bytes());
    let jobs = jobs.map_err(|errors| errors.to_string())?;
    Ok(jobs.specs().iter().map(|spec| spec.cmds.concat()).collect())
}

fn commands(words: &[&str]) -> Vec<String> {
    filled(words, "not read").unwrap_or_else(|e| panic!("{words:?}: {e}"))
}

#[test]
fn last_source_varies_fastest() {
    assert_eq!(
        commands(&["echo", "{2}-{1}", ":::", "a", "b", ":::", "1", "2"]),
        ["echo 1-a", "echo 2-a", "echo 1-b", "echo 2-b"]
    );
    assert_eq!(commands(&["echo", "{}", "{.}", ":::", "a.b", ":::", "x.y"]), ["echo a.b x.y a x"]);
    assert_eq!(
        commands(&["echo", "{-1}", "{-2}", "{#}", ":::", "a", "b", ":::", "1"]),
        ["echo 1 a 1", "echo 1 b 2"]
    );
}

#[test]
fn linked_sources_end_with_the_shortest() {
    assert_eq!(
        commands(&["echo", ":::", "a", "b", "c", ":::+", "1", "2", ":::", "X", "Y"]),
        ["echo a 1 X", "echo a 1 Y", "echo b 2 X", "echo b 2 Y"]
    );
    assert_eq!(
        commands(&["echo", ":::", "1", ":::", "a", "b", ":::+", "x", "y"]),
        ["echo 1 a x", "echo 1 b y"]
    );
    assert_eq!(commands(&["echo", ":::+", "a", ":::", "c"]), ["echo a c"]);
}

#[test]
fn empty_source_gives_an_empty_value_unless_all_are_empty() {
    assert_eq!(commands(&["echo", ":::", ":::", "a"]), ["echo '' a"]);
    assert_eq!(commands(&["echo", ":::", "a", ":::"]), ["echo a ''"]);
    assert_eq!(
        commands(&["echo", ":::", "a", "b", ":::+", ":::", "c", "d"]),
        ["echo a '' c", "echo a '' d"]
    );
    assert!(commands(&["echo", ":::", ":::"]).is_empty());
    assert!(commands(&["echo", ":::"]).is_empty());
}

#[test]
fn values_are_appended_without_a_placeholder() {
    assert_eq!(commands(&["echo  \"a  b\"", ":::", "x y", ":::", "z"]), ["echo  \"a  b\" 'x y' z"]);
    assert_eq!(commands(&["echo", "{#}", ":::", "a"]), ["echo 1"]);
    assert_eq!(commands(&["", ":::", "a"]), [" a"]);
}

#[test]
fn values_are_quoted() {
    let values = [
        "~x", "a=b", "{a,b}", "", "é", "=x", "a:b", "'", "a'b", "*", "-n", "%", "!x", "$(x)",
        "`x`", "\\", "a b", "#x", "^", "a\tb", "a;b", "\"", "{}", "{1}", "\r",
    ];
    let words: Vec<&str> = ["printf", "'%s\\0'", ":::"].into_iter().chain(values).collect();
    for (command, value) in commands(&words).iter().zip(values) {
        let output = std::process::Command::new("bash").arg("-c").arg(command).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        assert_eq!(output.stdout, format!("{value}\0").as_bytes(), "{command:?}");
    }
}

#[test]
fn placeholders_in_values_stay() {
    assert_eq!(commands(&["echo", "{1} {2}", ":::", "{2}", ":::", "{1}"]), ["echo '{2}' '{1}'"]);
}

#[test]
fn values_are_shell_text_if_one_is_in_the_command_name() {
    assert_eq!(commands(&[":::", "echo a", "b | c"]), ["echo a", "b | c"]);
    assert_eq!(commands(&[":::", "echo", "printf", ":::", "a b"]), ["echo a b", "printf a b"]);
    assert_eq!(commands(&["{}", "x", ":::", "a b"]), ["a b x"]);
    assert_eq!(commands(&["x{}", "{}", ":::", "a b"]), ["xa b a b"]);
    assert_eq!(commands(&["{#}", "{}", ":::", "a b"]), ["1 a b"]);
    assert_eq!(commands(&["V={}", "x", ":::", "a b"]), ["V='a b' x"]);
    assert_eq!(commands(&[" {}", ":::", "a b"]), [" 'a b'"]);
}

#[test]
fn other_braces_stay() {
    assert_eq!(
        commands(&["echo", "{ } {1..} {1.x} {/1} {{}} ${x} {##} {a,b}", ":::", "v"]),
        ["echo { } {1..} {1.x} {/1} {v} ${x} {##} {a,b}"]
    );
    assert_eq!(commands(&["awk '{print}'", ":::", "v"]), ["awk '{print}' v"]);
    assert_eq!(commands(&["echo {", ":::", "v"]), ["echo { v"]);
}

#[test]
fn values_come_from_standard_input_by_default() {
    assert_eq!(
        filled(&["echo"], "a b\n\nc\r\n#d\n  e  \n{}"),
        Ok(vec![
            "echo 'a b'".to_owned(),
            "echo ''".to_owned(),
            "echo c".to_owned(),
            "echo '#d'".to_owned(),
            "echo '  e  '".to_owned(),
            "echo '{}'".to_owned(),
        ])
    );
    assert_eq!(filled(&["echo"], ""), Ok(Vec::new()));
    assert_eq!(
        filled(&["echo", ":::", "1", "2", "::::", "-"], "a\nb\n"),
        Ok(["echo 1 a", "echo 1 b", "echo 2 a", "echo 2 b"].map(str::to_owned).to_vec())
    );
}

#[test]
fn each_file_is_a_source() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (f, g) = (path("f", "x\ny\n"), path("g", "p\n\nq r"));
    assert_eq!(
        commands(&["echo", "::::", &f, &g]),
        ["echo x p", "echo x ''", "echo x 'q r'", "echo y p", "echo y ''", "echo y 'q r'"]
    );
    assert_eq!(
        commands(&["echo", ":::", "a", "b", "::::+", &g, &f]),
        ["echo a p x", "echo b '' y"]
    );
}

#[test]
fn all_errors_are_found_at_once() {
    assert_eq!(
        filled(&["echo {3} {0} {%} {= s/a/b/ =} {2 $_=1}", "::::", "no/such", ":::", "a"], ""),
        Err("no/such: cannot be read: No such file or directory (os error 2)\n\
             command: no values for {3}: expected a position from 1 to 2, or from -1 to -2\n\
             command: no values for {0}: expected a position from 1 to 2, or from -1 to -2\n\
             command: {%} is not supported\n\
             help: a job's slot is in its variable GJOB_SLOT\n\
             command: {= s/a/b/ =} is not supported: expected {}, {.}, {/}, {//}, {/.}, {#}, {1} or {1.}"
            .to_owned())
    );
    assert_eq!(
        filled(&["echo", "::::", "-", "-", "::::+"], "a\0b\n").unwrap_err(),
        "command: standard input is named twice: expected one source that reads it\n\
         standard input:1: value contains a NUL byte: expected text without it\n\
         help: values that end in NUL, as find -print0 writes them: gjob run -0 …\n\
         command: no file after ::::+: expected files with one value per line"
    );
    assert_eq!(
        filled(&[":::", "true", " "], "").unwrap_err(),
        "job 2: no command: expected at least one that is not blank"
    );
}

#[test]
fn number_of_combinations_is_limited() {
    let mut words = vec!["echo"];
    for _ in 0..70 {
        words.extend([":::", "a", "b"]);
    }
    assert_eq!(
        filled(&words, "").unwrap_err(),
        "command: too many jobs: expected at most 10000000"
    );
}

#[test]
fn values_are_filled_into_options_too_and_are_the_jobs_parameters() {
    let defaults = JobDraft {
        name: Some("{1/.}-{2}".into()),
        outputs: vec!["{/}*.csv".into(), "log".into()],
        env: [("SEED".into(), "{2}{#}".into()), ("PLAIN".into(), "${X}".into())].into(),
        ..JobDraft::default()
    };
    let words = ["run", "{1}", ":::", "in/a[1].dat", ":::", "7", "8"];
    let jobs = Arguments::new(words).read(&defaults, &mut std::io::empty()).unwrap();
    let spec = &jobs.specs()[1];
    assert_eq!(spec.name.as_deref(), Some("a[1]-8"));
    assert_eq!(spec.outputs, ["a[[]1].dat 8*.csv", "log"]);
    assert_eq!(spec.env["SEED"], "82");
    assert_eq!(spec.env["PLAIN"], "${X}");
    assert_eq!(spec.params, [("1".into(), "in/a[1].dat".into()), ("2".into(), "8".into())].into());
}

#[test]
fn wrong_position_in_an_option_is_refused() {
    let defaults = JobDraft { name: Some("{3}".into()), ..JobDraft::default() };
    let error = Arguments::new(["echo", ":::", "a"]).read(&defaults, &mut std::io::empty());
    assert!(error.unwrap_err().to_string().contains("{3}"));
}

/// The commands, names and parameters of a command line whose values have names.
fn named(words: &[&str], stdin: &str) -> Result<Vec<(String, String, String)>, String> {
    let arguments = Arguments::new(words.iter().copied()).with_header(true);
    let defaults = JobDraft { name: Some("n-{lr}".to_owned()), ..JobDraft::default() };
    let jobs = arguments.read(&defaults, &mut stdin.as_bytes());
    let jobs = jobs.map_err(|errors| errors.to_string())?;
    let described = |spec: &gjob_core::JobSpec| {
        let params: Vec<String> =
            spec.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (spec.cmds.concat(), spec.name.clone().unwrap_or_default(), params.join(" "))
    };
    Ok(jobs.specs().iter().map(described).collect())
}

#[test]
fn first_values_are_names_with_a_header() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("data");
    std::fs::write(&file, "data\na/x.csv\n").unwrap();
    let file = file.to_str().unwrap();
    let words = ["f", "{lr}", "{data/.}", "${lr}", "{1}", "{a,b}"];
    let words = [&words[..], &[":::", "lr", "0.1", "2", "::::", file]].concat();
    let job = |lr: &str| {
        let command = format!("f {lr} x ${{lr}} {lr} {{a,b}}");
        (command, format!("n-{lr}"), format!("data=a/x.csv lr={lr}"))
    };
    assert_eq!(named(&words, ""), Ok(vec![job("0.1"), job("2")]));
    // On standard input, too, and appended without a placeholder.
    let jobs = named(&["f"], "lr\n7\n").unwrap();
    assert_eq!(jobs, [("f 7".to_owned(), "n-7".to_owned(), "lr=7".to_owned())]);
}

#[test]
fn header_without_a_usable_name_is_refused() {
    let error = |words: &[&str]| named(words, "").unwrap_err();
    assert!(
        error(&["f", ":::", "0.1", "2"]).contains("invalid name \"0.1\" of the values of list 1")
    );
    assert!(error(&["f", ":::", "lr", "1", ":::", "lr", "2"]).contains("two lists of values"));
    assert!(error(&["f", ":::", "lr", "1", ":::"]).contains("expected it as the first of list 2"));
}
