//! One job per line, as a JSON object.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::draft::JobDraft;
use super::errors::Collector;
use super::fields::{self, message};
use super::lines::Line;
use super::problem::Problem;

/// The job of a line; none if it is blank or wrong, which goes to `errors`.
pub(super) fn parse_line(line: Line<'_>, errors: &mut Collector) -> Option<JobDraft> {
    if line.text.trim().is_empty() {
        return None;
    }
    // Most lines are right; the others are taken apart to find what is wrong.
    // serde would take an array for a job too.
    if line.text.trim_start().starts_with('{')
        && let Ok(draft) = serde_json::from_str(line.text)
    {
        return Some(draft);
    }
    explain(line, errors);
    None
}

/// Finds what is wrong with a line that is not a job: at least one thing.
fn explain(line: Line<'_>, errors: &mut Collector) {
    let members: Members<'_> = match serde_json::from_str(line.text) {
        Ok(members) => members,
        Err(error) => {
            let place = line.column(error.column().max(1));
            errors.push(place, Problem::Json(message(&error)));
            return;
        }
    };
    let mut seen = HashSet::new();
    let mut is_right = true;
    let mut end = 0;
    for (name, raw) in members.0 {
        let start = offset(raw, line.text);
        let name_column = name_column(line.text, end);
        end = start + raw.get().len();
        let wrong = if !seen.insert(fields::canonical(&name).to_owned()) {
            Some((name_column, Problem::DuplicateField(name)))
        } else {
            let value = serde_json::from_str(raw.get()).unwrap_or_default();
            fields::problem(&name, value).map(|problem| match problem {
                Problem::UnknownField { .. } => (name_column, problem),
                of_value => (start + 1, of_value),
            })
        };
        if let Some((column, problem)) = wrong {
            is_right = false;
            errors.push(line.column(column), problem);
        }
    }
    // What is left is wrong with the object as a whole.
    if is_right && let Err(error) = serde_json::from_str::<JobDraft>(line.text) {
        errors.push(line.place(), Problem::Json(message(&error)));
    }
}

/// Where in a line one of its values starts, from 0.
fn offset(raw: &RawValue, line: &str) -> usize {
    raw.get().as_ptr().addr().saturating_sub(line.as_ptr().addr())
}

/// The column of the first quote after `end`, the end of the previous member.
fn name_column(line: &str, end: usize) -> usize {
    let rest = line.get(end..).unwrap_or_default();
    end + rest.find('"').unwrap_or(0) + 1
}

/// The members of a JSON object in order, duplicates included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gjob_core::JobSpec;
    use gjob_core::dependency::After;
    use gjob_core::resources::Cpus;

    use super::JobDraft;
    use crate::jobfile::{Format, JobFileErrors, Jobs, parse};

    fn jobs(text: &str) -> Result<Jobs, JobFileErrors> {
        parse("jobs", text.as_bytes(), Format::JsonLines, &JobDraft::default())
    }

    fn spec(line: &str) -> JobSpec {
        jobs(line).unwrap_or_else(|e| panic!("{line}: {e}")).specs()[0].clone()
    }

    fn errors(text: &str) -> String {
        jobs(text).unwrap_err().to_string()
    }

    #[test]
    fn line_is_a_job_specification() {
        let full = r#"{"cmds":["a","b"],"files":["f"],"name":"n","env":{"A":"b"},"timeout":1.5,"retries":2}"#;
        let expected = JobSpec::new(["a", "b"])
            .unwrap()
            .files(["f"])
            .name("n")
            .env("A", "b")
            .timeout(Duration::from_millis(1500))
            .retries(2);
        assert_eq!(spec(full), expected);
        assert_eq!(spec("{\"cmds\":\"a\"}\r\n"), JobSpec::new(["a"]).unwrap());
    }

    #[test]
    fn timeout_may_have_units() {
        let timeout = |value: &str| spec(&format!(r#"{{"cmds":"a","timeout":{value}}}"#)).timeout;
        assert_eq!(timeout("90"), Some(Duration::from_secs(90)));
        assert_eq!(timeout("\"90\""), Some(Duration::from_secs(90)));
        assert_eq!(timeout("\"1h30m\""), Some(Duration::from_secs(5400)));
        assert_eq!(timeout("null"), None);
    }

    #[test]
    fn values_may_be_written_as_people_do() {
        let line =
            r#"{"commands":"a","files":"f","mem":"8G","cpus":"all","after":0,"env":{"A":1}}"#;
        let spec = spec(line);
        assert_eq!((spec.mem, spec.cpus), (Some(8 << 30), Cpus::All));
        assert_eq!((spec.files.len(), spec.after), (1, vec![After::Job(0)]));
        assert_eq!(spec.env["A"], "1");
    }

    #[test]
    fn job_may_be_bound_to_hosts_and_labels() {
        let one = spec(r#"{"cmds":"a","host":"h1","label":"a100"}"#);
        assert_eq!((one.hosts, one.labels), (vec!["h1".into()], vec!["a100".into()]));
        let several = spec(r#"{"cmds":"a","hosts":["h[1-2]","gpu*"],"labels":["a","b"]}"#);
        assert_eq!((several.hosts.len(), several.labels.len()), (2, 2));
        let defaults = JobDraft { hosts: vec!["h1".into()], ..JobDraft::default() };
        let text = "{\"cmds\":\"a\",\"host\":\"h2\"}\n{\"cmds\":\"a\"}";
        let jobs = parse("jobs", text.as_bytes(), Format::JsonLines, &defaults).unwrap();
        let hosts: Vec<_> = jobs.specs().iter().map(|spec| spec.hosts.concat()).collect();
        assert_eq!(hosts, ["h2", "h1"], "a job's own count alone");
        assert_eq!(
            errors(
                r#"{"cmds":"a","host":"a b","labels":["x"]}
{"cmds":"a","host":"h1","hosts":"h2","label":1}"#
            ),
            "jobs:1: invalid host \"a b\": expected names with commas between them, such as h1, \
             node[1-4], gpu* or @GROUP\n\
             jobs:2:25: duplicate field \"hosts\"\n\
             jobs:2:46: field \"label\": invalid type: integer `1`, expected a string"
        );
    }

    #[test]
    fn defaults_fill_in_what_a_line_leaves_out() {
        let defaults = JobDraft {
            files: vec!["g".into()],
            cpus: Some(Cpus::All),
            gpus: Some(2),
            mem: Some(7),
            repeat: Some(5),
            env: [("A".into(), "default".into()), ("B".into(), "b".into())].into(),
            ..JobDraft::default()
        };
        let text = r#"{"cmds":"a","cpus":1,"gpus":0,"repeat":3,"env":{"A":"own"},"files":"f"}
{"cmds":"a"}"#;
        let jobs = parse("jobs", text.as_bytes(), Format::JsonLines, &defaults).unwrap();
        assert_eq!(jobs.repeats(), [3, 5]);
        let spec = |index: usize| &jobs.specs()[index];
        assert_eq!((spec(0).cpus, spec(0).gpus, spec(0).mem), (Cpus::Count(1), 0, Some(7)));
        assert_eq!((spec(1).cpus, spec(1).gpus, spec(1).mem), (Cpus::All, 2, Some(7)));
        assert_eq!(
            (&spec(0).files, &spec(1).files),
            (&vec!["f".into(), "g".into()], &vec!["g".into()])
        );
        assert_eq!((spec(0).env["A"].as_str(), spec(0).env["B"].as_str()), ("own", "b"));
    }

    #[test]
    fn invalid_values_are_refused_with_their_columns() {
        assert_eq!(
            errors(
                r#"{"cmds":"a","mem":"much","cpus":1.5,"after":[-1],"repeat":-1,"commands":"b"}
{"cmds":"a","after":[[2,1]]}"#
            ),
            "jobs:1:19: field \"mem\": invalid size \"much\": expected bytes (4096) or units (500M, \
             1.5G, 2T)\n\
             jobs:1:33: field \"cpus\": invalid type: floating point `1.5`, expected a number of \
             processors or \"all\"\n\
             jobs:1:45: field \"after\": invalid value: integer `-1`, expected a job's name, or \
             its number from 0\n\
             jobs:1:59: field \"repeat\": invalid value: integer `-1`, expected a whole number from 0\n\
             jobs:1:62: duplicate field \"commands\"\n\
             jobs:2:21: field \"after\": invalid range [2, 1]: expected the lower number first"
        );
    }

    #[test]
    fn unknown_field_is_refused_with_the_nearest_one() {
        assert_eq!(
            errors(r#"{"cmds":["a"], "fles":[]}"#),
            "jobs:1:16: unknown field \"fles\": expected one of commands, files, link, outputs, \
             name, env, params, timeout, retries, cpus, affinity, gpus, mem, retry_mem, hosts, \
             labels, after, pipefail, shell, repeat\n\
             help: did you mean \"files\"?"
        );
        let message = errors(r#"{"cmds":["a"],"priority":1}"#);
        assert!(message.starts_with("jobs:1:15: unknown field \"priority\": "));
        assert!(!message.contains("help:"), "{message}");
    }

    #[test]
    fn all_errors_of_all_lines_are_found_at_once() {
        let text = concat!(
            "{\"cmds\":[\"a\"],\"retries\":\"x\",\"timeout\":\"soon\",\"name\":\"n\",\"name\":\"m\"}\n",
            "\n",
            "{\"cmds\":[\"a\"\n",
            "[[\"a\"]]\n",
            "{\"name\":\"n\"}\n",
            "{\"cmds\":[]}\n",
            "{\"cmds\":3,\"timeout\":-1}\n",
            "{\"cmds\":\"a\"} x\n",
        );
        assert_eq!(
            errors(text),
            "jobs:1:25: field \"retries\": invalid type: string \"x\", expected a whole number from 0\n\
             jobs:1:39: field \"timeout\": invalid duration \"soon\": expected seconds (90) or units \
             (500ms, 1h30m, 2d)\n\
             jobs:1:57: duplicate field \"name\"\n\
             jobs:3:12: invalid job: EOF while parsing a list\n\
             help: a job is a JSON object such as {\"cmds\": [\"echo hello\"]}\n\
             jobs:4:1: invalid job: invalid type: sequence, expected an object\n\
             help: a job is a JSON object such as {\"cmds\": [\"echo hello\"]}\n\
             jobs:5: invalid job: missing field `cmds`\n\
             help: a job is a JSON object such as {\"cmds\": [\"echo hello\"]}\n\
             jobs:6: no command: expected at least one that is not blank\n\
             jobs:7:9: field \"cmds\": invalid type: integer `3`, expected a string\n\
             jobs:7:21: field \"timeout\": invalid duration \"-1\": expected 0 or more\n\
             jobs:8:14: invalid job: trailing characters\n\
             help: a job is a JSON object such as {\"cmds\": [\"echo hello\"]}"
        );
    }
}
