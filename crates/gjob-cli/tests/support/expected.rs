//! What an invocation has to print and how it has to end. Nothing printed and
//! exit status 0 unless a test says otherwise: unexpected output fails.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use snapbox::{Assert, Data, IntoData, Redactions};

use super::Answer;

/// `SNAPSHOTS=overwrite` writes what was printed over what was expected.
const ACTION: &str = "SNAPSHOTS";

pub(crate) struct Expected {
    code: i32,
    stdout: Data,
    stderr: Data,
    /// Of lines on stderr.
    unordered: bool,
    /// Of columns on stdout.
    any_width: bool,
    redactions: Redactions,
}

impl Expected {
    /// For a program in this directory, of which texts name `[PLACE]` instead.
    pub(super) fn in_place(dir: &Path) -> Self {
        let mut redactions = Redactions::new();
        redactions.insert("[PLACE]", dir.to_owned()).unwrap();
        for (placeholder, pattern) in &*PATTERNS {
            redactions.insert(placeholder, pattern).unwrap();
        }
        Expected {
            code: 0,
            stdout: "".into_data(),
            stderr: "".into_data(),
            unordered: false,
            any_width: false,
            redactions,
        }
    }

    pub(super) fn code(&mut self, code: i32) {
        self.code = code;
    }

    pub(super) fn stdout(&mut self, text: impl IntoData) {
        self.stdout = text.into_data();
    }

    pub(super) fn stderr(&mut self, text: impl IntoData) {
        self.stderr = text.into_data();
    }

    pub(super) fn redact(&mut self, placeholder: &'static str, value: &str) {
        self.redactions.insert(placeholder, value.to_owned()).unwrap();
    }

    /// Redacts job ids as a whole and the hosts of jobs, and lets the lines on stderr
    /// come in any order.
    pub(super) fn side_by_side(&mut self) {
        self.unordered = true;
        // The longest pattern is applied first.
        let job = format!("(?<redacted>{}/{DATE}-[0-9]+)(?:){{9}}", regex::escape(&host()));
        self.redactions.insert("[JOB]", Regex::new(&job).unwrap()).unwrap();
        let on = r"(start|ok|FAILED) #.* on (?<redacted>h\d)(:| \(| in )";
        self.redactions.insert("[ANY]", Regex::new(on).unwrap()).unwrap();
    }

    /// Lets the columns on stdout be as wide as what is redacted in them.
    pub(super) fn any_width(&mut self) {
        self.any_width = true;
    }

    /// Fails with all that differs.
    #[track_caller]
    pub(super) fn compare(self, command: &str, answer: &Answer) {
        let assert = Assert::new()
            .action_env(ACTION)
            .normalize_paths(false)
            .redact_with(self.redactions.clone());
        let stderr = without_dots(&answer.stderr);
        let stdout = if self.any_width { narrow(&answer.stdout) } else { answer.stdout.clone() };
        let expected = if self.unordered { self.stderr.unordered() } else { self.stderr };
        let texts = [("stdout", &stdout, self.stdout), ("stderr", &stderr, expected)];
        let mut differences = Vec::new();
        if answer.code != self.code {
            differences.push(format!("exit status {}, expected {}", answer.code, self.code));
        }
        for (name, actual, expected) in texts {
            let compared = assert.try_eq(Some(&name), actual.as_str().into_data(), expected);
            differences.extend(compared.err().map(|error| error.to_string()));
        }
        assert!(differences.is_empty(), "{command}\n{}", differences.join("\n"));
    }
}

/// Without the rows of dots, which depend on how fast everything is.
fn without_dots(stderr: &str) -> String {
    stderr.split_inclusive('\n').filter(|line| !line.starts_with("WAIT .")).collect()
}

/// With two blanks between columns, however wide they are.
fn narrow(stdout: &str) -> String {
    static BLANKS: LazyLock<Regex> = LazyLock::new(|| Regex::new(" {3,}").unwrap());
    BLANKS.replace_all(stdout, "  ").into_owned()
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

const DATE: &str = "20[0-9]{2}-[0-9]{2}-[0-9]{2}";

const DURATION: &str = r"(<1m?s|(\d+(\.\d+)?(ms|[dhms]))+)";

/// What differs from run to run, and what stands for it in expected texts.
static PATTERNS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let host = regex::escape(&host());
    // snapbox applies the longest pattern first.
    let patterns = [
        ("[HOST]", format!("(?<redacted>{host})/{DATE}-[0-9]+")),
        ("[HOST]", format!("\"hostname\": \"(?<redacted>{host})\"")),
        ("[TIME]", format!(r"{DATE}T\d\d:\d\d:\d\d(\.\d+)?Z")),
        ("[ELAPSED]", format!(" (in|for|after|about) (?<redacted>{DURATION})\\b")),
        ("[ELAPSED]", format!(", (?<redacted>{DURATION}) of CPU time")),
        ("[ELAPSED]", format!("  (?<redacted>{DURATION})  ")),
        (
            "[MEMORY]",
            r", (?<redacted>[\d.]+[KMG] of memory(, \w+ read)?(, \w+ written)?), ".to_owned(),
        ),
        ("[CLOCK]", format!(r"{DATE} \d\d:\d\d(:\d\d)?\b")),
        ("[DATE]", format!(r"\b{DATE}\b")),
        ("[PORT]", r"\bport (?<redacted>\d+)\b".to_owned()),
        ("[PID]", r"\bpid (?<redacted>\d+)\b".to_owned()),
    ];
    patterns.map(|(placeholder, pattern)| (placeholder, Regex::new(&pattern).unwrap())).into()
});
