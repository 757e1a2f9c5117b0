//! Enums that are written as one word each: in records, events and the store.

/// A word that is none of those expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {found:?}: expected {}", expected.join(", "))]
pub struct ParseWordError {
    pub(crate) what: &'static str,
    pub(crate) found: String,
    pub(crate) expected: &'static [&'static str],
}

/// Gives an enum `as_str`, and makes it read back from its words.
macro_rules! words {
    ($name:ident, $what:literal, $($variant:ident => $word:literal),+ $(,)?) => {
        impl $name {
            /// Its word in records, events and the store.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::ParseWordError;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok($name::$variant),)+
                    _ => Err($crate::words::ParseWordError {
                        what: $what,
                        found: word.chars().take(80).collect(),
                        expected: &[$($word),+],
                    }),
                }
            }
        }
    };
}
pub(crate) use words;
