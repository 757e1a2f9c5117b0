//! A stream of frames in pieces: nothing panics, and the messages do not depend on
//! where it was cut.

#![no_main]

use gjob_core::wire::{DecodeError, FrameBuffer, FromAgent, MAX_AGENT_FRAME};
use libfuzzer_sys::fuzz_target;

// The first byte is the length of the pieces.
fuzz_target!(|input: &[u8]| {
    let Some((&cut, stream)) = input.split_first() else { return };
    let whole = read(stream, stream.len().max(1));
    assert_eq!(whole, read(stream, usize::from(cut).max(1)));
    assert_eq!(whole, read(stream, 1));
});

fn read(stream: &[u8], cut: usize) -> (Vec<FromAgent>, Option<DecodeError>) {
    let mut buffer = FrameBuffer::with_limit(MAX_AGENT_FRAME);
    let mut messages = Vec::new();
    for piece in stream.chunks(cut) {
        buffer.extend(piece);
        loop {
            match buffer.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}
