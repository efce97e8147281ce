//! Listening sockets that come from a process before.

use couplet_connector::endpoint::Address;

#[cfg(unix)]
use super::take_over::{Items, Role};
use crate::incoming::Kept;

/// What a process before has given.
#[derive(Debug, Default)]
pub(super) struct Given {
    #[cfg(unix)]
    pub(super) items: Items,
}

impl Given {
    pub(super) fn take(&mut self, address: &Address) -> Option<Kept> {
        #[cfg(unix)]
        return self.items.take(&Role::of_side(address)?);
        #[cfg(not(unix))]
        return None;
    }
}
