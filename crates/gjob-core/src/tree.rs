//! A directory as an input: a list of its entries, which is a blob of its own. It has
//! one JSON object per line; the first one is the version of the format.

mod links;

use serde::{Deserialize, Serialize};

pub use self::links::Links;
use crate::output::{PathError, check_path};
use crate::wire::BlobHash;

/// The version of the list's format.
pub const TREE_VERSION: u32 = 1;

/// The most entries of a directory that is an input.
pub const MAX_TREE_ENTRIES: usize = 1_000_000;

/// The content of a directory, without the directory itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The entries; a directory comes before its own entries.
    pub entries: Vec<TreeEntry>,
}

/// One file, directory or symbolic link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum TreeEntry {
    /// A directory.
    Dir {
        /// Below the tree's root.
        path: String,
        /// Its permission bits.
        mode: u32,
        /// When it was last modified, nanoseconds since 1970.
        mtime_ns: i64,
    },
    /// A file.
    File {
        /// Below the tree's root.
        path: String,
        /// Its permission bits.
        mode: u32,
        /// When it was last modified, nanoseconds since 1970.
        mtime_ns: i64,
        /// Its length, bytes.
        size: u64,
        /// The hash of its content.
        #[serde(with = "hex")]
        hash: BlobHash,
    },
    /// A symbolic link that stays inside the tree.
    Link {
        /// Below the tree's root.
        path: String,
        /// Its target.
        target: String,
    },
}

impl TreeEntry {
    /// The path below the tree's root.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            TreeEntry::Dir { path, .. }
            | TreeEntry::File { path, .. }
            | TreeEntry::Link { path, .. } => path,
        }
    }
}

/// A list that cannot be parsed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseTreeError {
    /// Not a list, or a line of it is invalid.
    #[error("invalid list of a directory: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Of another version.
    #[error("list of a directory has version {found}: expected version {TREE_VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
    /// A path that does not stay below its directory.
    #[error("path {path:?} in the list of a directory {source}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        source: PathError,
    },
    /// More than [`MAX_TREE_ENTRIES`].
    #[error("list of a directory has too many entries: expected at most {MAX_TREE_ENTRIES}")]
    TooMany,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    tree: u32,
}

impl Tree {
    /// Reads a list.
    ///
    /// # Errors
    /// When it is malformed, of another version, too long, or has a path that is not
    /// below the tree's root.
    pub fn parse(text: &[u8]) -> Result<Self, ParseTreeError> {
        let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let Header { tree: found } = serde_json::from_slice(lines.next().unwrap_or_default())?;
        if found != TREE_VERSION {
            return Err(ParseTreeError::Version { found });
        }
        let mut entries = Vec::new();
        for line in lines {
            let entry: TreeEntry = serde_json::from_slice(line)?;
            let path = entry.path();
            check_path(path)
                .map_err(|source| ParseTreeError::Path { path: path.to_owned(), source })?;
            if entries.len() == MAX_TREE_ENTRIES {
                return Err(ParseTreeError::TooMany);
            }
            entries.push(entry);
        }
        Ok(Tree { entries })
    }

    /// The list as text.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Without maps and non-finite numbers, serializing cannot fail.
        let mut add = |json: Result<Vec<u8>, _>| {
            text.extend(json.unwrap_or_default());
            text.push(b'\n');
        };
        add(serde_json::to_vec(&Header { tree: TREE_VERSION }));
        self.entries.iter().for_each(|entry| add(serde_json::to_vec(entry)));
        text
    }

    /// Its symbolic links.
    #[must_use]
    pub fn links(&self) -> Links<'_> {
        Links::new(self.entries.iter().filter_map(|entry| match entry {
            TreeEntry::Link { path, target } => Some((path.as_str(), target.as_str())),
            TreeEntry::Dir { .. } | TreeEntry::File { .. } => None,
        }))
    }

    /// The hashes of its files' contents.
    pub fn hashes(&self) -> impl Iterator<Item = BlobHash> {
        self.entries.iter().filter_map(|entry| match entry {
            TreeEntry::File { hash, .. } => Some(*hash),
            TreeEntry::Dir { .. } | TreeEntry::Link { .. } => None,
        })
    }
}

/// A hash as hexadecimal digits.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::wire::BlobHash;

    pub(super) fn serialize<S: Serializer>(
        hash: &BlobHash,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(hash)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BlobHash, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The format on disk: a difference here needs a new TREE_VERSION.
    #[test]
    fn format_is_pinned_and_parsed_again() {
        let tree = Tree {
            entries: vec![
                TreeEntry::Dir { path: "d".into(), mode: 0o755, mtime_ns: 5 },
                TreeEntry::File {
                    path: "d/f".into(),
                    mode: 0o644,
                    mtime_ns: 6,
                    size: 7,
                    hash: BlobHash([0xab; 32]),
                },
                TreeEntry::Link { path: "l".into(), target: "d/f".into() },
            ],
        };
        let text = tree.to_text();
        let ab = "ab".repeat(32);
        assert_eq!(
            String::from_utf8(text.clone()).unwrap(),
            format!(
                "{{\"tree\":1}}\n\
                 {{\"kind\":\"dir\",\"path\":\"d\",\"mode\":493,\"mtime_ns\":5}}\n\
                 {{\"kind\":\"file\",\"path\":\"d/f\",\"mode\":420,\"mtime_ns\":6,\"size\":7,\"hash\":\"{ab}\"}}\n\
                 {{\"kind\":\"link\",\"path\":\"l\",\"target\":\"d/f\"}}\n"
            )
        );
        assert_eq!(TREE_VERSION, 1);
        assert_eq!(Tree::parse(&text).unwrap(), tree);
    }

    #[test]
    fn list_with_paths_outside_is_refused() {
        let parse = |line: &str| Tree::parse(format!("{{\"tree\":1}}\n{line}\n").as_bytes());
        for path in ["../x", "/etc/x", "a/../../x", ""] {
            let line = format!(r#"{{"kind":"link","path":"{path}","target":"y"}}"#);
            assert!(matches!(parse(&line), Err(ParseTreeError::Path { .. })), "{path}");
        }
        assert!(matches!(parse("{}"), Err(ParseTreeError::Malformed(_))));
        assert!(matches!(
            Tree::parse(b"{\"tree\":9}\n"),
            Err(ParseTreeError::Version { found: 9 })
        ));
        assert!(Tree::parse(b"").is_err());
    }
}
