use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::listen::accept_error::AcceptError;

/// Counts the errors of accept(2), by kind. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub struct AcceptErrors(Arc<OnceLock<Arc<Counts>>>);

type Counts = [AtomicU64; AcceptErrorKind::ALL.len()];

/// The kind of an error of accept(2): one of a closed set, for a label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AcceptErrorKind {
    /// File descriptors are used up: `EMFILE`, `ENFILE`. Accepting is tried again.
    Descriptors,
    /// Memory is used up: `ENOBUFS`, `ENOMEM`. Accepting is tried again.
    Memory,
    /// A connection failed before it was accepted: `ECONNABORTED`, `EPROTO`, `EPERM` of a firewall. The next
    /// one is accepted.
    Aborted,
    /// Anything else.
    Other,
}

// ===== impl AcceptErrors =====

impl AcceptErrors {
    /// The number of errors of each kind.
    pub fn counts(&self) -> impl Iterator<Item = (AcceptErrorKind, u64)> {
        let counts = Arc::clone(self.shared());
        let kinds = AcceptErrorKind::ALL.iter().copied();
        kinds.map(move |kind| (kind, counts[kind as usize].load(Ordering::Relaxed)))
    }

    /// Counts on where `before` has begun, from now on in one. Has no effect once this one has counted.
    pub fn continues(&self, before: &Self) {
        let _ = self.0.set(Arc::clone(before.shared()));
    }

    pub(crate) fn count(&self, error: &io::Error) {
        self.shared()[AcceptErrorKind::of(error) as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn shared(&self) -> &Arc<Counts> {
        self.0.get_or_init(Arc::default)
    }
}

// ===== impl AcceptErrorKind =====

impl AcceptErrorKind {
    /// All kinds.
    pub const ALL: &[Self] = &[Self::Descriptors, Self::Memory, Self::Aborted, Self::Other];

    /// The kind as the label of a metric: `descriptors`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Descriptors => "descriptors",
            Self::Memory => "memory",
            Self::Aborted => "aborted",
            Self::Other => "other",
        }
    }

    fn of(error: &io::Error) -> Self {
        #[cfg(unix)]
        {
            use rustix::io::Errno;

            match Errno::from_io_error(error) {
                Some(Errno::MFILE | Errno::NFILE) => return Self::Descriptors,
                Some(Errno::NOBUFS | Errno::NOMEM) => return Self::Memory,
                _ => {}
            }
        }
        match AcceptError::of(error) {
            AcceptError::Connection => Self::Aborted,
            AcceptError::Shortage | AcceptError::Listener => Self::Other,
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn counts(errors: &AcceptErrors) -> Vec<u64> {
        errors.counts().map(|(_, count)| count).collect()
    }

    #[test]
    fn each_error_counts_as_its_kind() {
        let errors = AcceptErrors::default();
        for number in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::CONNABORTED,
            Errno::PERM,
            Errno::PROTO,
            Errno::BADF,
        ] {
            errors.count(&number.into());
        }
        assert_eq!(counts(&errors), [2, 1, 3, 1]);
    }

    #[test]
    fn a_counter_goes_on_where_the_one_before_was() {
        let (before, after) = (AcceptErrors::default(), AcceptErrors::default());
        before.count(&Errno::MFILE.into());
        after.continues(&before);
        after.count(&Errno::MFILE.into());
        before.count(&Errno::NOMEM.into());
        assert_eq!(counts(&before), [2, 1, 0, 0]);
        assert_eq!(counts(&after), counts(&before));
    }
}
