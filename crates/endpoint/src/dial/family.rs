use std::{fmt, net::SocketAddr};

/// Which addresses of a name are dialled, and which of them first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// All, in the resolver's order (RFC 6724): mostly IPv6 first.
    #[default]
    Any,
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
    /// All, the first of IPv4 first.
    PreferIpv4,
    /// All, the first of IPv6 first.
    PreferIpv6,
}

// ===== impl Family =====

impl Family {
    /// Leaves out what is not wanted, and puts the preferred ones first.
    pub(super) fn sort(self, addrs: &mut Vec<SocketAddr>) {
        match self {
            Self::Any => {}
            Self::Ipv4 => addrs.retain(SocketAddr::is_ipv4),
            Self::Ipv6 => addrs.retain(SocketAddr::is_ipv6),
            // The sort is stable.
            Self::PreferIpv4 => addrs.sort_by_key(SocketAddr::is_ipv6),
            Self::PreferIpv6 => addrs.sort_by_key(SocketAddr::is_ipv4),
        }
    }
}

/// As the command has it.
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::Ipv4 => "4",
            Self::Ipv6 => "6",
            Self::PreferIpv4 => "prefer-4",
            Self::PreferIpv6 => "prefer-6",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::race::interleave;

    #[test]
    fn addresses_are_left_out_or_sorted_and_families_still_take_turns() {
        let all = ["[::1]:1", "[::2]:1", "10.0.0.1:1", "10.0.0.2:1"];
        for (family, expected) in [
            (
                Family::Any,
                &["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1"][..],
            ),
            (Family::Ipv4, &["10.0.0.1:1", "10.0.0.2:1"]),
            (Family::Ipv6, &["[::1]:1", "[::2]:1"]),
            (
                Family::PreferIpv4,
                &["10.0.0.1:1", "[::1]:1", "10.0.0.2:1", "[::2]:1"],
            ),
            (
                Family::PreferIpv6,
                &["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1"],
            ),
        ] {
            let mut addrs = all.map(|text| text.parse().unwrap()).to_vec();
            family.sort(&mut addrs);
            let addrs: Vec<_> = interleave(addrs).iter().map(ToString::to_string).collect();
            assert_eq!(addrs, expected, "{family}");
        }
    }
}
