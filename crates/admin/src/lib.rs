//! Metrics, an admin endpoint and a live page for the relays of a program.
//!
//! An [`Admin`] knows relays by name and answers for them. Mount its [`router`](Admin::router) in an axum
//! program, in one line:
//!
//! ```
//! use axum::Router;
//! use couplet_admin::Admin;
//! use couplet_connector::Handle;
//!
//! fn app(relay: &Handle) -> Router {
//!     Router::new().nest("/relay", Admin::new().relay("ssh", relay).router())
//! }
//! ```
//!
//! or let the crate [serve](Server) it on a listener of its own, below the layers of a side if there are to
//! be some, as the command `couplet` does with `--admin`:
//!
//! | route | answers |
//! |---|---|
//! | `GET /` | the page; `Accept: text/plain`, as curl has it, a table |
//! | `GET /live` | 200 while the runtime answers |
//! | `GET /ready` | 200 when every relay takes connections; else 503 and why: `relay targets generation` |
//! | `GET /metrics` | [Prometheus](metrics) text, or OpenMetrics by `Accept`: `relay name` |
//! | `GET /v1/status`, `/v1/relays`, `/v1/relays/NAME` | what runs, and its counters |
//! | `GET /v1/pairs`, `/v1/pairs/ID` | live pairs: `relay addr identity older idle generation sort limit after` |
//! | `GET /v1/pairs/ID/capture` | the bytes of a live pair as pcapng, from now on, as they come |
//! | `GET /v1/waiting`, `/v1/ended`, `/v1/refused` | waiting connections, and the last 200 ends and refusals |
//! | `GET /v1/events` | the same as they happen: server-sent events, and a summary each second |
//! | `DELETE /v1/pairs/ID`, `DELETE /v1/pairs?…` | cuts pairs: both connections are reset |
//! | `POST /v1/reload` | what a program [does](Admin::on_reload) to read its configuration again |
//! | `POST /v1/relays/NAME/pause`, `/resume`, `/drain` | stops and starts accepting; lets the pairs end |
//!
//! # Security
//!
//! A web page of another origin can make a browser send requests to a loopback port, and so can a host
//! name that an attacker points there (DNS rebinding). So every request is checked, in this order:
//!
//! | check | else |
//! |---|---|
//! | `Host` is an IP literal, `localhost`, or [`Admin::host`] | 421 |
//! | `Origin`, where there is one, is that host; `Sec-Fetch-Site` is `same-origin` or `none` | 403 |
//! | `Authorization` has the [token](Access::Token), where there is one; not for `/live` | 401 |
//! | `POST`, `DELETE` and a capture are [allowed](Access), and have the header `Couplet-Admin: 1` | 403 |
//! | `POST` and `DELETE` have the content type `application/json` | 415 |
//!
//! There is no CORS header, ever. Answers have a Content-Security-Policy, `nosniff` and `no-store`. A body
//! has 64 KiB; eight event streams and four captures run at a time. A [`Server`] gives a request's head 10 s and takes 16
//! connections. Secrets are not shown: the crate never sees them.
//!
//! # Costs
//!
//! A relay counts whether or not metrics are read. A scrape reads the counters of each relay and walks no
//! pairs. The lists walk the pairs of a relay when they are asked for. The page's curves take a look at the
//! counters each second. A pair that is captured is copied meanwhile, and no other.

mod access;
mod admin;
mod history;
mod http;
mod journal;
pub mod metrics;
mod page;
mod pair_query;
mod program;
mod rates;
mod relay;
mod relays;
mod reload;
mod serve;
mod step;
mod view;

pub use self::{
    access::Access,
    admin::Admin,
    http::routes,
    program::{Checked, ConfigForm, End, LogLevel, Program},
    relay::{CarrierStatus, Carriers, Faults, Meeting, Relay},
    reload::{ReloadRefused, Reloaded},
    serve::Server,
    step::Step,
};
