//! The examples run.

mod support;

use std::path::PathBuf;

use snapbox::str;
use support::{Answer, Gjob, Place};

fn example(place: &Place, args: &[&str]) -> Gjob {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut all = vec!["run", "-k", "-j", "2"];
    all.extend(args);
    place.gjob(&all).current_dir(&examples)
}

fn done(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.code, 0, "{answer:?}");
    answer.stdout.lines().collect()
}

#[test]
fn pi_is_estimated() {
    let place = Place::new();
    let answer = example(&place, &["pi.txt", "-n", "3", "--show", "all"]).output();
    let estimates = done(&answer);
    assert_eq!(estimates.len(), 3);
    assert!(estimates.iter().all(|pi| pi.starts_with("3.1")), "{estimates:?}");
}

#[test]
fn sweeps_in_toml_and_python_are_equal() {
    let place = Place::new();
    let answer = example(&place, &["sweep.py", "--show", "all"]).output();
    let python = done(&answer);
    let parameters: Vec<String> =
        python.iter().map(|line| line.split('\t').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(parameters, ["0.1 1", "0.1 2", "0.1 3", "0.01 1", "0.01 2", "0.01 3"]);
    assert_eq!(place.of_jobs("name")[5], "fit-0.01-3");
    let answer = example(&place, &["sweep.toml", "--show", "all"]).output();
    assert_eq!(done(&answer), python);
    let json = |name| example(&place, &[name, "--dry-run", "--json"]).output().stdout;
    assert_eq!(json("sweep.toml"), json("sweep.py"));
}

#[test]
fn sweep_in_python_takes_rates() {
    let place = Place::new();
    let answer = example(&place, &["sweep.py", "--show", "all", "--", "0.3"]).output();
    assert!(done(&answer).iter().all(|line| line.starts_with("0.3\t")), "{answer:?}");
}

#[test]
fn gpu_sweep_has_its_combinations() {
    let place = Place::new();
    example(&place, &["gpu-sweep.toml", "--dry-run"])
        .stdout(str![[r#"
host :, 2 slots
job 0 resnet50-fp32
    commands: nvidia-smi --query-gpu=name --format=csv,noheader
              python3 train.py --model resnet50 --precision fp32 --batch 64 > metrics.csv
    outputs:  metrics.csv
    params:   batch="64"
              model="resnet50"
              precision="fp32"
    timeout:  12h
    retries:  1
    cpus:     4
    gpus:     1
    mem:      16G
job 1 resnet50-bf16
    commands: nvidia-smi --query-gpu=name --format=csv,noheader
              python3 train.py --model resnet50 --precision bf16 --batch 64 > metrics.csv
    outputs:  metrics.csv
    params:   batch="64"
              model="resnet50"
              precision="bf16"
    timeout:  12h
    retries:  1
    cpus:     4
    gpus:     1
    mem:      16G
job 2 vit-b-fp32
    commands: nvidia-smi --query-gpu=name --format=csv,noheader
              python3 train.py --model vit-b --precision fp32 --batch 64 > metrics.csv
    outputs:  metrics.csv
    params:   batch="64"
              model="vit-b"
              precision="fp32"
    timeout:  12h
    retries:  1
    cpus:     4
    gpus:     1
    mem:      16G
job 3 vit-b-bf16
    commands: nvidia-smi --query-gpu=name --format=csv,noheader
              python3 train.py --model vit-b --precision bf16 --batch 64 > metrics.csv
    outputs:  metrics.csv
    params:   batch="64"
              model="vit-b"
              precision="bf16"
    timeout:  12h
    retries:  1
    cpus:     4
    gpus:     1
    mem:      16G
job 4 vit-l-bf16
    commands: nvidia-smi --query-gpu=name --format=csv,noheader
              python3 train.py --model vit-l --precision bf16 --batch 16 > metrics.csv
    outputs:  metrics.csv
    params:   batch="16"
              model="vit-l"
              precision="bf16"
    timeout:  12h
    retries:  1
    cpus:     4
    gpus:     1
    mem:      16G
job 5 vit-h-bf16
    commands: nvidia-smi --query-gpu=name --format=csv,noheader
              python3 train.py --model vit-h --precision bf16 --batch 8 > metrics.csv
    outputs:  metrics.csv
    params:   batch="8"
              model="vit-h"
              precision="bf16"
    timeout:  12h
    retries:  1
    cpus:     4
    gpus:     1
    mem:      16G

"#]])
        .run();
}

#[test]
fn second_stage_of_the_pipeline_follows_the_first() {
    let place = Place::new();
    let out = place.path("out").display().to_string();
    let answer = example(&place, &["pipeline.toml", "--show", "all", "--into", &out]).output();
    assert_eq!(done(&answer), ["10000"]);
}

#[test]
fn job_file_of_the_original_runs_unchanged() {
    let place = Place::new();
    let answer = example(&place, &["classic.py", "--show", "all"]).output();
    let lines = done(&answer);
    assert_eq!(lines.len(), 9);
    assert!(lines[2].starts_with("0.20\t0\t") && lines[7].starts_with("0.10\t1\t"), "{lines:?}");
    assert_eq!(lines[8], "all of 2 rates");
    let names = place.of_jobs("name");
    assert_eq!((&names[1], &names[2]), (&"layer1-rate0.10".into(), &"layer2-rate0.10".into()));
    assert!(answer.stderr.starts_with("adding layer1-rate0.10\n"), "{}", answer.stderr);
}
