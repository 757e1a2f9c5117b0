//! Real ssh hosts for tests.
