/// Marks a connection of a [pool](crate::pool), in its [`extensions`](super::Info::extensions).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Pooled;
