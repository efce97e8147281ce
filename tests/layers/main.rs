//! The layers, as options of the command, with real peers.

#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

mod access;
mod access_log;
mod auth;
mod bandwidth;
mod capture;
mod compress;
mod fault;
mod frame;
mod hangup;
mod limits;
mod mux;
mod noise;
mod order;
mod proxies;
mod proxy_protocol;
mod quic;
mod rendezvous;
mod routes;
mod sniff;
mod starttls;
mod tls;
mod ws;
