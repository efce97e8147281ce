use std::{fmt, io, net::SocketAddr, sync::Arc};

use crate::error::BoxError;

/// The rules that say which addresses a dial may connect to.
#[derive(Clone, Default)]
pub(super) struct Permits(Option<Arc<Rules>>);

type Rules = Vec<Arc<dyn Fn(SocketAddr) -> Result<(), BoxError> + Send + Sync>>;

// ===== impl Permits =====

impl Permits {
    pub(super) fn add<F, E>(&mut self, rule: F)
    where
        F: Fn(SocketAddr) -> Result<(), E> + Send + Sync + 'static,
        E: Into<BoxError>,
    {
        let rules = Arc::make_mut(self.0.get_or_insert_default());
        rules.push(Arc::new(move |addr| rule(addr).map_err(Into::into)));
    }

    /// `PermissionDenied`, with the rule's error, where a rule refuses the address.
    pub(super) fn check(&self, addr: SocketAddr) -> io::Result<()> {
        let mut rules = self.0.iter().flat_map(|rules| rules.iter());
        rules
            .try_for_each(|rule| rule(addr))
            .map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permits({})", self.0.as_deref().map_or(0, Vec::len))
    }
}
