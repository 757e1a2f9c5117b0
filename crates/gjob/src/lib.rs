//! The manager side of gjob.
pub mod store;
