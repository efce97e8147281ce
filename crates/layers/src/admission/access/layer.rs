use std::sync::Arc;

use tower_layer::Layer;

use super::AccessService;

/// Refuses connections by a rule. See the [module](super).
#[derive(Debug)]
pub struct AccessLayer<R> {
    rule: Arc<R>,
}

// ===== impl AccessLayer =====

impl<R> AccessLayer<R> {
    /// A layer with this [`AccessRule`](super::AccessRule): an access list, or a closure.
    pub fn new(rule: R) -> Self {
        Self {
            rule: Arc::new(rule),
        }
    }
}

impl<R> Clone for AccessLayer<R> {
    fn clone(&self) -> Self {
        Self {
            rule: Arc::clone(&self.rule),
        }
    }
}

impl<R, S> Layer<S> for AccessLayer<R> {
    type Service = AccessService<R, S>;

    fn layer(&self, inner: S) -> Self::Service {
        AccessService {
            rule: Arc::clone(&self.rule),
            inner,
        }
    }
}
