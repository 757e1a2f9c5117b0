//! The slim worker program.
fn main() {}
