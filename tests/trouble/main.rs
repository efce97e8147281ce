//! Peers and systems that behave badly: what they do stays theirs.

#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

mod burst;
mod crowd;
mod descriptors;
mod dials;
mod readers;
mod waiting;
