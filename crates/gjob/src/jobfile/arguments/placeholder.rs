//! Placeholders, which are filled in as in GNU parallel: `{}`, `{.}`, `{/}`, `{//}`,
//! `{/.}`, `{#}`, and with a position `{1}`, `{-1}`, `{1.}` and so on.

use super::header::Sources;

/// What is filled in for a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// The job's number, from 1.
    Number,
    /// The value at a position, or all values with spaces between them.
    Value {
        /// From 1, or from -1 downwards from the end; none means all.
        position: Option<i32>,
        /// The part of the value.
        part: Part,
    },
}

/// A part of a value that is a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `{}`
    Whole,
    /// `{.}`: without its extension.
    NoExtension,
    /// `{/}`: its base name.
    BaseName,
    /// `{//}`: its directory.
    Directory,
    /// `{/.}`: its base name without the extension.
    BaseNoExtension,
}

impl Placeholder {
    /// The placeholder with this text between its braces; none if they are just text.
    pub(super) fn parse(inside: &str, sources: Sources<'_>) -> Option<Self> {
        let name = inside.split(['.', '/']).next().unwrap_or_default();
        if let Some(position) = sources.position(name) {
            let part = Part::parse(&inside[name.len()..])?;
            return Some(Placeholder::Value { position: Some(position), part });
        }
        let digits = inside.strip_prefix('-').unwrap_or(inside);
        let digits = digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (position, part) = if digits == 0 {
            (None, inside)
        } else {
            let length = digits + usize::from(inside.starts_with('-'));
            let (position, part) = inside.split_at(length);
            // As in GNU parallel, blanks may follow a position.
            (Some(position.parse().ok()?), part.trim_start())
        };
        if part == "#" && position.is_none() {
            return Some(Placeholder::Number);
        }
        Some(Placeholder::Value { position, part: Part::parse(part)? })
    }
}

impl Part {
    /// What stands behind a position or name.
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "" => Part::Whole,
            "." => Part::NoExtension,
            "/" => Part::BaseName,
            "//" => Part::Directory,
            "/." => Part::BaseNoExtension,
            _ => return None,
        })
    }

    /// This part of a value.
    pub(super) fn of(self, value: &str) -> &str {
        match self {
            Part::Whole => value,
            Part::NoExtension => without_extension(value),
            Part::BaseName => base_name(value),
            Part::Directory => directory(value),
            Part::BaseNoExtension => without_extension(base_name(value)),
        }
    }
}

/// Cut at the last dot without a slash after it.
fn without_extension(value: &str) -> &str {
    match value.rfind(['.', '/']) {
        Some(at) if value[at..].starts_with('.') => &value[..at],
        _ => value,
    }
}

/// The text after the last slash.
fn base_name(value: &str) -> &str {
    value.rfind('/').map_or(value, |at| &value[at + 1..])
}

/// The directory as Perl's File::Basename has it, whose rules differ from `dirname`'s.
fn directory(value: &str) -> &str {
    let without_base = |path: &str| path.len() - base_name(path).len();
    let slashed = &value[..without_base(value)];
    let trimmed = slashed.trim_end_matches('/');
    if trimmed.is_empty() {
        return if slashed.is_empty() { "." } else { "/" };
    }
    if slashed.len() < value.len() {
        return trimmed;
    }
    // It ends with slashes: the last component before them is the base name.
    match trimmed[..without_base(trimmed)].trim_end_matches('/') {
        "" if trimmed.starts_with('/') => "/",
        "" => ".",
        parent => parent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{.}`, `{/}`, `{//}`, `{/.}` in GNU parallel 20221122.
    #[test]
    fn parts_of_a_value_are_those_of_gnu_parallel() {
        let cases = [
            ("/d/e.f.g", ["/d/e.f", "e.f.g", "/d", "e.f"]),
            ("x", ["x", "x", ".", "x"]),
            ("./y.tar.gz", ["./y.tar", "y.tar.gz", ".", "y.tar"]),
            (".bashrc", ["", ".bashrc", ".", ""]),
            ("a/.bashrc", ["a/", ".bashrc", "a", ""]),
            ("a/", ["a/", "", ".", ""]),
            ("a/b/", ["a/b/", "", "a", ""]),
            ("/a/", ["/a/", "", "/", ""]),
            ("/", ["/", "", "/", ""]),
            ("//", ["//", "", "/", ""]),
            ("///a", ["///a", "a", "/", "a"]),
            ("a.b/c", ["a.b/c", "c", "a.b", "c"]),
            ("a.b/", ["a.b/", "", ".", ""]),
            ("", ["", "", ".", ""]),
            ("a//b", ["a//b", "b", "a", "b"]),
            ("a///b", ["a///b", "b", "a", "b"]),
            ("..", [".", "..", ".", "."]),
            (".", ["", ".", ".", ""]),
            ("a/..", ["a/.", "..", "a", "."]),
            ("x.", ["x", "x.", ".", "x"]),
            ("é.ü/ß.ö", ["é.ü/ß", "ß.ö", "é.ü", "ß"]),
        ];
        for (value, parts) in cases {
            let found = [Part::NoExtension, Part::BaseName, Part::Directory, Part::BaseNoExtension]
                .map(|part| part.of(value));
            assert_eq!(found, parts, "{value:?}");
        }
    }

    fn parse(inside: &str) -> Option<Placeholder> {
        Placeholder::parse(inside, Sources::unnamed(2))
    }

    #[test]
    fn names_are_positions_with_the_same_parts() {
        let names = ["lr".to_owned(), "data".to_owned()];
        let parse = |inside| Placeholder::parse(inside, Sources { count: 2, names: &names });
        let value = |position, part| Some(Placeholder::Value { position: Some(position), part });
        assert_eq!(parse("lr"), value(1, Part::Whole));
        assert_eq!(parse("data/."), value(2, Part::BaseNoExtension));
        assert_eq!(parse("2"), value(2, Part::Whole));
        assert_eq!(["rate", "lrs", "lr#", "lr x", "LR"].map(parse), [None; 5]);
    }

    #[test]
    fn other_braces_are_text() {
        for inside in
            [" ", "x", "1x", "1#", "1..", "+1", "/1", "..", "##", "-", "a,b", "99999999999"]
        {
            assert_eq!(parse(inside), None, "{inside:?}");
        }
        let value = |position, part| Some(Placeholder::Value { position, part });
        assert_eq!(parse(""), value(None, Part::Whole));
        assert_eq!(parse("01"), value(Some(1), Part::Whole));
        assert_eq!(parse("1 /."), value(Some(1), Part::BaseNoExtension));
        assert_eq!(parse("-2//"), value(Some(-2), Part::Directory));
        assert_eq!(parse("#"), Some(Placeholder::Number));
    }
}
