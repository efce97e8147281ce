use std::io;

/// Whose trouble an error of accept(2) is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// One connection's: it went away before it was accepted, a firewall forbade it, or it had an
    /// error pending, which Linux tells through accept. The next may be sound.
    Connection,
    /// Everybody's, until something is given back: file descriptors or memory.
    Shortage,
    /// The listener's own: it will never accept again.
    Listener,
}

// ===== impl Trouble =====

impl Trouble {
    /// What isn't known counts as a [`Shortage`](Self::Shortage): not for ever, and not to be
    /// tried again at once.
    pub(super) fn of(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;

        match error.kind() {
            Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::Interrupted
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::PermissionDenied
            | Kind::TimedOut => Self::Connection,
            Kind::InvalidInput => Self::Listener,
            _ => Self::of_number(error),
        }
    }

    /// For those that have no [`io::ErrorKind`]. `EOPNOTSUPP` means two things to accept(2); a
    /// socket that listens already can't be of the wrong type.
    #[cfg(unix)]
    fn of_number(error: &io::Error) -> Self {
        use rustix::io::Errno;

        match Errno::from_io_error(error) {
            Some(Errno::PROTO | Errno::NOPROTOOPT | Errno::HOSTDOWN | Errno::OPNOTSUPP) => {
                Self::Connection
            }
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Some(Errno::NONET) => Self::Connection,
            Some(Errno::BADF | Errno::FAULT | Errno::NOTSOCK) => Self::Listener,
            _ => Self::Shortage,
        }
    }

    #[cfg(not(unix))]
    fn of_number(_: &io::Error) -> Self {
        Self::Shortage
    }
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn all_are(expected: Trouble, numbers: &[Errno]) {
        for number in numbers {
            assert_eq!(Trouble::of(&(*number).into()), expected, "{number:?}");
        }
    }

    #[test]
    fn a_connections() {
        all_are(
            Trouble::Connection,
            &[
                Errno::CONNABORTED,
                Errno::CONNRESET,
                Errno::INTR,
                Errno::PROTO,
                Errno::PERM,
                Errno::NETDOWN,
                Errno::NOPROTOOPT,
                Errno::HOSTDOWN,
                Errno::HOSTUNREACH,
                Errno::OPNOTSUPP,
                Errno::NETUNREACH,
                Errno::TIMEDOUT,
            ],
        );
        #[cfg(target_os = "linux")]
        all_are(Trouble::Connection, &[Errno::NONET]);
    }

    #[test]
    fn everybodys() {
        let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        all_are(Trouble::Shortage, &shortages);
        let unknown = io::Error::other("?");
        assert_eq!(Trouble::of(&unknown), Trouble::Shortage);
    }

    #[test]
    fn the_listeners() {
        let numbers = [Errno::BADF, Errno::FAULT, Errno::INVAL, Errno::NOTSOCK];
        all_are(Trouble::Listener, &numbers);
    }
}
