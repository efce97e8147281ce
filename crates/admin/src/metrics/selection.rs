/// What is asked for of the metrics: everything by default.
///
/// ```
/// use couplet_admin::metrics::Selection;
///
/// let pairs = Selection::default().relay("ssh").family("couplet_pairs_live");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    relay: Option<String>,
    families: Vec<String>,
}

// ===== impl Selection =====

impl Selection {
    /// Only the metrics of this relay, without those of the process.
    #[must_use]
    pub fn relay(mut self, name: &str) -> Self {
        self.relay = Some(name.to_owned());
        self
    }

    /// This family, and others that are selected so; by default all.
    #[must_use]
    pub fn family(mut self, name: &str) -> Self {
        self.families.push(name.to_owned());
        self
    }

    pub(super) fn has(&self, family: &str) -> bool {
        self.families.is_empty() || self.families.iter().any(|name| name == family)
    }

    pub(super) fn has_relay(&self, name: &str) -> bool {
        self.relay.as_ref().is_none_or(|relay| relay == name)
    }

    /// With the metrics of the process.
    pub(super) const fn is_whole(&self) -> bool {
        self.relay.is_none()
    }
}
