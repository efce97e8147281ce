use std::{error::Error, io};

use couplet_endpoint::{DialError, find_cause, is_caused_by};
use couplet_layers::{AccessRefused, ViaError};

use super::ProxyError;

/// The reason for which a target was not reached, as the protocols of proxies distinguish them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, derive_more::Display)]
#[non_exhaustive]
pub enum DialFailure {
    /// The target refused the connection: no program listens there.
    #[display("connection refused")]
    Refused,
    /// There is no route to the target's network or machine.
    #[display("network or host unreachable")]
    Unreachable,
    /// The target's name has no address.
    #[display("name not found")]
    NotFound,
    /// A rule forbids the target.
    #[display("not allowed")]
    Denied,
    /// There was no answer in time.
    #[display("no answer in time")]
    TimedOut,
    /// Something else.
    #[display("general failure")]
    Other,
}

// ===== impl DialFailure =====

impl DialFailure {
    /// The reason behind an error of a dial: of a [`Dial`](couplet_endpoint::Dial), of a [`Via`](couplet_layers::Via), or of
    /// the side's stack.
    ///
    /// Of several addresses that failed, one that refused the connection counts most, then one that was
    /// unreachable, then one that did not answer, then one that is forbidden.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        // A proxy that can't be dialled is no failure of the target.
        if let Some(via) = find_cause::<ViaError>(error) {
            return Self::of_via(via);
        }
        if let Some(proxy) = find_cause::<ProxyError>(error) {
            return proxy.failure();
        }
        if let Some(dial) = find_cause::<DialError>(error) {
            return Self::of_dial(dial);
        }
        if is_caused_by::<AccessRefused>(error) {
            return Self::Denied;
        }
        find_cause::<io::Error>(error).map_or(Self::Other, Self::of_io)
    }

    fn of_via(error: &ViaError) -> Self {
        match (error.is_timeout(), error.is_of_proxy()) {
            (true, _) => Self::TimedOut,
            (_, true) => Self::Other,
            _ => find_cause::<ProxyError>(error).map_or(Self::Other, ProxyError::failure),
        }
    }

    fn of_dial(error: &DialError) -> Self {
        if error.is_look_up() {
            return Self::NotFound;
        }
        let failed: Vec<_> = error
            .failed()
            .map(|(_, error)| Self::of_io(error))
            .collect();
        let first = [Self::Refused, Self::Unreachable];
        let last = [Self::TimedOut, Self::Denied];
        let found = |among: &[Self]| among.iter().find(|one| failed.contains(one)).copied();
        match (found(&first), error.is_timeout()) {
            (Some(failure), false) => failure,
            (_, true) => Self::TimedOut,
            (None, false) => found(&last).unwrap_or(Self::Other),
        }
    }

    fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => Self::Unreachable,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::PermissionDenied => Self::Denied,
            _ => Self::Other,
        }
    }
}
