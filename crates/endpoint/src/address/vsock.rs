use std::{fmt, str::FromStr};

use super::{
    AddressError,
    error::Mistake,
    parse::{fail, shows},
};

/// A port of a machine that shares the host, for sockets between a virtual machine and its host:
/// `vsock:CID:PORT`. See vsock(7).
///
/// The CID is a machine's number, or one of the names `hypervisor` (0), `local` (1) and `host` (2). To listen,
/// `vsock:PORT` is every machine that can reach this one, and port 0 is any free port.
///
/// ```
/// use couplet_endpoint::VsockAddr;
///
/// let addr: VsockAddr = "vsock:host:5000".parse()?;
/// assert_eq!((addr.cid(), addr.port()), (Some(2), 5000));
/// assert_eq!(addr.to_string(), "vsock:2:5000");
/// # Ok::<(), couplet_endpoint::AddressError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VsockAddr {
    cid: Option<u32>,
    port: u32,
}

pub(super) const KIND: &str = "vsock:";

/// `VMADDR_CID_ANY` and `VMADDR_PORT_ANY`.
const ANY: u32 = u32::MAX;

const NAMES: [(&str, u32); 3] = [("hypervisor", 0), ("local", 1), ("host", 2)];

const FORM: &str = "`vsock:CID:PORT`; the host is `vsock:host:PORT`";

const LISTEN_FORM: &str = "`listen:vsock:PORT`";

// ===== impl VsockAddr =====

impl VsockAddr {
    /// This machine itself (`VMADDR_CID_LOCAL`).
    pub const LOCAL: u32 = 1;

    /// A port of a machine.
    pub const fn new(cid: u32, port: u32) -> Self {
        Self {
            cid: if cid == ANY { None } else { Some(cid) },
            port,
        }
    }

    /// A port for every machine that can reach this one.
    pub const fn everywhere(port: u32) -> Self {
        Self { cid: None, port }
    }

    /// The machine's number; `None` is any.
    pub const fn cid(&self) -> Option<u32> {
        self.cid
    }

    /// The port.
    pub const fn port(&self) -> u32 {
        self.port
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn sock_addr(self) -> socket2::SockAddr {
        let port = match (self.cid, self.port) {
            (None, 0) => ANY,
            (_, port) => port,
        };
        socket2::SockAddr::vsock(self.cid.unwrap_or(ANY), port)
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn of(addr: &socket2::SockAddr) -> Option<Self> {
        let (cid, port) = addr.as_vsock_address()?;
        Some(Self::new(cid, port))
    }

    /// Reads what follows `vsock:` in `input`, from byte `at` on.
    pub(super) fn read(input: &str, at: usize, listens: bool) -> Result<Self, AddressError> {
        let text = &input[at..];
        let form = if listens { LISTEN_FORM } else { FORM };
        let Some((cid, port)) = text.split_once(':') else {
            let all = at..input.len();
            return match (text, listens) {
                ("", _) => fail(input, all, Mistake::new("a port is missing", form)),
                (_, true) => Ok(Self::everywhere(port(input, at, true)?)),
                (_, false) => {
                    let message = "a dialled machine needs its number (CID), and a port";
                    fail(input, all, Mistake::new(message, form))
                }
            };
        };
        let named = NAMES.iter().find(|(name, _)| *name == cid);
        let number = named.map(|(_, number)| *number).or_else(|| digits(cid));
        let Some(number) = number.filter(|number| *number != ANY) else {
            let message = format!("`{cid}` is not the number of a machine (CID)");
            let right = "a number, or `host`, `local`";
            return fail(input, at..at + cid.len(), Mistake::new(message, right));
        };
        let port_at = input.len() - port.len();
        Ok(Self::new(number, self::port(input, port_at, listens)?))
    }
}

/// The port: all of `input` from `at` on.
fn port(input: &str, at: usize, listens: bool) -> Result<u32, AddressError> {
    let text = &input[at..];
    let least = u32::from(!listens);
    match digits(text).filter(|port| *port != ANY && *port >= least) {
        Some(port) => Ok(port),
        None => {
            let message = format!("`{text}` is not a port of vsock");
            let right = format!("a number from {least} to {}", ANY - 1);
            fail(input, at..input.len(), Mistake::new(message, right))
        }
    }
}

fn digits(text: &str) -> Option<u32> {
    let all = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| all)
}

impl FromStr for VsockAddr {
    type Err = AddressError;

    /// As it is dialled, or with `vsock:PORT` as it is listened on.
    fn from_str(input: &str) -> Result<Self, AddressError> {
        shows(input)?;
        match input.strip_prefix(KIND) {
            Some(rest) => Self::read(input, KIND.len(), !rest.contains(':')),
            None => fail(input, 0..0, Mistake::new("`vsock:` is missing", FORM)),
        }
    }
}

impl fmt::Display for VsockAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(KIND)?;
        if let Some(cid) = self.cid {
            write!(f, "{cid}:")?;
        }
        write!(f, "{}", self.port)
    }
}

#[cfg(test)]
mod tests {
    use crate::Address;

    #[test]
    fn an_address_of_vsock_has_a_canonical_form() {
        for (written, canonical) in [
            ("listen:vsock:9000", "listen:vsock:9000"),
            ("listen:vsock:0", "listen:vsock:0"),
            ("listen:vsock:local:09", "listen:vsock:1:9"),
            ("dial:vsock:host:1024", "dial:vsock:2:1024"),
            (
                "dial:vsock:4294967294:4294967294",
                "dial:vsock:4294967294:4294967294",
            ),
        ] {
            let address: Address = written.parse().unwrap();
            assert_eq!(address.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(address));
        }
    }

    #[test]
    fn a_mistake_is_shown_at_its_place() {
        for (text, at, message) in [
            ("listen:vsock:", 13..13, "a port is missing"),
            (
                "dial:vsock:9000",
                11..15,
                "a dialled machine needs its number (CID), and a port",
            ),
            ("dial:vsock:3:0", 13..14, "`0` is not a port of vsock"),
            ("dial:vsock:3:", 13..13, "`` is not a port of vsock"),
            (
                "listen:vsock:4294967295",
                13..23,
                "`4294967295` is not a port of vsock",
            ),
            (
                "dial:vsock:guest:9",
                11..16,
                "`guest` is not the number of a machine (CID)",
            ),
            (
                "dial:vsock:+3:9",
                11..13,
                "`+3` is not the number of a machine (CID)",
            ),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!((error.span(), error.message()), (at, message), "{text}");
        }
    }
}
