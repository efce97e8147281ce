use std::{fmt, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, RedisResult,
    aio::MultiplexedConnection,
    cluster::ClusterClientBuilder,
    io::tcp::TcpSettings,
    sentinel::{SentinelClientBuilder, SentinelServerType},
};

use super::{address::Place, conn::Conn, server_error::ServerError};

#[cfg(feature = "redis-tls")]
use super::tls::RedisTls;

/// How long making a connection and the check may take.
pub(super) const CONNECT: Duration = Duration::from_secs(2);

/// A bound for the crate's own books: each request has a deadline of its own, which is shorter.
pub(super) const RESPONSE: Duration = Duration::from_secs(30);

/// The address of a Redis or Valkey server, of sentinels, or of a cluster. `Debug` and [`name`](Self::name) show no secrets.
///
/// | address | |
/// |---|---|
/// | `redis://[USER@]HOST[:6379][/DATABASE]` | a server |
/// | `redis+unix:///PATH` | the same, over a Unix socket |
/// | `redis+sentinel://[USER@]HOST[:26379],HOST…/MASTER[/DATABASE]` | the master of this name; each new connection asks the sentinels for its address |
/// | `redis+cluster://[USER@]HOST[:6379],HOST…` | a Redis Cluster; some of its servers are enough |
///
/// `valkey` is the same as `redis`; `rediss` and `valkeys` are over TLS (feature `redis-tls`).
#[derive(Clone)]
pub struct RedisServer {
    place: Place,
    name: Arc<str>,
    sentinel_password: Option<Arc<str>>,
    #[cfg(feature = "redis-tls")]
    tls: RedisTls,
}

// ===== impl RedisServer =====

impl RedisServer {
    /// Parses an address.
    ///
    /// # Errors
    ///
    /// If the address has another form.
    pub fn new(url: &str) -> Result<Self, ServerError> {
        let place = Place::parse(url)?;
        Ok(Self {
            name: place.name().into(),
            place,
            sentinel_password: None,
            #[cfg(feature = "redis-tls")]
            tls: RedisTls::new(),
        })
    }

    /// Logs in with this password, as the user of the address or the default user.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.place = self.place.map(|info| {
            let settings = info.redis_settings().clone();
            info.set_redis_settings(settings.set_password(password))
        });
        self
    }

    /// Logs in at the sentinels with this password. Without one, no password is sent to them.
    #[must_use]
    pub fn sentinel_password(mut self, password: &str) -> Self {
        self.sentinel_password = Some(password.into());
        self
    }

    /// Sets the files for TLS, of the servers and of the sentinels.
    ///
    /// # Errors
    ///
    /// If the address has no TLS, or a file can't be used.
    #[cfg(feature = "redis-tls")]
    pub fn tls(mut self, tls: RedisTls) -> Result<Self, ServerError> {
        if !self.place.is_tls() {
            return Err(ServerError::NotTls(self.name));
        }
        let checked = tls.read().and_then(|certificates| {
            Client::build_with_tls(self.place.infos()[0].clone(), certificates)
        });
        checked.map_err(|error| ServerError::TlsFile(error.to_string()))?;
        self.tls = tls;
        Ok(self)
    }

    /// Whether the address contains a password, which other users of the machine may see.
    pub fn has_password(&self) -> bool {
        let mut infos = self.place.infos().iter();
        infos.any(|info| info.redis_settings().password().is_some())
    }

    /// Whether sentinels tell the address of the server.
    pub fn is_by_sentinel(&self) -> bool {
        matches!(self.place, Place::Sentinel(..))
    }

    /// The address without secrets.
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// A connection, and one to a server that says what it can.
    pub(super) async fn open(
        &self,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<(Conn, MultiplexedConnection)> {
        let client = match &self.place {
            Place::One(info) => self.client(info)?,
            Place::Sentinel(sentinels, master) => self.master(sentinels, master).await?,
            Place::Cluster(infos) => return self.cluster(infos, config).await,
        };
        let conn = client
            .get_multiplexed_async_connection_with_config(config)
            .await?;
        Ok((Conn::One(conn.clone()), conn))
    }

    fn client(&self, info: &ConnectionInfo) -> RedisResult<Client> {
        #[cfg(feature = "redis-tls")]
        if matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. }) {
            return Client::build_with_tls(info.clone(), self.tls.read()?);
        }
        Client::open(info.clone())
    }

    async fn master(&self, sentinels: &[ConnectionInfo], name: &str) -> RedisResult<Client> {
        let addrs = sentinels.iter().map(|info| info.addr().clone());
        let tcp = || TcpSettings::default().set_nodelay(true);
        let login = sentinels[0].redis_settings();
        let mut builder = SentinelClientBuilder::new(addrs, name, SentinelServerType::Master)?
            .set_client_to_redis_tcp_settings(tcp())
            .set_client_to_redis_db(login.db());
        if let Some(user) = login.username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = login.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(password) = &self.sentinel_password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        #[cfg(feature = "redis-tls")]
        if self.place.is_tls() {
            let files = self.tls.read()?;
            builder = builder
                .set_client_to_redis_tls_mode(redis::TlsMode::Secure)
                .set_client_to_redis_certificates(files.clone())
                .set_client_to_sentinel_certificates(files);
        }
        builder.build()?.async_get_client().await
    }

    async fn cluster(
        &self,
        infos: &[ConnectionInfo],
        config: &AsyncConnectionConfig,
    ) -> RedisResult<(Conn, MultiplexedConnection)> {
        let builder = ClusterClientBuilder::new(infos.to_vec())
            .tcp_settings(TcpSettings::default().set_nodelay(true))
            .connection_timeout(CONNECT)
            .response_timeout(RESPONSE);
        #[cfg(feature = "redis-tls")]
        let builder = match self.place.is_tls() {
            true => builder.tls(redis::TlsMode::Secure).certs(self.tls.read()?),
            false => builder,
        };
        let conn = builder.build()?.get_async_connection().await?;
        let mut last = None;
        for info in infos {
            let client = self.client(info)?;
            let one = client.get_multiplexed_async_connection_with_config(config);
            match one.await {
                Ok(one) => return Ok((Conn::Cluster(conn), one)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("an address names a server"))
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisServer").field(&self.name).finish()
    }
}
