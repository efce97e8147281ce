use std::{borrow::Cow, sync::Arc};

use couplet_endpoint::Side;

/// Removes secrets from bytes that are shown.
#[derive(Clone, Default, derive_more::Debug)]
#[debug("Redact({})", _0.is_some())]
pub(crate) struct Redact(Option<Arc<Redacts>>);

type Redacts = dyn Fn(Side, &mut Vec<u8>) + Send + Sync;

// ===== impl Redact =====

impl Redact {
    /// Changes nothing.
    pub(crate) const NOTHING: Self = Self(None);

    pub(crate) fn new(redact: impl Fn(Side, &mut Vec<u8>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(redact)))
    }

    /// The bytes from this side, redacted.
    pub(crate) fn apply<'a>(&self, from: Side, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match &self.0 {
            None => Cow::Borrowed(bytes),
            Some(redact) => {
                let mut bytes = bytes.to_vec();
                redact(from, &mut bytes);
                Cow::Owned(bytes)
            }
        }
    }
}
