use std::io;

/// The meaning of an error of accept(2) for the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcceptError {
    /// One connection failed (`ECONNABORTED`, `EPROTO`, `EPERM` of a firewall, or an error that was
    /// pending on it, which Linux returns from accept). The next may be sound.
    Connection,
    /// File descriptors or memory are used up (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`), until
    /// something is given back.
    Shortage,
    /// The listening socket is broken (`EBADF`, `EINVAL`, `ENOTSOCK`): accepting never works again.
    Listener,
}

// ===== impl AcceptError =====

impl AcceptError {
    /// An unknown error counts as a [`Shortage`](Self::Shortage): accepting is tried again, after a
    /// pause.
    pub(crate) fn of(error: &io::Error) -> Self {
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

    fn all_are(expected: AcceptError, numbers: &[Errno]) {
        for number in numbers {
            assert_eq!(AcceptError::of(&(*number).into()), expected, "{number:?}");
        }
    }

    #[test]
    fn errors_of_one_connection() {
        all_are(
            AcceptError::Connection,
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
        all_are(AcceptError::Connection, &[Errno::NONET]);
    }

    #[test]
    fn shortages_of_the_whole_process_or_system() {
        let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        all_are(AcceptError::Shortage, &shortages);
        let unknown = io::Error::other("?");
        assert_eq!(AcceptError::of(&unknown), AcceptError::Shortage);
    }

    #[test]
    fn errors_of_the_listener() {
        let numbers = [Errno::BADF, Errno::FAULT, Errno::INVAL, Errno::NOTSOCK];
        all_are(AcceptError::Listener, &numbers);
    }
}
