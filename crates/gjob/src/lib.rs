//! The manager side of gjob.
