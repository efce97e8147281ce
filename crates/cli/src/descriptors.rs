//! How many sockets may be open.

/// Raises the limit of open descriptors as far as this process may: a pair needs two.
#[cfg(unix)]
pub(crate) fn allow_many() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open descriptors stays as it is");
        }
    }
}

#[cfg(not(unix))]
pub(crate) fn allow_many() {}
