//! Which files of a job directory are its outputs, and which paths a host may name at
//! all. Both ends apply these rules; neither relies on the other.

use std::fmt;

use crate::jobdir::{is_reserved, is_stream};
use crate::os_text::byte_len;

/// The longest path of an output, bytes.
pub const MAX_PATH: usize = 4096;

/// The longest component of a path, bytes.
pub const MAX_COMPONENT: usize = 255;

/// The most components of a path.
pub const MAX_DEPTH: usize = 64;

/// The most files and directories that are fetched of one job.
pub const MAX_ENTRIES: u64 = 100_000;

/// How names are matched.
const AS_IN_SHELLS: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// One of a job's output patterns: a path below the job directory in which `*`, `?`
/// and `[a-z]` stand for parts of a name, and `**` for any number of directories. As
/// in a shell, the leading dot of a name has to be written. A pattern that matches a
/// directory fetches everything in it.
#[derive(Clone, Debug)]
pub struct OutputPattern {
    text: String,
    parts: Vec<Part>,
    literal: bool,
}

/// One component of a pattern.
#[derive(Clone, Debug)]
enum Part {
    /// `**`.
    AnyDirs,
    /// A name, or one with wildcards in it.
    Name(glob::Pattern),
}

impl Part {
    fn new(text: &str) -> Result<Self, PatternError> {
        match text {
            "**" => Ok(Part::AnyDirs),
            text if text.contains("**") => Err(PatternError::Malformed),
            text => glob::Pattern::new(text).map(Part::Name).map_err(|_| PatternError::Malformed),
        }
    }
}

/// What is wrong with a pattern. Reads on from the pattern itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It may lead out of the job directory.
    #[error("leads out of the job directory: expected a path without a leading /, . and ..")]
    Outside,
    /// It cannot be a path.
    #[error(
        "is not a path: expected at most {MAX_PATH} bytes, at most {MAX_COMPONENT} of each name, without NUL"
    )]
    NoPath,
    /// A malformed wildcard.
    #[error("is not a pattern: expected *, ?, [a-z] or, as a whole component, **")]
    Malformed,
    /// gjob's own file.
    #[error("is gjob's own file: expected a file of the job, log or err")]
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
        if is_reserved(path) && !is_stream(path) {
            return Err(PatternError::Reserved);
        }
        let parts = path.split('/').map(Part::new).collect::<Result<_, _>>()?;
        let literal = !path.contains(['*', '?', '[', ']']);
        Ok(OutputPattern { text: path.to_owned(), parts, literal })
    }

    /// True when `path`, below the job directory, is matched itself.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        if self.literal {
            return self.text == path;
        }
        !is_reserved(path) && self.reached_by(path) >> self.parts.len() == 1
    }

    /// True when `path` is matched itself, or is in a directory that is.
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        self.matches(path) || path.match_indices('/').any(|(end, _)| self.matches(&path[..end]))
    }

    /// The path it names, if it has no wildcard.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        self.literal.then_some(self.text.as_str())
    }

    /// True when something below the directory `path` might match; otherwise it need
    /// not be searched.
    #[must_use]
    pub fn may_match_below(&self, path: &str) -> bool {
        self.reached_by(path) & ((1 << self.parts.len()) - 1) != 0
    }

    /// How many of the pattern's parts, counted from the first, can stand for all of
    /// a path's components: one bit for each number that is possible. This takes one
    /// pass over the components, however many wildcards there are; there are at most
    /// [`MAX_DEPTH`] parts.
    fn reached_by(&self, path: &str) -> u128 {
        let mut reached = self.pass_dirs(1);
        for name in path.split('/') {
            let mut next = 0;
            for (at, part) in self.parts.iter().enumerate() {
                if reached & (1 << at) == 0 {
                    continue;
                }
                let is_last = at + 1 == self.parts.len();
                next |= match part {
                    Part::AnyDirs if name.starts_with('.') => 0,
                    Part::AnyDirs if is_last => 0b11 << at,
                    Part::AnyDirs => 1 << at,
                    Part::Name(part) if part.matches_with(name, AS_IN_SHELLS) => 0b10 << at,
                    Part::Name(_) => 0,
                };
            }
            reached = self.pass_dirs(next);
        }
        reached
    }

    /// `**` can also stand for no directory, unless it is the last part.
    fn pass_dirs(&self, mut reached: u128) -> u128 {
        for at in 0..self.parts.len().saturating_sub(1) {
            if matches!(self.parts[at], Part::AnyDirs) && reached & (1 << at) != 0 {
                reached |= 0b10 << at;
            }
        }
        reached
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
    /// It is empty, too long, too deep, or holds a NUL.
    #[error("is not an acceptable path")]
    Malformed,
}

/// Accepts only relative paths of plain components.
///
/// # Errors
/// When the path is anything else.
pub fn check_path(path: &str) -> Result<(), PathError> {
    if path.is_empty() || byte_len(path) > MAX_PATH || path.contains('\0') {
        return Err(PathError::Malformed);
    }
    if path.starts_with('/') || path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(PathError::Outside);
    }
    let fits = |part: &str| (1..=MAX_COMPONENT).contains(&byte_len(part));
    if path.split('/').count() > MAX_DEPTH || !path.split('/').all(fits) {
        return Err(PathError::Malformed);
    }
    Ok(())
}

/// True when `path` is `dir`, or below it. Both are paths as [`check_path`]
/// accepts them; every path is below the empty one.
#[must_use]
pub fn is_within(path: &str, dir: &str) -> bool {
    dir.is_empty()
        || path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_within_itself_its_directories_and_no_name_that_only_begins_alike() {
        assert!(is_within("a/b", "") && is_within("a/b", "a") && is_within("a/b", "a/b"));
        assert!(!is_within("ab/c", "a") && !is_within("a", "a/b"));
    }

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
    fn two_stars_match_any_number_of_directories_that_are_not_hidden() {
        assert!(matches("a/**/b", "a/b"));
        assert!(matches("a/**/b", "a/x/y/b"));
        assert!(!matches("a/**/b", "a/.x/b"));
        assert!(matches("**", "a/b"));
        assert!(matches("a/**", "a/b/c"));
        assert!(!matches("a/**", "a"));
        assert!(matches("**/**/x", "x"));
    }

    #[test]
    fn no_pattern_takes_long_to_match() {
        let parts = "**/*a*a*a*a*a*a*a*a*b/".repeat(20);
        let pattern = OutputPattern::new(&format!("{parts}x")).unwrap();
        let name = "a".repeat(250);
        let path = format!("{}/x", [name.as_str(); 15].join("/"));
        assert!(!pattern.matches(&path));
        assert!(pattern.may_match_below(&path));
    }

    #[test]
    fn own_files_are_outputs_only_when_named() {
        assert!(!matches("*", "log"));
        assert!(!matches(".*", ".cmds"));
        assert!(matches("log", "log"));
        assert!(matches("d/*", "d/log"));
        assert!(!matches(".*", ".control.7"));
        for own in [".done", ".control.7"] {
            assert_eq!(OutputPattern::new(own).unwrap_err(), PatternError::Reserved);
        }
    }

    #[test]
    fn pattern_that_leads_out_of_the_job_directory_is_refused() {
        for bad in
            ["", "/", "/etc/passwd", "..", "../x", "a/../b", "./.", "a//b", "a\0b", "[", "a/**b"]
        {
            assert!(OutputPattern::new(bad).is_err(), "{bad:?}");
        }
        assert!(check_path(&"a/".repeat(40_000)).is_err());
        assert!(check_path(&"a".repeat(256)).is_err());
        assert!(check_path("a b/ü\n").is_ok());
        assert!(check_path(&"\u{10ffe9}".repeat(255)).is_ok());
        assert!(check_path(&"\u{10ffe9}".repeat(256)).is_err());
    }

    #[test]
    fn directories_where_nothing_can_match_need_not_be_searched() {
        let below =
            |pattern: &str, path: &str| OutputPattern::new(pattern).unwrap().may_match_below(path);
        assert!(below("a/*.csv", "a"));
        assert!(!below("a/*.csv", "b"));
        assert!(!below("a/*.csv", "a/b"));
        assert!(below("**/x", "a/b/c"));
        assert!(below("r*/x", "run1"));
    }
}
