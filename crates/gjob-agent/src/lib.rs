//! The worker side of gjob.
