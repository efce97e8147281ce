//! Programs that people put at the ends.

mod netcats;
mod redis;
mod ssh;
mod throughput;
mod web;
