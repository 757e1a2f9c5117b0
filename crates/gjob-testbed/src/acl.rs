//! Access control lists, without the programs that set them, which few machines have.

use std::path::Path;

use rustix::fs::{XattrFlags, setxattr};

use crate::skip::skip;

/// A user who runs nothing here.
const SOMEBODY: u32 = 61001;

/// Gives `dir` a default list that grants another user all that is made in it, as
/// `setfacl -d -m u:61001:rwx,g::rwx` does. False, and the test is skipped, where there
/// are no such lists.
pub fn grant_by_default(dir: &Path) -> bool {
    const NOBODY: u32 = u32::MAX;
    // The owner, somebody, the group, the mask, and others: tag, permissions, whose.
    let entries =
        [(1, 7, NOBODY), (2, 7, SOMEBODY), (4, 7, NOBODY), (0x10, 7, NOBODY), (0x20, 5, NOBODY)];
    let mut list = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, whose) in entries {
        list.extend(u16::to_le_bytes(tag));
        list.extend(u16::to_le_bytes(permissions));
        list.extend(u32::to_le_bytes(whose));
    }
    let set = setxattr(dir, "system.posix_acl_default", &list, XattrFlags::empty());
    if set.is_err() {
        skip("the file system has no access control lists");
    }
    set.is_ok()
}
