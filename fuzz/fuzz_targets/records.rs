//! A line of a run log: nothing panics, and a parsed record is the same after writing
//! and parsing it again, on one line.

#![no_main]

use gjob_core::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let Ok(record) = Record::parse(line) else { return };
    let written = record.to_line();
    let (end, text) = written.split_last().expect("a line is not empty");
    assert_eq!(*end, b'\n');
    assert!(!text.contains(&b'\n'));
    assert_eq!(Record::parse(text).expect("it was parsed before"), record);
});
