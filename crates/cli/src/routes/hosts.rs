//! The hosts that a pattern is for.

use std::net::IpAddr;

use couplet_connector::endpoint::HostName;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Hosts {
    All,
    One(String),
    /// What stands behind `*`, with its dot: all names that end so.
    Below(String),
}

// ===== impl Hosts =====

impl Hosts {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Some(Self::One(ip.to_string()));
        }
        let below = text.strip_prefix("*.");
        let name = below.unwrap_or(text);
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        HostName::new(&*name).ok()?;
        Some(match below {
            Some(_) => Self::Below(format!(".{name}")),
            None => Self::One(name),
        })
    }

    pub(super) fn fits(&self, host: Option<&str>) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (_, None) => false,
            (Self::One(name), Some(host)) => name == host,
            (Self::Below(end), Some(host)) => host.len() > end.len() && host.ends_with(end),
        }
    }

    pub(super) fn cover(&self, other: &Self) -> bool {
        match other {
            Self::All => *self == Self::All,
            Self::One(name) => self.fits(Some(name)),
            Self::Below(end) => match self {
                Self::All => true,
                Self::One(_) => false,
                Self::Below(own) => end.ends_with(own),
            },
        }
    }
}
