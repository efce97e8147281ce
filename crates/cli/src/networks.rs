//! Reads networks, `NETWORK+…` or `@FILE`.

use std::path::Path;

use couplet_connector::layers::{Networks, admission::access::InvalidNetwork};

use crate::{credential, mistake::Mistake};

/// `NETWORK+…`, or `@FILE`.
pub(crate) fn networks(text: &str) -> Result<Networks, Mistake> {
    match text.strip_prefix('@') {
        Some(path) => Networks::read(&*credential::path(path)?).map_err(|error| {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            Mistake::new(
                format!("{error}: {}", why.unwrap_or_default()),
                "a network a line, like `10.0.0.0/8`, and comments behind `#`",
            )
        }),
        None => text.parse().map_err(|error| match error {
            InvalidNetwork::Syntax(_) if Path::new(text).is_file() => Mistake::new(
                format!("`{text}` is a file, not a network"),
                format!("`@{text}`"),
            ),
            InvalidNetwork::Syntax(word) => {
                Mistake::new(format!("`{word}` is not a network"), NETWORK)
            }
            InvalidNetwork::HostBits {
                text,
                network,
                host,
            } => Mistake::new(
                format!("`{text}` is an address within a network"),
                format!("write `{network}`, or `{host}` alone"),
            ),
            other => Mistake::new(other.to_string(), NETWORK),
        }),
    }
}

const NETWORK: &str = "`10.0.0.0/8`, `2001:db8::/32`, one address, or `uid:1000` and `gid:100` of a Unix socket; a file of them is `@FILE`";
