//! A directory's list: nothing panics, no path in it leads outside, and it is the same
//! after writing and parsing it again.

#![no_main]

use gjob_core::output::check_path;
use gjob_core::tree::Tree;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|list: &[u8]| {
    let Ok(tree) = Tree::parse(list) else { return };
    for entry in &tree.entries {
        assert_eq!(check_path(entry.path()), Ok(()));
    }
    let again = Tree::parse(&tree.to_text()).expect("it was parsed before");
    assert_eq!(tree, again);
});
