//! Which files of a job directory are its outputs, and which paths a host may
//! name at all. Both ends go by these rules; neither trusts the other to.

use std::fmt;

/// The longest path of an output, bytes.
pub const MAX_PATH: usize = 4096;

/// The longest component of a path, bytes.
pub const MAX_COMPONENT: usize = 255;

/// The most components of a path.
pub const MAX_DEPTH: usize = 64;

/// The most files and directories that are brought back of one job.
pub const MAX_ENTRIES: u64 = 100_000;

/// Names in a job directory that belong to gjob.
pub const RESERVED_NAMES: [&str; 12] = [
    ".cmds",
    ".job",
    ".pid",
    ".done",
    ".done.new",
    ".done.again",
    ".lock",
    ".control",
    ".controlled",
    ".controlling",
    "log",
    "err",
];

/// Names that are outputs only when a pattern names them as they are.
const ONLY_BY_NAME: [&str; 2] = ["log", "err"];

/// One of a job's output patterns: a path below the job directory in which
/// `*`, `?` and `[a-z]` stand for parts of a name, and `**` for any number of
/// directories. As in a shell, a name's leading dot has to be given. What
/// matches a directory brings all that is in it.
#[derive(Clone, Debug)]
pub struct OutputPattern {
    text: String,
    pattern: glob::Pattern,
    literal: bool,
}

/// What is wrong with a pattern. Reads on from the pattern itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It may lead out of the job directory.
    #[error("is no path below the job directory: one without a leading /, . and .. is accepted")]
    Outside,
    /// It can't be a path.
    #[error("is no path: up to {MAX_PATH} bytes without control characters are accepted")]
    NoPath,
    /// A malformed wildcard.
    #[error("is no pattern: *, ?, [a-z] and, as a whole component, ** are accepted")]
    Malformed,
    /// gjob's own file.
    #[error("is a file of gjob's own: what the job writes, log and err are accepted")]
    Reserved,
}

impl OutputPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it is malformed, or could match something outside the job directory.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let path = text.strip_suffix('/').unwrap_or(text);
        let path = path.strip_prefix("./").unwrap_or(path);
        check_path(path).map_err(|error| match error {
            PathError::Outside => PatternError::Outside,
            PathError::Malformed => PatternError::NoPath,
        })?;
        if RESERVED_NAMES.contains(&path) && !ONLY_BY_NAME.contains(&path) {
            return Err(PatternError::Reserved);
        }
        // Whatever matches is looked for component by component: no [a-z] spans two.
        if path.split('/').any(|part| glob::Pattern::new(part).is_err()) {
            return Err(PatternError::Malformed);
        }
        let pattern = glob::Pattern::new(path).map_err(|_| PatternError::Malformed)?;
        let literal = !path.contains(['*', '?', '[', ']']);
        Ok(OutputPattern { text: path.to_owned(), pattern, literal })
    }

    /// True when `path`, below the job directory, is matched itself.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        if self.literal {
            return self.text == path;
        }
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        !RESERVED_NAMES.contains(&path) && self.pattern.matches_with(path, options)
    }

    /// The path it names, if it has no wildcard.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        self.literal.then_some(self.text.as_str())
    }

    /// True when something below the directory `path` might match: it need not
    /// be looked through else.
    #[must_use]
    pub fn may_match_below(&self, path: &str) -> bool {
        let mut wanted = self.text.split('/');
        for name in path.split('/') {
            match wanted.next() {
                None => return false,
                Some("**") => return true,
                Some(part) => {
                    let fits = glob::Pattern::new(part).is_ok_and(|part| part.matches(name));
                    if !fits {
                        return false;
                    }
                }
            }
        }
        wanted.next().is_some()
    }
}

impl fmt::Display for OutputPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It is absolute, or has a component that leads elsewhere.
    #[error("leads out of its directory")]
    Outside,
    /// It is empty, too long, too deep, or holds a control character.
    #[error("is no acceptable path")]
    Malformed,
}

/// Accepts relative paths of plain components, and no others.
///
/// # Errors
/// When the path is anything else.
pub fn check_path(path: &str) -> Result<(), PathError> {
    if path.is_empty() || path.len() > MAX_PATH || path.chars().any(char::is_control) {
        return Err(PathError::Malformed);
    }
    if path.starts_with('/') || path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(PathError::Outside);
    }
    let fits = |part: &str| (1..=MAX_COMPONENT).contains(&part.len());
    if path.split('/').count() > MAX_DEPTH || !path.split('/').all(fits) {
        return Err(PathError::Malformed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        OutputPattern::new(pattern).unwrap().matches(path)
    }

    #[test]
    fn no_class_holds_a_slash() {
        for pattern in ["*[p*/]/*/**/c", "[a/b]", "a[/]b", "x/[!/]"] {
            assert_eq!(OutputPattern::new(pattern).unwrap_err(), PatternError::Malformed);
        }
        assert!(matches("[]a]/[!b]", "a/c"));
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        assert!(matches("out.csv", "out.csv"));
        assert!(matches("./out/", "out"));
        assert!(matches("*.csv", "a.csv"));
        assert!(!matches("*.csv", "d/a.csv"));
        assert!(matches("**/*.csv", "d/e/a.csv"));
        assert!(matches("**/*.csv", "a.csv"));
        assert!(!matches("*", ".hidden"));
        assert!(matches(".h*", ".hidden"));
        assert!(matches("p[0-9]", "p7"));
    }

    #[test]
    fn own_files_are_outputs_only_by_name() {
        assert!(!matches("*", "log"));
        assert!(!matches(".*", ".cmds"));
        assert!(matches("log", "log"));
        assert!(matches("d/*", "d/log"));
        assert_eq!(OutputPattern::new(".done").unwrap_err(), PatternError::Reserved);
    }

    #[test]
    fn what_leads_out_of_the_job_directory_is_refused() {
        for bad in
            ["", "/", "/etc/passwd", "..", "../x", "a/../b", "./.", "a//b", "a\nb", "[", "a/**b"]
        {
            assert!(OutputPattern::new(bad).is_err(), "{bad:?}");
        }
        assert!(check_path(&"a/".repeat(40_000)).is_err());
        assert!(check_path(&"a".repeat(256)).is_err());
        assert!(check_path("\u{1b}[2J").is_err());
        assert!(check_path("a b/ü").is_ok());
    }

    #[test]
    fn directories_where_nothing_can_match_need_not_be_looked_through() {
        let below =
            |pattern: &str, path: &str| OutputPattern::new(pattern).unwrap().may_match_below(path);
        assert!(below("a/*.csv", "a"));
        assert!(!below("a/*.csv", "b"));
        assert!(!below("a/*.csv", "a/b"));
        assert!(below("**/x", "a/b/c"));
        assert!(below("r*/x", "run1"));
    }
}
