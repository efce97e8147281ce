//! What the system knows of processes, and of itself.

mod date;
mod group;
mod machine;
mod own;
mod proc_stat;

pub(crate) use self::{
    date::today,
    group::{Group, Usage},
    machine::Machine,
    own::resident,
};
