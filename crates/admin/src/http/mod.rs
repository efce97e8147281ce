//! The routes.

mod capture;
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
    routing::{MethodRouter, delete, get, post},
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

/// A method of a path.
struct Route {
    method: &'static str,
    path: &'static str,
    handler: fn() -> MethodRouter<State>,
}

const fn look(path: &'static str, handler: fn() -> MethodRouter<State>) -> Route {
    let method = "GET";
    Route {
        method,
        path,
        handler,
    }
}

const fn change(
    method: &'static str,
    path: &'static str,
    handler: fn() -> MethodRouter<State>,
) -> Route {
    Route {
        method,
        path,
        handler,
    }
}

/// All of them: the router is made of this list, and the tests of attacks try each.
const ROUTES: &[Route] = &[
    look("/", || get(routes::page)),
    look("/page", || get(events::page)),
    look("/live", || get(routes::live)),
    look("/ready", || get(routes::ready)),
    look("/metrics", || get(routes::metrics)),
    look("/v1/status", || get(routes::status)),
    look("/v1/relays", || get(routes::relays)),
    look("/v1/relays/{name}", || get(routes::relay)),
    change("POST", "/v1/relays/{name}/pause", || post(routes::pause)),
    change("POST", "/v1/relays/{name}/resume", || post(routes::resume)),
    change("POST", "/v1/relays/{name}/drain", || post(routes::drain)),
    change("POST", "/v1/relays/{name}/faults", || post(routes::faults)),
    change("POST", "/v1/reload", || post(routes::reload)),
    change("POST", "/v1/check", || post(program::check)),
    look("/v1/config", || get(program::config)),
    change("POST", "/v1/log", || post(program::log)),
    change("POST", "/v1/drain", || post(program::drain)),
    change("POST", "/v1/stop", || post(program::stop)),
    look("/v1/pairs", || get(routes::pairs)),
    change("DELETE", "/v1/pairs", || delete(routes::cut_many)),
    look("/v1/pairs/{id}", || get(routes::pair)),
    change("DELETE", "/v1/pairs/{id}", || delete(routes::cut)),
    look("/v1/pairs/{id}/capture", || get(capture::capture)),
    look("/v1/waiting", || get(routes::waiting)),
    look("/v1/ended", || get(routes::ended)),
    look("/v1/refused", || get(routes::refused)),
    look("/v1/events", || get(events::events)),
];

/// All routes of an [`Admin`]: the method, and the path, in which `{name}` stands for a relay and `{id}` for
/// the number of a pair. For tests of what stands around the routes.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|route| (route.method, route.path))
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
    let routes = ROUTES.iter();
    let router = routes.fold(Router::new(), |router, route| {
        router.route(route.path, (route.handler)())
    });
    router
        .fallback(routes::not_found)
        .method_not_allowed_fallback(routes::not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(state.clone(), guard::guard))
        .with_state(state)
}
