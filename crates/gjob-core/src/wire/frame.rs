//! The frame codec. Lengths are checked before anything is allocated, and a frame
//! that is incomplete is not taken for an invalid one.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::CHUNK;

/// The most bytes a frame's payload may have.
pub const MAX_FRAME: usize = 4 * 1024 * 1024;

/// The same from an agent. It is not trusted, and in memory a message takes several
/// times as much.
pub const MAX_AGENT_FRAME: usize = 2 * CHUNK;

/// Bytes of a frame's length.
const HEADER: usize = 4;

/// Set in a frame's length when its payload is compressed.
const COMPRESSED: u32 = 1 << 31;

/// Smaller payloads are not compressed, bytes.
const MIN_COMPRESSED: usize = 512;

/// The most frames that are sent without trying after some that did not shrink.
const MAX_UNTRIED: u32 = 64;

/// Why a stream cannot be decoded any further.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A length beyond the limit, [`MAX_FRAME`] or less.
    #[error("frame of {0} bytes, more than the limit")]
    TooLong(usize),
    /// A payload that is not one whole message.
    #[error("malformed message: {0}")]
    Malformed(#[from] postcard::Error),
    /// A payload that cannot be decompressed.
    #[error("malformed compression")]
    Compression,
    /// A message with more bytes after it.
    #[error("malformed message: {0} bytes left over")]
    Trailing(usize),
}

/// Encodes `message` as one frame.
#[must_use]
pub fn encode<M: Serialize>(message: &M) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_into(message, &mut frame);
    frame
}

fn encode_into<M: Serialize>(message: &M, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0; HEADER]);
    // Every message is made of sized and counted parts, and bounded where it is
    // made: to write it into a growing vector cannot fail.
    let mut frame = postcard::to_extend(message, std::mem::take(out)).unwrap_or_default();
    let length = frame.len().saturating_sub(start + HEADER);
    debug_assert!(frame.len() >= start + HEADER && length <= MAX_FRAME);
    if let Some(header) = frame.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<HEADER>) {
        *header = (length as u32).to_le_bytes();
    }
    *out = frame;
}

/// Encodes messages, compressed where that makes them smaller. After data that does
/// not shrink, it is tried only now and then.
#[derive(Debug, Default)]
pub struct Encoder {
    /// Frames in a row that did not shrink.
    misses: u32,
    /// Frames still to be sent without trying.
    untried: u32,
}

impl Encoder {
    /// Encodes `message` as one frame.
    #[must_use]
    pub fn encode<M: Serialize>(&mut self, message: &M) -> Vec<u8> {
        let mut frame = Vec::new();
        self.encode_into(message, &mut frame);
        frame
    }

    /// Appends `message` to `out` as one frame.
    pub fn encode_into<M: Serialize>(&mut self, message: &M, out: &mut Vec<u8>) {
        let start = out.len();
        encode_into(message, out);
        if out.len() - start < HEADER + MIN_COMPRESSED {
            return;
        }
        if self.untried > 0 {
            self.untried -= 1;
            return;
        }
        match compress(&out[start + HEADER..]) {
            Some(compressed) => {
                self.misses = 0;
                out.truncate(start);
                out.extend_from_slice(&compressed);
            }
            None => {
                self.misses = (self.misses + 1).min(16);
                self.untried = (1 << self.misses).min(MAX_UNTRIED);
            }
        }
    }
}

/// A payload as a compressed frame, if that is smaller by an eighth.
fn compress(payload: &[u8]) -> Option<Vec<u8>> {
    let mut frame = vec![0; 2 * HEADER + lz4_flex::block::get_maximum_output_size(payload.len())];
    let (header, block) = frame.split_at_mut(2 * HEADER);
    let length = lz4_flex::block::compress_into(payload, block).ok()?;
    if length + HEADER > payload.len() - payload.len() / 8 {
        return None;
    }
    let (first, plain) = header.split_at_mut(HEADER);
    first.copy_from_slice(&((length + HEADER) as u32 | COMPRESSED).to_le_bytes());
    plain.copy_from_slice(&(payload.len() as u32).to_le_bytes());
    frame.truncate(2 * HEADER + length);
    Some(frame)
}

fn decompress(payload: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    let (plain, block) = payload.split_first_chunk::<HEADER>().ok_or(DecodeError::Compression)?;
    let length = u32::from_le_bytes(*plain) as usize;
    if length > limit {
        return Err(DecodeError::TooLong(length));
    }
    // No block expands more than this: nothing is allocated for one that claims to.
    if length / 256 > block.len() {
        return Err(DecodeError::Compression);
    }
    let mut bytes = vec![0; length];
    match lz4_flex::block::decompress_into(block, &mut bytes) {
        Ok(written) if written == length => Ok(bytes),
        _ => Err(DecodeError::Compression),
    }
}

/// Decodes one frame's payload, after decompression.
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
#[derive(Debug)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    /// Where the first frame begins that was not taken yet.
    start: usize,
    /// The longest payload that is accepted.
    limit: usize,
}

impl Default for FrameBuffer {
    fn default() -> Self {
        FrameBuffer::new()
    }
}

impl FrameBuffer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        FrameBuffer::with_limit(MAX_FRAME)
    }

    /// An empty buffer that accepts payloads of up to `limit` bytes after
    /// decompression.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        FrameBuffer { bytes: Vec::new(), start: 0, limit }
    }

    /// Adds bytes that have arrived.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start >= self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message; none until more bytes arrive.
    ///
    /// # Errors
    /// When the stream is invalid, now and from then on.
    #[expect(clippy::should_implement_trait, reason = "each call may ask for another type")]
    pub fn next<M: DeserializeOwned>(&mut self) -> Result<Option<M>, DecodeError> {
        let pending = &self.bytes[self.start..];
        let Some((header, rest)) = pending.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let header = u32::from_le_bytes(*header);
        let length = (header & !COMPRESSED) as usize;
        if length > self.limit {
            return Err(DecodeError::TooLong(length));
        }
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        let message = if header & COMPRESSED == 0 {
            decode(payload)?
        } else {
            decode(&decompress(payload, self.limit)?)?
        };
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
    fn frame_beyond_the_limit_is_refused_before_its_bytes_arrive() {
        let mut buffer = FrameBuffer::new();
        buffer.extend(&(u32::MAX >> 1).to_le_bytes());
        let too_long = DecodeError::TooLong((u32::MAX >> 1) as usize);
        assert_eq!(buffer.next::<String>(), Err(too_long));
    }

    #[test]
    fn data_that_does_not_shrink_is_seldom_tried() {
        let mut encoder = Encoder::default();
        let text = "all work and no play ".repeat(5000);
        let frame = encoder.encode(&text);
        assert!(frame.len() < text.len() / 10);
        let mut buffer = FrameBuffer::new();
        buffer.extend(&frame);
        assert_eq!(buffer.next::<String>().unwrap(), Some(text));
        let noise: Vec<u32> = (0..9000u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
        for _ in 0..100 {
            assert_eq!(encoder.encode(&noise), encode(&noise));
        }
        assert!(encoder.misses <= 8, "{encoder:?}");
    }

    #[test]
    fn compression_bomb_is_refused_before_anything_is_allocated() {
        let bomb = |plain: u32, block: &[u8]| {
            let mut frame = ((block.len() + HEADER) as u32 | COMPRESSED).to_le_bytes().to_vec();
            frame.extend(plain.to_le_bytes());
            frame.extend(block);
            let mut buffer = FrameBuffer::with_limit(1 << 20);
            buffer.extend(&frame);
            buffer.next::<Vec<u8>>().unwrap_err()
        };
        assert_eq!(bomb(u32::MAX, &[0; 64]), DecodeError::TooLong(u32::MAX as usize));
        assert_eq!(bomb(1 << 20, &[0; 64]), DecodeError::Compression);
        assert_eq!(bomb(100, &[0xff; 64]), DecodeError::Compression);
        assert_eq!(bomb(3, &[]), DecodeError::Compression);
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
