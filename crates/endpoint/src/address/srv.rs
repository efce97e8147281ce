use std::{fmt, str::FromStr};

use super::{AddressError, HostName, error::Mistake, name, parse::fail};

/// The name of a service of a domain, `_SERVICE._tcp.DOMAIN` (RFC 2782): the DNS has the servers in its SRV records.
///
/// ```
/// use couplet_endpoint::{Address, SrvName};
///
/// let Address::DialSrv(name) = "dial:srv:_imaps._tcp.example.org".parse()? else { panic!() };
/// assert_eq!(name, "_imaps._tcp.example.org".parse::<SrvName>()?);
/// assert_eq!(name.domain().as_str(), "example.org");
/// # Ok::<(), couplet_endpoint::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SrvName {
    name: HostName,
    domain: HostName,
}

/// What stands behind `dial:`, before the name.
pub(super) const KIND: &str = "srv:";

const FORM: &str = "`dial:srv:_SERVICE._tcp.DOMAIN`";

/// Is what stands behind `dial:srv:` such a name? A host may be called `srv`, too, and the underscore is in no port.
pub(super) fn is_meant(rest: &str) -> bool {
    rest.starts_with('_') || rest.contains("._")
}

// ===== impl SrvName =====

impl SrvName {
    /// The whole name.
    pub fn name(&self) -> &HostName {
        &self.name
    }

    /// The domain, for which a certificate of the service is (RFC 6125).
    pub fn domain(&self) -> &HostName {
        &self.domain
    }

    /// Reads what follows `dial:srv:` in `input`, from byte `at` on.
    pub(super) fn read(input: &str, at: usize) -> Result<Self, AddressError> {
        let text = &input[at..];
        let wrong = |from: usize, len: usize, message: &str, right: &str| {
            fail(input, from..from + len, Mistake::new(message, right))
        };
        if let Some(colon) = text.find(':') {
            let end = &text[colon..];
            let right = format!("leave `{end}` out");
            return wrong(at + colon, end.len(), "an SRV record has the port", &right);
        }
        name::check(text)
            .or_else(|(span, mistake)| fail(input, at + span.start..at + span.end, mistake))?;
        let mut labels = text.splitn(3, '.');
        let service = labels.next().unwrap_or_default();
        if !service.starts_with('_') || service.len() == 1 {
            let message = "the name of a service begins with an underscore";
            return wrong(at, service.len(), message, FORM);
        }
        let protocol = labels.next().unwrap_or_default();
        if !protocol.eq_ignore_ascii_case("_tcp") {
            let at = (at + service.len() + 1).min(input.len());
            return wrong(at, protocol.len(), "`_tcp` stands behind the service", FORM);
        }
        match labels.next() {
            None | Some("") => wrong(input.len(), 0, "a domain is missing", FORM),
            Some(domain) => Ok(Self {
                name: HostName::checked(text),
                domain: HostName::checked(domain),
            }),
        }
    }
}

impl FromStr for SrvName {
    type Err = AddressError;

    fn from_str(input: &str) -> Result<Self, AddressError> {
        Self::read(input, 0)
    }
}

/// The name alone, without `srv:`.
impl fmt::Display for SrvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use crate::Address;

    #[test]
    fn a_service_is_told_from_a_host_of_that_name() {
        for text in ["dial:srv:_a._tcp.b", "dial:srv:_A-b._TCP.example.org."] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert!(matches!(address, Address::DialSrv(_)), "{text}");
        }
        for text in ["dial:srv:22", "dial:srv.:22", "listen:srv:22"] {
            let address: Address = text.parse().unwrap();
            assert!(!matches!(address, Address::DialSrv(_)), "{text}");
        }
    }

    #[test]
    fn a_mistake_is_shown_at_its_place() {
        for (text, at, message) in [
            (
                "dial:srv:_",
                9..10,
                "the name of a service begins with an underscore",
            ),
            (
                "dial:srv:a._tcp.b",
                9..10,
                "the name of a service begins with an underscore",
            ),
            ("dial:srv:_a", 11..11, "`_tcp` stands behind the service"),
            (
                "dial:srv:_a._udp.b",
                12..16,
                "`_tcp` stands behind the service",
            ),
            ("dial:srv:_a._tcp", 16..16, "a domain is missing"),
            ("dial:srv:_a._tcp.", 17..17, "a domain is missing"),
            (
                "dial:srv:_a._tcp.b:22",
                18..21,
                "an SRV record has the port",
            ),
            (
                "dial:srv:_a._tcp..b",
                17..17,
                "a part of the host's name is empty",
            ),
            (
                "dial:srv:_a._tcp.b/c",
                18..19,
                "`/` can't be in a host's name",
            ),
            (
                "dial:c:1|srv:_a._tcp.b",
                9..13,
                "`srv:` is for one target alone",
            ),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!((error.span(), error.message()), (at, message), "{text}");
        }
    }
}
