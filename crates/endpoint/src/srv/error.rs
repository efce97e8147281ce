use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use crate::{address::SrvName, dial::look_up_failure, targets::TargetsError};

/// A failed dial of a service. The source is the error of the look-up, or of the servers of the last priority.
#[derive(Debug)]
pub struct SrvDialError {
    name: Arc<SrvName>,
    reason: Reason,
}

#[derive(Debug)]
pub(super) enum Reason {
    LookUp(io::Error),
    Deadline(Duration),
    NoService,
    Targets(TargetsError),
}

// ===== impl SrvDialError =====

impl SrvDialError {
    pub(super) fn new(name: Arc<SrvName>, reason: Reason) -> Self {
        Self { name, reason }
    }

    /// The service.
    pub fn name(&self) -> &SrvName {
        &self.name
    }

    /// Whether the domain says that it has no such service: the target of its SRV record is `.`.
    pub fn is_no_service(&self) -> bool {
        matches!(self.reason, Reason::NoService)
    }

    /// Whether the look-up of the service failed, and no connection was tried.
    pub fn is_look_up(&self) -> bool {
        matches!(self.reason, Reason::LookUp(_) | Reason::Deadline(_))
    }
}

impl fmt::Display for SrvDialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot dial srv:{}", self.name)?;
        match &self.reason {
            Reason::LookUp(error) => f.write_str(look_up_failure(error)),
            Reason::Deadline(after) => write!(f, ", no name server answered within {after:?}"),
            Reason::NoService => {
                f.write_str(", the domain has no such service: the target of its SRV record is `.`")
            }
            Reason::Targets(_) => Ok(()),
        }
    }
}

impl Error for SrvDialError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::LookUp(error) => Some(error),
            Reason::Targets(error) => Some(error),
            Reason::Deadline(_) | Reason::NoService => None,
        }
    }
}
