//! How many descriptors may be open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises this process's limit, and so that of the processes it starts, to what is wanted or as
/// far as it may. Returns what it then is.
pub(crate) fn raise(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let unlimited = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    if unlimited(limit.current) >= wanted {
        return unlimited(limit.current);
    }
    // Only a privileged process may raise the hard limit, up to fs.nr_open.
    let attempts = [
        wanted.max(unlimited(limit.maximum)),
        wanted.min(unlimited(limit.maximum)),
    ];
    for limit in attempts.map(Some) {
        let raised = Rlimit {
            current: limit.map(|limit| limit.min(wanted)),
            maximum: limit,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            break;
        }
    }
    unlimited(getrlimit(Resource::Nofile).current)
}
