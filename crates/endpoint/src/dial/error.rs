use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::Family;
use crate::{address::DialAddr, resolve::no_server_answered};

/// A failed dial: the target, and the reason.
///
/// The text names the addresses that were tried; the source is the [`io::Error`] of the last of them.
#[derive(Debug)]
pub struct DialError {
    target: DialAddr,
    reason: Reason,
    failed: Vec<(SocketAddr, io::Error)>,
}

#[derive(Debug)]
pub(super) enum Reason {
    LookUp(io::Error),
    NoAddress,
    NoAddressFor(IpAddr),
    NoAddressOf(Family),
    AllFailed,
    Deadline(Duration),
    /// The bound on dials of the target, all of which are under way.
    Busy(usize),
    /// The same, and a client of an address with fewer of them came.
    GaveWay(usize),
}

// ===== impl DialError =====

impl DialError {
    pub(super) fn new(
        target: DialAddr,
        reason: Reason,
        failed: Vec<(SocketAddr, io::Error)>,
    ) -> Self {
        Self {
            target,
            reason,
            failed,
        }
    }

    /// The address that was dialled.
    pub fn target(&self) -> &DialAddr {
        &self.target
    }

    /// Whether the deadline passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self.reason, Reason::Deadline(_))
    }

    /// Whether the look-up of the name failed, and no connection was tried.
    pub fn is_look_up(&self) -> bool {
        matches!(self.reason, Reason::LookUp(_) | Reason::NoAddress)
    }

    /// Whether the [bound on dials of the target](crate::Dial::max_per_target) was reached, or the dial
    /// gave way at it.
    pub fn is_busy(&self) -> bool {
        matches!(self.reason, Reason::Busy(_) | Reason::GaveWay(_))
    }

    /// The addresses that failed, in the order in which they did.
    pub fn failed(&self) -> impl Iterator<Item = (SocketAddr, &io::Error)> {
        self.failed.iter().map(|(addr, error)| (*addr, error))
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot dial {}", self.target)?;
        match &self.reason {
            Reason::LookUp(error) => f.write_str(look_up_failure(error)),
            Reason::NoAddress => f.write_str(", whose name has no address"),
            Reason::NoAddressOf(family) => {
                let family = match family {
                    Family::Ipv4 => "IPv4",
                    _ => "IPv6",
                };
                write!(
                    f,
                    ", which has no {family} address, and no other may be dialled"
                )
            }
            Reason::NoAddressFor(source) => {
                let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
                write!(
                    f,
                    ", which has no {family} address to be reached from {source}"
                )
            }
            Reason::Busy(most) => {
                write!(f, ", of which {most} dials are under way and unanswered")
            }
            Reason::GaveWay(most) => write!(
                f,
                ", of which {most} dials are under way, most for this client's network: gave way to \
                 another's"
            ),
            Reason::Deadline(after) => {
                write!(f, ", no answer within {after:?}")?;
                for (addr, error) in &self.failed {
                    write!(f, "; {addr}: {error}")?;
                }
                Ok(())
            }
            // The last one's text is the source's.
            Reason::AllFailed => match self.failed.split_last() {
                Some(((addr, _), [])) if addr.to_string() == self.target.to_string() => Ok(()),
                Some(((last, _), before)) => {
                    for (addr, error) in before {
                        write!(f, "; {addr}: {error}")?;
                    }
                    write!(f, "; {last}")
                }
                None => Ok(()),
            },
        }
    }
}

/// The meaning of a failed look-up.
pub(crate) fn look_up_failure(error: &io::Error) -> &'static str {
    match no_server_answered(error) {
        true => ", no name server answered (EAI_AGAIN)",
        false => ", name not found",
    }
}

impl Error for DialError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::LookUp(error) => Some(error),
            Reason::AllFailed => self.failed.last().map(|(_, error)| error as _),
            Reason::NoAddress
            | Reason::NoAddressFor(_)
            | Reason::NoAddressOf(_)
            | Reason::Deadline(_)
            | Reason::Busy(_)
            | Reason::GaveWay(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Chain;

    fn told(target: &str, reason: Reason, failed: &[&str]) -> String {
        let failed = failed.iter().map(|addr| {
            let error = io::Error::other(format!("no {}", addr.len()));
            (addr.parse().unwrap(), error)
        });
        let error = DialError::new(target.parse().unwrap(), reason, failed.collect());
        Chain(&error).to_string()
    }

    #[test]
    fn an_error_names_every_failure_once() {
        for (target, failed, expected) in [
            (
                "10.0.0.1:22",
                &["10.0.0.1:22"][..],
                "cannot dial 10.0.0.1:22: no 11",
            ),
            (
                "h:22",
                &["10.0.0.1:22"],
                "cannot dial h:22; 10.0.0.1:22: no 11",
            ),
            (
                "h:22",
                &["[::1]:22", "10.0.0.1:22"],
                "cannot dial h:22; [::1]:22: no 8; 10.0.0.1:22: no 11",
            ),
        ] {
            assert_eq!(told(target, Reason::AllFailed, failed), expected);
        }
        let deadline = Reason::Deadline(Duration::from_secs(10));
        let expected = "cannot dial h:22, no answer within 10s; [::1]:22: no 8";
        assert_eq!(told("h:22", deadline, &["[::1]:22"]), expected);
        let busy = "cannot dial h:22, of which 256 dials are under way and unanswered";
        assert_eq!(told("h:22", Reason::Busy(256), &[]), busy);
        let look_up = Reason::LookUp(io::Error::other("no such name"));
        let expected = "cannot dial h:22, name not found: no such name";
        assert_eq!(told("h:22", look_up, &[]), expected);
        let silent = "failed to lookup address information: Temporary failure in name resolution";
        let expected = format!("cannot dial h:22, no name server answered (EAI_AGAIN): {silent}");
        let look_up = Reason::LookUp(io::Error::other(silent));
        assert_eq!(told("h:22", look_up, &[]), expected);
    }
}
