//! The benchmark of `make bench`: its smallest work, its figures and its table.

#[path = "../benches/peers/bench.rs"]
mod bench;

use std::path::Path;
use std::process::ExitCode;

use bench::machine::file_system;
use bench::measurement::cpu_time;
use bench::report::{Entry, WorkReport};
use bench::statistics::Summary;
use bench::table;

#[test]
fn benchmark_measures_and_writes_its_report() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("report.json");
    let words = ["peers", "--peers", "gjob", "--only", "here", "--rounds", "1", "-o"];
    let args = words.into_iter().map(Into::into).chain([file.clone().into_os_string()]);
    assert_eq!(bench::main(args), ExitCode::SUCCESS);

    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let result = &report["works"][0]["results"][0];
    assert_eq!(result["program"], "gjob");
    assert!(result["summary"]["median"].as_f64().unwrap() > 0.0, "{report:#}");
}

#[test]
fn median_of_an_even_number_of_values_lies_between_the_middle_two() {
    assert_eq!(Summary::of(&[]), None);
    assert_eq!(Summary::of(&[3.0]), Some(Summary { median: 3.0, min: 3.0, max: 3.0 }));
    assert_eq!(Summary::of(&[9.0, 1.0, 2.0]), Some(Summary { median: 2.0, min: 1.0, max: 9.0 }));
    let four = Some(Summary { median: 3.0, min: 1.0, max: 8.0 });
    assert_eq!(Summary::of(&[8.0, 2.0, 1.0, 4.0]), four);
}

#[test]
fn rows_of_a_work_have_its_title_once() {
    let entry = |program: &str, jobs: usize, values: &[f64]| {
        let summary = Summary::of(values);
        let (values, own_cpu_us) = (values.to_vec(), vec![40.0]);
        Entry { jobs, values, summary, own_cpu_us, ..Entry::new(program) }
    };
    let gjob = Entry { fsyncs_per_job: Some(0.84), ..entry("gjob", 100, &[812.0, 740.0]) };
    let other = Entry { gjob_speed: Some(10.5), ..entry("parallel", 10, &[74.0]) };
    let work = WorkReport {
        name: "true-100".to_owned(),
        title: "100 × `true`".to_owned(),
        unit: "jobs/s",
        more_is_better: true,
        jobs: 100,
        shows_cpu: true,
        results: vec![gjob, other],
    };
    assert_eq!(
        table::rows(&work),
        "| 100 × `true` | gjob | 776 jobs/s | 740–812 |  | 40 |  | 0.840 |\n\
         |  | parallel (10 of 100) | 74.0 jobs/s |  | 10.5 | 40 |  |  |\n"
    );
}

#[test]
fn cpu_time_is_read_whatever_the_program_is_called() {
    let second = rustix::param::clock_ticks_per_second();
    let stat = format!("7 (a) b) S 1 7 7 0 -1 4 0 0 0 0 {second} 0 {} 0 20 0", 2 * second);
    assert_eq!(cpu_time(&stat), Some((1.0, 2.0)));
    assert_eq!(cpu_time("7 (a"), None);
}

#[test]
fn file_system_is_that_of_the_deepest_mount() {
    let mounts = "a / ext4 rw 0 0\nb /dev/shm tmpfs rw 0 0\nc /dev devtmpfs rw 0 0\n";
    assert_eq!(file_system(mounts, Path::new("/dev/shm/x")), "tmpfs");
    assert_eq!(file_system(mounts, Path::new("/device")), "ext4");
    assert_eq!(file_system("", Path::new("/")), "unknown");
}
