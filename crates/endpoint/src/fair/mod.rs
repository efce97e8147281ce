//! Fair shares of a bound: no address takes all of it.

mod share;
mod slots;
mod waiters;

pub use self::{
    share::FairShare,
    slots::{FairSlot, FairSlots, GivesWay, SlotsClosed},
};
