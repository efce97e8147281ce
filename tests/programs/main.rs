//! Programs that people put at the ends.

#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

mod balancer;
mod cluster_port;
mod crowd;
mod ends;
mod git;
mod inetd;
mod match_maker;
mod meeting;
mod meeting_queue;
mod meeting_redirect;
mod meeting_reload;
mod netcats;
mod proxies;
mod redis;
mod rendezvous;
mod ssh;
mod sshd;
mod throughput;
mod web;
mod wormhole;
