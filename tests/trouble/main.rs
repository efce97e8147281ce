//! Peers and systems that behave badly: what they do stays theirs.

mod crowd;
mod descriptors;
mod dials;
mod waiting;
