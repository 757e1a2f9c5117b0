//! Names of blobs, and the inputs that are made of them.

use serde::{Deserialize, Serialize};

use crate::text::excerpt;

/// Names a blob: the blake3 hash of its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobHash(pub [u8; 32]);

impl std::fmt::Display for BlobHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobHash({self})")
    }
}

/// A text that is no blob's hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid hash {0:?}: expected 64 hexadecimal digits")]
pub struct ParseBlobHashError(String);

impl std::str::FromStr for BlobHash {
    type Err = ParseBlobHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = || ParseBlobHashError(excerpt(text));
        let digit = |byte: &u8| (*byte as char).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
        let digits: Option<Vec<u32>> = text.as_bytes().iter().map(digit).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or_else(fail)?;
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (pair[0] << 4 | pair[1]) as u8;
        }
        Ok(BlobHash(hash))
    }
}

/// A file or directory placed in a job directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Its name in that directory: one path component.
    pub name: String,
    /// Its content; a directory's is a [`Tree`](crate::tree::Tree).
    pub hash: BlobHash,
    /// Its permission bits.
    pub mode: u32,
    /// When it was last modified, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// What it is.
    pub kind: InputKind,
    /// True for a read-only hard link to the blob instead of a copy; in a directory,
    /// each file is one.
    pub hard_link: bool,
}

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InputKind {
    /// A file.
    File,
    /// A directory.
    Tree,
}
