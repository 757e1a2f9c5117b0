//! `gjob table`: a row for each job.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::process::Command;

use serde_json::Value;
use snapbox::str;
use support::Place;

/// Runs a sweep whose jobs write a CSV file and print a JSON object; one of them fails.
fn sweep(place: &Place) {
    place.file(
        "jobs.toml",
        r#"
[[job]]
name = "fit-{rate}"
matrix = { rate = [0.10, 0.01, 3] }
commands = """
test {rate} != 3
printf 'epoch,loss\n1,{rate}\n2,0.5\n' > loss.csv
echo starting
echo '{"loss": {"best": {rate}}, "note": "a|b"}'
"""
outputs = "loss.csv"
"#,
    );
    let answer = place.gjob(&["run", "-q", "jobs.toml"]).output();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
}

fn table(place: &Place, args: &[&str]) -> String {
    let answer = place.gjob(&[&["table"], args].concat()).output();
    assert_eq!((answer.code, answer.stderr.as_str()), (0, ""));
    answer.stdout
}

/// Writes a table to a file; returns what is said of it.
fn write_table(place: &Place, args: &[&str]) -> String {
    let answer = place.gjob(&[&["table"], args].concat()).output();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, ""));
    answer.stderr
}

/// The named columns of a table in CSV.
fn columns(csv: &str, names: &[&str]) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let heads = reader.headers().unwrap().clone();
    let at = |name: &&str| heads.iter().position(|head| head == *name).unwrap();
    let at: Vec<usize> = names.iter().map(at).collect();
    let row = |row: csv::StringRecord| at.iter().map(|at| row[*at].to_owned()).collect();
    reader.records().map(|found| row(found.unwrap())).collect()
}

#[test]
fn table_has_a_row_for_each_job_and_for_each_of_its_results() {
    let place = Place::new();
    sweep(&place);
    let plain = table(&place, &[]);
    let heads = "index,name,rate,host,state,exit,attempt,started,ended,seconds,max_rss_kib,\
                 read_bytes,written_bytes";
    assert_eq!(plain.lines().next(), Some(heads));
    let names = ["index", "name", "rate", "state", "exit", "attempt"];
    assert_eq!(
        columns(&plain, &names),
        [
            ["0", "fit-0.10", "0.10", "done", "0", "1"],
            ["1", "fit-0.01", "0.01", "done", "0", "1"],
            ["2", "fit-3", "3", "error", "1", "1"],
        ]
    );
    let with_results = table(&place, &["loss.csv"]);
    assert_eq!(
        columns(&with_results, &["index", "epoch", "loss"]),
        [
            ["0", "1", "0.10"],
            ["0", "2", "0.5"],
            ["1", "1", "0.01"],
            ["1", "2", "0.5"],
            ["2", "", ""],
        ]
    );
    let printed = table(&place, &["log", "--job", "fit-0.*"]);
    assert_eq!(columns(&printed, &["loss.best", "note"]), [["0.1", "a|b"], ["0.01", "a|b"]]);
}

#[test]
fn every_format_has_the_same_cells() {
    let place = Place::new();
    sweep(&place);
    let json: Value =
        serde_json::from_str(&table(&place, &["l*.csv", "--format", "json"])).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 5);
    assert_eq!((&json[0]["rate"], &json[0]["loss"]), (&Value::from(0.1), &Value::from(0.1)));
    assert_eq!((&json[4]["state"], &json[4]["loss"]), (&Value::from("error"), &Value::Null));
    let lines = table(&place, &["loss.csv", "--format", "jsonl"]);
    let objects: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Value::from(objects), json);
    let markdown = table(&place, &["log", "--format", "markdown", "--job", "0"]);
    assert!(markdown.ends_with(" | 0.1 | a\\|b |\n"), "{markdown}");
    assert!(markdown.lines().nth(1).unwrap().starts_with("| --- | --- |"));
    write_table(&place, &["loss.csv", "-o", "table.db"]);
    let db = rusqlite::Connection::open(place.path("here/table.db")).unwrap();
    let sql = "SELECT count(*), sum(loss), sum(rate = 3 AND loss IS NULL) FROM jobs";
    let sums = db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!(sums, (5, 1.11, 1));
    assert_eq!(
        write_table(&place, &["-o", "table.csv"]),
        "gjob: wrote 3 rows of 13 columns to table.csv\n"
    );
    assert_eq!(std::fs::read_to_string(place.path("here/table.csv")).unwrap(), table(&place, &[]));
}

#[test]
fn python_reads_the_same_table() {
    let place = Place::new();
    sweep(&place);
    write_table(&place, &["loss.csv", "-o", "table.csv"]);
    let script = "import csv; rows = list(csv.DictReader(open('table.csv', newline=''))); \
                  print(len(rows), round(sum(float(row['loss'] or 0) for row in rows), 6))";
    let mut python = Command::new("python3");
    let output = python.args(["-c", script]).current_dir(place.path("here")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "5 1.11\n");
}

#[test]
fn columns_of_one_name_are_told_apart() {
    let place = Place::new();
    place.file(
        "jobs.jsonl",
        r#"{"commands": "echo '{\"State\": 1, \"index\": 2, \"x\": 3}'", "params": {"x": 4, "name": "n"}}"#,
    );
    assert_eq!(place.gjob(&["run", "-q", "jobs.jsonl"]).output().code, 0);
    let heads = table(&place, &["log"]).lines().next().unwrap().to_owned();
    assert!(heads.starts_with("index,name,param.name,x,host,"), "{heads}");
    assert!(heads.ends_with(",result.State,result.index,result.x"), "{heads}");
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_in_the_table() {
    let place = Place::new();
    let job = r#"{"commands": "printf 'a,b\n1,2%s\n' $GJOB_INDEX > r.csv", "outputs": "r.csv"}"#;
    let broken = r#"{"commands": "printf 'a,b\n1\n' > r.csv", "outputs": "r.csv"}"#;
    place.file("jobs.jsonl", &format!("{job}\n{broken}\n{job}\n"));
    assert_eq!(place.gjob(&["run", "-q", "jobs.jsonl"]).output().code, 0);
    let answer = place.gjob(&["table", "r.csv"]).output();
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.starts_with("gjob: job 1: r.csv: "), "{}", answer.stderr);
    assert_eq!(answer.stderr.lines().count(), 1, "{}", answer.stderr);
    assert_eq!(columns(&answer.stdout, &["b"]), [["20"], [""], ["22"]]);
    let answer = place.gjob(&["table", "other.csv"]).output();
    assert_eq!(answer.code, 0);
    assert!(answer.stderr.starts_with("gjob: 3 done jobs without rows in other.csv\nhelp: "));
}

#[test]
fn bad_input_is_refused() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    assert_eq!(place.gjob(&["run", "-q", "jobs.txt"]).output().code, 0);
    place
        .gjob(&["table", "-o", "table.xls"])
        .code(2)
        .stderr(str![[r#"
gjob: table.xls: expected a name that ends in .csv, .json, .jsonl, .md, .db or .sqlite, or --format

"#]])
        .run();
    place
        .gjob(&["table", "--format", "sqlite"])
        .code(2)
        .stderr(str![[r#"
gjob: SQLite needs a file: -o FILE

"#]])
        .run();
    place
        .gjob(&["table", "/etc/*.csv"])
        .code(2)
        .stderr(str![[r#"
gjob: invalid pattern "/etc/*.csv": leads out of the job directory: expected a path without a leading /, . and ..

"#]])
        .run();
    place
        .gjob(&["table", "-o", "missing/table.csv"])
        .code(3)
        .stderr(str![[r#"
gjob: missing/table.csv: No such file or directory (os error 2)

"#]])
        .run();
}

#[test]
fn what_is_no_file_is_written_to_and_a_link_stays_one() {
    let place = place_with_one_run();
    std::os::unix::fs::symlink("real.csv", place.path("here/link.csv")).unwrap();
    place.file("real.csv", "old");
    write_table(&place, &["-o", "link.csv"]);
    assert!(place.path("here/link.csv").is_symlink());
    assert!(std::fs::read_to_string(place.path("here/real.csv")).unwrap().starts_with("index,"));
    std::os::unix::fs::symlink("/dev/null", place.path("here/null")).unwrap();
    table(&place, &["-o", "null", "--format", "csv"]);
    let null = std::fs::metadata("/dev/null").unwrap();
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(&null.file_type()));
}

fn place_with_one_run() -> Place {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    assert_eq!(place.gjob(&["run", "-q", "jobs.txt"]).output().code, 0);
    place
}

#[test]
fn table_for_people_says_failed_and_others_keep_the_word_of_status() {
    let place = Place::new();
    place.file("jobs.txt", "exit 1\n");
    assert_eq!(place.gjob(&["run", "-q", "jobs.txt"]).output().code, 1);
    let shown = |args: &[&str]| place.gjob(&[&["table"], args].concat()).output().stdout;
    assert!(shown(&["--format", "markdown"]).contains("| failed |"));
    assert!(shown(&[]).contains(",error,"));
}
