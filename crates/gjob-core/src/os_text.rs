//! Names are bytes. File names, arguments and variables may hold bytes that are not
//! UTF-8, and they pass unchanged from where they are read to where they are used,
//! through job files, the wire, records and the store, all of which hold text.
//!
//! In text, a byte that is not part of UTF-8 is the character U+10FF00 + byte, from
//! U+10FF80 to U+10FFFF. These are private and have no meaning of their own; where
//! they come in a name themselves, each of their bytes is written so. Text is made
//! of bytes where something is read from the operating system, and made bytes where
//! something is handed to it; in between, two texts are equal if their bytes are.

pub mod paths;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// What a byte is added to.
const BASE: u32 = 0x10_ff00;

/// The byte that a character stands for, if it does.
#[must_use]
pub fn byte_of(c: char) -> Option<u8> {
    match u32::from(c).checked_sub(BASE) {
        Some(byte @ 0x80..=0xff) => Some(byte as u8),
        _ => None,
    }
}

fn character(byte: u8) -> char {
    char::from_u32(BASE + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Bytes as text.
#[must_use]
pub fn from_bytes(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !has_bytes(text) => Cow::Borrowed(text),
        _ => Cow::Owned(escaped(bytes)),
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match byte_of(c) {
                None => text.push(c),
                Some(_) => {
                    let mut own = [0; 4];
                    text.extend(c.encode_utf8(&mut own).bytes().map(character));
                }
            }
        }
        text.extend(chunk.invalid().iter().copied().map(character));
    }
    text
}

/// The bytes of a text.
#[must_use]
pub fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    if !has_bytes(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte_of(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// A text as [`from_bytes`] makes it: one that was written by hand may stand for bytes
/// that are UTF-8 after all.
#[must_use]
pub fn canonical(text: String) -> String {
    match has_bytes(&text) {
        true => escaped(&to_bytes(&text)),
        false => text,
    }
}

/// How many bytes a text is.
#[must_use]
pub fn byte_len(text: &str) -> usize {
    if has_bytes(text) {
        text.chars().map(|c| byte_of(c).map_or(c.len_utf8(), |_| 1)).sum()
    } else {
        text.len()
    }
}

/// True if some character stands for a byte: all of them begin alike in UTF-8.
fn has_bytes(text: &str) -> bool {
    text.as_bytes().contains(&0xf4) && text.chars().any(|c| byte_of(c).is_some())
}

/// What the operating system says, as text.
#[must_use]
pub fn from_os(os: &OsStr) -> Cow<'_, str> {
    from_bytes(os.as_bytes())
}

/// Text as the operating system takes it.
#[must_use]
pub fn to_os(text: &str) -> Cow<'_, OsStr> {
    match to_bytes(text) {
        Cow::Borrowed(bytes) => Cow::Borrowed(OsStr::from_bytes(bytes)),
        Cow::Owned(bytes) => Cow::Owned(OsString::from_vec(bytes)),
    }
}

/// Text as a path.
#[must_use]
pub fn to_path(text: &str) -> PathBuf {
    to_os(text).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_pass_through_text_unchanged() {
        let names: [&[u8]; 7] = [
            b"plain",
            b"a\nb",
            b"caf\xe9",
            b"\xff\x80",
            "größer 日本".as_bytes(),
            "\u{10ffe9}\u{10ff7f}\u{10ff80}".as_bytes(),
            b"\xf4\x8f\xbf",
        ];
        for name in names {
            let text = from_bytes(name);
            assert_eq!(&*to_bytes(&text), name, "{text:?}");
            assert_eq!(byte_len(&text), name.len());
            assert_eq!(from_os(&to_os(&text)), text);
        }
        assert_eq!(from_bytes(b"caf\xe9"), "caf\u{10ffe9}");
    }

    #[test]
    fn text_that_was_written_by_hand_is_made_canonical() {
        assert_eq!(canonical("\u{10ffc3}\u{10ffa9}\u{10ffe9}".to_owned()), "é\u{10ffe9}");
        assert_eq!(canonical("é".to_owned()), "é");
    }

    #[test]
    fn different_bytes_are_different_text() {
        assert_ne!(from_bytes("\u{10ffe9}".as_bytes()), from_bytes(b"\xe9"));
        assert!(matches!(from_bytes("日本".as_bytes()), Cow::Borrowed(_)));
    }
}
