//! The tower layers of Couplet.
