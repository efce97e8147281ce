//! The routes.

mod events;
mod guard;
mod problem;
mod program;
mod query;
mod routes;

use self::problem::Problem;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};

use crate::{Access, Admin};

/// How long a body may be.
const BODY_BYTES: usize = 64 * 1024;

/// What the routes have in common.
#[derive(Clone, Debug)]
struct State {
    admin: Admin,
    access: Arc<Access>,
}

// ===== impl Admin =====

impl Admin {
    /// The routes, for requests that may do [everything](Access::Everything): whatever they are nested in
    /// decides which clients come.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, in which the page's curves are kept.
    pub fn router(&self) -> Router {
        self.router_for(Access::Everything)
    }

    /// The routes, for requests that may do this.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn router_for(&self, access: Access) -> Router {
        self.0.history.keep(&self.0.relays);
        router(self.clone(), access)
    }
}

fn router(admin: Admin, access: Access) -> Router {
    let state = State {
        admin,
        access: Arc::new(access),
    };
    Router::new()
        .route("/", get(routes::page))
        .route("/page", get(events::page))
        .route("/live", get(routes::live))
        .route("/ready", get(routes::ready))
        .route("/metrics", get(routes::metrics))
        .route("/v1/status", get(routes::status))
        .route("/v1/relays", get(routes::relays))
        .route("/v1/relays/{name}", get(routes::relay))
        .route("/v1/relays/{name}/pause", post(routes::pause))
        .route("/v1/relays/{name}/resume", post(routes::resume))
        .route("/v1/relays/{name}/drain", post(routes::drain))
        .route("/v1/relays/{name}/faults", post(routes::faults))
        .route("/v1/reload", post(routes::reload))
        .route("/v1/check", post(program::check))
        .route("/v1/config", get(program::config))
        .route("/v1/log", post(program::log))
        .route("/v1/drain", post(program::drain))
        .route("/v1/stop", post(program::stop))
        .route("/v1/pairs", get(routes::pairs).delete(routes::cut_many))
        .route("/v1/pairs/{id}", get(routes::pair).delete(routes::cut))
        .route("/v1/waiting", get(routes::waiting))
        .route("/v1/ended", get(routes::ended))
        .route("/v1/refused", get(routes::refused))
        .route("/v1/events", get(events::events))
        .fallback(routes::not_found)
        .method_not_allowed_fallback(routes::not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(state.clone(), guard::guard))
        .with_state(state)
}
