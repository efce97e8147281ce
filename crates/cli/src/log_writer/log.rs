//! Which logs there are, and how many lines each has lost.

use std::sync::atomic::{AtomicU64, Ordering};

/// A log of the process. Its access logs are one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Log {
    /// On standard error.
    Own,
    Access,
}

static LOST: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

// ===== impl Log =====

impl Log {
    /// As a line that tells of it has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Own => "log",
            Self::Access => "access log",
        }
    }

    pub(super) fn loses(self, lines: usize) {
        LOST[self as usize].fetch_add(lines as u64, Ordering::Relaxed);
    }

    /// The lines that each has lost, by its label.
    #[cfg(feature = "admin")]
    pub(crate) fn lost() -> Vec<(&'static str, u64)> {
        let all = [(Self::Own, "own"), (Self::Access, "access")].into_iter();
        all.map(|(log, label)| (label, LOST[log as usize].load(Ordering::Relaxed)))
            .collect()
    }
}
