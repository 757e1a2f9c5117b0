//! Job directories and where everything lies below the results directory.

mod allocate;
mod dir;
mod files;
mod layout;

pub(crate) use allocate::Allocator;
pub(crate) use dir::{JobDir, LockState, Reserved, open_dir_at, restore_permissions};
pub(crate) use files::{
    InputFile, JobRecord, JobSummary, LockFile, OrderFile, PidFile, read_json, to_json,
};
pub(crate) use layout::{Layout, RunDir};
