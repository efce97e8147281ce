use std::{fmt, sync::Arc};

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, io::tcp::TcpSettings};
use thiserror::Error;

/// A Redis or Valkey server: `redis://[HOST][:PORT][/DATABASE]`, or `redis+unix:///PATH`. `Debug` and
/// [`name`](Self::name) show no secrets.
#[derive(Clone)]
pub struct RedisServer {
    info: ConnectionInfo,
    name: Arc<str>,
}

/// Not the address of a server.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The text has another form.
    #[error("address of a match-maker has another form: {0}; right would be `redis://HOST:6379/0`")]
    Malformed(String),
    /// The address asks for TLS.
    #[error(
        "match-maker over TLS is not supported: `redis://HOST:6379`, over a network of your own"
    )]
    Tls,
}

// ===== impl RedisServer =====

impl RedisServer {
    /// Parses an address. `valkey://` is the same as `redis://`; the port is 6379 by default.
    ///
    /// # Errors
    ///
    /// If the address has another form.
    pub fn new(url: &str) -> Result<Self, ServerError> {
        if url.starts_with("rediss:") || url.starts_with("valkeys:") {
            return Err(ServerError::Tls);
        }
        let info = url.into_connection_info();
        // What the crate says of a malformed address never has the password in it.
        let info = info.map_err(|error| ServerError::Malformed(error.category().to_owned()))?;
        let db = info.redis_settings().db();
        let name = match info.addr() {
            ConnectionAddr::Tcp(host, port) if host.contains(':') => {
                format!("redis://[{host}]:{port}/{db}")
            }
            ConnectionAddr::Tcp(host, port) => format!("redis://{host}:{port}/{db}"),
            ConnectionAddr::Unix(path) => format!("redis+unix://{}", path.display()),
            _ => return Err(ServerError::Tls),
        };
        // The crate leaves Nagle's algorithm on.
        let tcp = TcpSettings::default().set_nodelay(true);
        Ok(Self {
            info: info.set_tcp_settings(tcp),
            name: name.into(),
        })
    }

    /// Logs in with this password, as the user of the address or the default user.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        let settings = self.info.redis_settings().clone();
        self.info = self
            .info
            .set_redis_settings(settings.set_password(password));
        self
    }

    /// Whether the address has a password in it, which other users of the machine may see.
    pub fn has_password(&self) -> bool {
        self.info.redis_settings().password().is_some()
    }

    /// The address without secrets.
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(super) fn client(&self) -> redis::RedisResult<Client> {
        Client::open(self.info.clone())
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisServer").field(&self.name).finish()
    }
}
