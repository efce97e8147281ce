//! What holds in every mode of the command.

mod bytes;
mod ends;
mod limits;
mod stop;
