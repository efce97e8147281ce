//! Fair shares of what is bounded: no address takes all of it.

mod share;
mod slots;
mod waiters;

pub use self::{
    share::FairShare,
    slots::{FairSlot, FairSlots, GivesWay, SlotsClosed},
};
