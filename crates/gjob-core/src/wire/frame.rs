//! The frame codec: lengths capped before anything is allocated, "not all
//! here yet" told from "invalid".

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most bytes a frame's payload may have.
pub const MAX_FRAME: usize = 4 * 1024 * 1024;

/// Bytes of a frame's length.
const HEADER: usize = 4;

/// A stream that no longer makes sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A length beyond [`MAX_FRAME`].
    #[error("frame of {0} bytes: at most {MAX_FRAME} are accepted")]
    TooLong(usize),
    /// A payload that is not one whole message.
    #[error("malformed message: {0}")]
    Malformed(#[from] postcard::Error),
    /// A message with more behind it.
    #[error("malformed message: {0} bytes too many")]
    Trailing(usize),
}

/// Encodes `message` as one frame.
#[must_use]
pub fn encode<M: Serialize>(message: &M) -> Vec<u8> {
    // Every message is made of sized and counted parts, and bounded where it
    // is made: writing it into a growing vector can't fail.
    let mut frame = postcard::to_extend(message, vec![0; HEADER]).unwrap_or_default();
    debug_assert!((HEADER..=HEADER + MAX_FRAME).contains(&frame.len()));
    let length = frame.len().saturating_sub(HEADER) as u32;
    if let Some(header) = frame.first_chunk_mut::<HEADER>() {
        *header = length.to_le_bytes();
    }
    frame
}

/// Decodes one frame's payload.
///
/// # Errors
/// When it is not exactly one message.
pub fn decode<M: DeserializeOwned>(payload: &[u8]) -> Result<M, DecodeError> {
    match postcard::take_from_bytes(payload)? {
        (message, []) => Ok(message),
        (_, rest) => Err(DecodeError::Trailing(rest.len())),
    }
}

/// Collects bytes as they arrive and gives back whole messages.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    /// Where the first frame not yet taken begins.
    start: usize,
}

impl FrameBuffer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes that have arrived.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start >= self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message, or none until more bytes arrive.
    ///
    /// # Errors
    /// When the stream is invalid; it stays so.
    #[expect(clippy::should_implement_trait, reason = "each call may ask for another type")]
    pub fn next<M: DeserializeOwned>(&mut self) -> Result<Option<M>, DecodeError> {
        let pending = &self.bytes[self.start..];
        let Some((header, rest)) = pending.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*header) as usize;
        if length > MAX_FRAME {
            return Err(DecodeError::TooLong(length));
        }
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        let message = decode(payload)?;
        self.start += HEADER + length;
        Ok(Some(message))
    }

    /// True when bytes of an unfinished frame are held.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.start < self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_bytes_arrive() {
        let mut buffer = FrameBuffer::new();
        buffer.extend(&u32::MAX.to_le_bytes());
        assert_eq!(buffer.next::<String>(), Err(DecodeError::TooLong(u32::MAX as usize)));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut payload = postcard::to_stdvec(&7u8).unwrap();
        payload.push(0);
        assert_eq!(decode::<u8>(&payload), Err(DecodeError::Trailing(1)));
    }

    proptest! {
        #[test]
        fn messages_come_out_whole_however_the_bytes_are_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
            cut in 1usize..64,
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(encode).collect();
            let mut buffer = FrameBuffer::new();
            let mut out = Vec::new();
            for piece in stream.chunks(cut) {
                buffer.extend(piece);
                while let Some(message) = buffer.next::<Vec<u8>>().unwrap() {
                    out.push(message);
                }
            }
            prop_assert_eq!(out, messages);
            prop_assert!(!buffer.is_mid_frame());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            let mut buffer = FrameBuffer::new();
            buffer.extend(&bytes);
            while let Ok(Some(_)) = buffer.next::<crate::wire::FromAgent>() {}
            let mut buffer = FrameBuffer::new();
            buffer.extend(&bytes);
            while let Ok(Some(_)) = buffer.next::<crate::wire::ToAgent>() {}
        }
    }
}
