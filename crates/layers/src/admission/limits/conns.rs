use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use tower_layer::Layer;

use super::{
    error::Limit,
    key::{Client, Scope},
    limiter::Limiter,
    service::{LimitService, Settings},
    table::{Permit, Table},
};
use crate::admission::live_limit::Live;

/// Bounds the connections that are open at a time: in their handshakes, waiting, or joined. See the
/// [module](super).
#[derive(Clone, Debug)]
pub struct ConnLimitLayer {
    limit: usize,
    settings: Settings,
    /// Of all services together.
    shared: Option<Arc<Table>>,
}

/// The open connections of each client.
#[derive(Debug)]
pub struct Conns {
    limit: usize,
    scope: Scope,
    open: Arc<Table>,
}

// ===== impl ConnLimitLayer =====

impl ConnLimitLayer {
    /// At most `limit` connections of one address at a time.
    pub fn per_address(limit: usize) -> Self {
        Self {
            limit,
            settings: Settings::new(Scope::PerAddress),
            shared: None,
        }
    }

    /// At most `limit` connections at a time.
    pub fn overall(limit: usize) -> Self {
        Self {
            limit,
            settings: Settings::new(Scope::Overall),
            shared: None,
        }
    }

    /// Counts the connections of all services that this layer and its clones make together: those of several
    /// listeners, or of a relay and of the one that [succeeds](https://docs.rs/couplet-connector/latest/couplet_connector/struct.Connector.html#method.succeeds)
    /// it. By default each service counts by itself.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = Some(Arc::new(Table::new(self.limit)));
        self
    }

    super::service::setters!();
}

impl<S> Layer<S> for ConnLimitLayer {
    type Service = LimitService<Conns, S>;

    fn layer(&self, inner: S) -> Self::Service {
        let conns = Conns {
            limit: self.limit,
            scope: self.settings.scope,
            open: match &self.shared {
                Some(open) => Arc::clone(open),
                None => Arc::new(Table::new(self.limit)),
            },
        };
        self.settings.service(conns, inner)
    }
}

// ===== impl Conns =====

impl Limiter for Conns {
    type Permit = Permit;
    type Io<I: Send + 'static> = Live<I, Permit>;

    fn try_admit(&self, client: Client) -> Option<Permit> {
        self.open.enter(client).try_acquire()
    }

    fn admit(&self, client: Client) -> BoxFuture<'static, Permit> {
        self.open.enter(client).acquire().boxed()
    }

    fn hold<I: Send + 'static>(io: I, permit: Permit) -> Live<I, Permit> {
        Live::new(io, permit)
    }

    fn limit(&self) -> Limit {
        match self.scope {
            Scope::PerAddress => Limit::ConnsPerAddress(self.limit),
            Scope::Overall => Limit::Conns(self.limit),
        }
    }
}

#[cfg(test)]
impl Conns {
    pub(super) fn clients(&self) -> usize {
        self.open.len()
    }
}
