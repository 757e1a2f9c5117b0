//! Text that people write: job files, hosts files, cluster files, files of values. It
//! is read in one way, whatever system it was written on: UTF-8 with or without a byte
//! order mark, lines that end in LF or CR LF, a last line with or without an end.

use std::borrow::Cow;

/// Some editors put it before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// UTF-16 begins with one of these.
const OTHER_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Why a text cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// It begins as UTF-16 does.
    #[error("text is UTF-16: expected UTF-8")]
    Utf16,
    /// It is not UTF-8.
    #[error("invalid text: expected UTF-8")]
    NotUtf8 {
        /// The line, from 1.
        line: usize,
        /// The byte in the line, from 1.
        column: usize,
    },
}

/// The text without its byte order mark.
///
/// # Errors
/// When it is UTF-16.
pub fn body(bytes: &[u8]) -> Result<&[u8], TextError> {
    match OTHER_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        true => Err(TextError::Utf16),
        false => Ok(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)),
    }
}

/// The lines of a [`body`], without their ends.
pub fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    })
}

/// The whole of a text, with lines that end in LF.
///
/// # Errors
/// When it is not UTF-8.
pub fn read(bytes: &[u8]) -> Result<String, TextError> {
    let body = body(bytes)?;
    match std::str::from_utf8(body) {
        Ok(text) => Ok(unix_lines(text).into_owned()),
        Err(error) => {
            let before = &body[..error.valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            Err(TextError::NotUtf8 { line, column: before.len() - start + 1 })
        }
    }
}

/// A text with lines that end in LF.
#[must_use]
pub fn unix_lines(text: &str) -> Cow<'_, str> {
    if !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n");
    match text.strip_suffix('\r') {
        Some(text) => Cow::Owned(text.to_owned()),
        None => Cow::Owned(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_lines_and_marks_make_no_difference() {
        let plain = read(b"a\n\nb").unwrap();
        assert_eq!(read(b"\xef\xbb\xbfa\r\n\r\nb\r").unwrap(), plain);
        let texts: [&[u8]; 4] = [b"a\nb", b"a\nb\n", b"a\r\nb\r\n", b"\xef\xbb\xbfa\nb\r"];
        for text in texts {
            let found: Vec<_> = lines(body(text).unwrap()).collect();
            assert_eq!(found, [b"a", b"b"], "{text:?}");
        }
        assert_eq!(lines(b"a\rb\r\r\n").collect::<Vec<_>>(), [b"a\rb\r"]);
    }

    #[test]
    fn other_encodings_are_refused_with_a_place() {
        assert_eq!(read(b"\xff\xfea\0").unwrap_err(), TextError::Utf16);
        assert_eq!(read(b"\xfe\xff\0a").unwrap_err(), TextError::Utf16);
        assert_eq!(read(b"a\nb\xe9").unwrap_err(), TextError::NotUtf8 { line: 2, column: 2 });
    }
}
