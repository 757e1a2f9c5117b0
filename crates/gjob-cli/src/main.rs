//! The program `gjob`.
fn main() {}
