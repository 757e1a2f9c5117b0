//! An operating system and an architecture, by Rust's names for them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::excerpt;

/// What a program is built for; written `OS-ARCH`, such as `linux-x86_64`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Platform {
    os: String,
    arch: String,
}

/// A text that is no platform's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid platform {found:?}: expected OS-ARCH, such as linux-x86_64 or linux-aarch64")]
pub struct ParsePlatformError {
    found: String,
}

impl Platform {
    /// That of this process.
    #[must_use]
    pub fn own() -> Self {
        Platform { os: std::env::consts::OS.to_owned(), arch: std::env::consts::ARCH.to_owned() }
    }

    /// From the output of `uname -s -m`, such as `Linux aarch64`.
    ///
    /// # Errors
    /// When it is not two words of letters, digits and underscores.
    pub fn from_uname(printed: &str) -> Result<Self, ParsePlatformError> {
        let words = printed.to_ascii_lowercase();
        let (system, machine) = words.split_once(' ').unwrap_or((&words, ""));
        let os = match system {
            "darwin" => "macos",
            other => other,
        };
        let arch = match machine {
            "amd64" => "x86_64",
            "arm64" | "armv8l" => "aarch64",
            "i386" | "i486" | "i586" | "i686" => "x86",
            "armv6l" | "armv7l" => "arm",
            other => other,
        };
        format!("{os}-{arch}").parse()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.os, self.arch)
    }
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |part: &str| {
            (1..=32).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        match text.split_once('-') {
            Some((os, arch)) if is_name(os) && is_name(arch) => {
                Ok(Platform { os: os.to_owned(), arch: arch.to_owned() })
            }
            _ => Err(ParsePlatformError { found: excerpt(text) }),
        }
    }
}

impl TryFrom<String> for Platform {
    type Error = ParsePlatformError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Platform> for String {
    fn from(platform: Platform) -> Self {
        platform.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uname_output_maps_to_rusts_names() {
        for (printed, name) in [
            ("Linux x86_64", "linux-x86_64"),
            ("Linux aarch64", "linux-aarch64"),
            ("Darwin arm64", "macos-aarch64"),
            ("FreeBSD amd64", "freebsd-x86_64"),
        ] {
            assert_eq!(Platform::from_uname(printed).unwrap().to_string(), name);
        }
    }

    #[test]
    fn malformed_names_are_refused() {
        for bad in ["", "linux", "linux-", "-x86_64", "a/b-c", "linux-x86-64", "a b-c"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad:?}");
        }
        assert!(Platform::from_uname("Linux x86_64 ; rm").is_err());
    }
}
