use std::sync::Arc;

use couplet_endpoint::Info;

use super::{AccessRefused, AccessRule};

type Rule = dyn Fn(&Info) -> Result<(), AccessRefused> + Send + Sync;

/// Refuses connections by a rule. See the [module](super).
#[derive(Clone, derive_more::Debug)]
#[debug("AccessLayer")]
pub struct AccessLayer(Arc<Rule>);

// ===== impl AccessLayer =====

impl AccessLayer {
    /// A layer with this [`AccessRule`]: an access list, or a closure.
    pub fn new(rule: impl AccessRule + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |info| {
            rule.check(info).map_err(AccessRefused::new)
        }))
    }

    pub(super) fn check(&self, info: &Info) -> Result<(), AccessRefused> {
        (self.0)(info)
    }
}
