use std::{error::Error, fmt};

use crate::error::BoxError;

/// No target could be dialled. The source is the error of the last dial, where there was one.
#[derive(Debug)]
pub struct TargetsError {
    targets: usize,
    last: Option<BoxError>,
}

// ===== impl TargetsError =====

impl TargetsError {
    pub(super) fn new(targets: usize, last: Option<BoxError>) -> Self {
        Self { targets, last }
    }

    /// Whether all targets were down, so that none was dialled.
    pub fn are_down(&self) -> bool {
        self.last.is_none()
    }
}

impl fmt::Display for TargetsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.last, self.targets) {
            (None, 1) => f.write_str("the target is down"),
            (None, targets) => write!(f, "all {targets} targets are down"),
            (Some(_), 1) => f.write_str("the target can't be reached"),
            (Some(_), targets) => write!(f, "none of {targets} targets can be reached"),
        }
    }
}

impl Error for TargetsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self.last.as_ref()?)
    }
}
