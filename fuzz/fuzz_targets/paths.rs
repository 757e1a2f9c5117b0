//! Patterns of outputs and the paths that hosts send: nothing panics or takes long,
//! and no accepted path leads outside.

#![no_main]

use std::path::Component;

use gjob_core::os_text::{to_bytes, to_path};
use gjob_core::output::{OutputPattern, check_path};
use libfuzzer_sys::fuzz_target;

// A pattern, a line feed, a path.
fuzz_target!(|text: &str| {
    let (pattern, path) = text.split_once('\n').unwrap_or((text, text));
    let is_path = check_path(path).is_ok();
    if is_path {
        let made = to_path(path);
        let parts: Vec<_> = made.components().collect();
        assert!(parts.iter().all(|part| matches!(part, Component::Normal(_))), "{path:?}");
        assert!(!to_bytes(path).contains(&0), "{path:?}");
    }
    let Ok(pattern) = OutputPattern::new(pattern) else { return };
    let matches = pattern.matches(path);
    if let Some(literal) = pattern.literal().filter(|_| is_path) {
        assert_eq!(matches, literal == path, "{literal:?} {path:?}");
    }
    let parent = path.rsplit_once('/').map(|(parent, _)| parent).filter(|_| is_path && matches);
    if let Some(parent) = parent {
        assert!(pattern.may_match_below(parent), "{path:?} matches, but its directory would not be searched");
    }
});
