//! The listening sockets of the relays, for the next process.

#[cfg(unix)]
use couplet_connector::endpoint::Address;

use super::relays::Relays;
#[cfg(unix)]
use super::running::Place;
#[cfg(unix)]
use super::take_over::{Items, Role, leave_path};
#[cfg(unix)]
use crate::incoming::Kept;

impl Relays {
    /// The listening sockets that another process can take over, duplicated.
    #[cfg(unix)]
    pub(super) fn add_to(&self, items: &mut Items) -> std::io::Result<()> {
        for (_, address, kept) in self.sockets() {
            if let Some(role) = Role::of_side(address) {
                items.add(role, kept.try_clone()?);
            }
        }
        Ok(())
    }

    #[cfg(unix)]
    fn sockets(&self) -> impl Iterator<Item = &(Place, Address, Kept)> {
        self.running.values().flat_map(|relay| &relay.sockets.kept)
    }

    /// The paths of Unix sockets are another process's, or this one's.
    #[cfg_attr(not(unix), expect(unused_variables))]
    pub(super) fn leave_paths(&self, are_left: bool) {
        #[cfg(unix)]
        for (.., kept) in self.sockets() {
            leave_path(kept, are_left);
        }
    }
}
