//! The addresses of the match-makers, and the log-in.

use std::fmt;

use couplet_meeting::redis::RedisServer;
#[cfg(feature = "tls")]
use couplet_meeting::redis::RedisTls;

use crate::{mistake::Mistake, side::options::secret};

#[derive(Debug, clap::Args)]
pub(super) struct EngineArgs {
    /// Join clients of different nodes, by a match-maker at redis://HOST:6379/0, rediss://…,
    /// redis+sentinel://HOST,…/MASTER or redis+cluster://HOST,…; several share the keys
    #[arg(long, value_name = "URL")]
    engine: Vec<String>,

    /// The password of the match-makers
    #[arg(long, value_name = "@FILE", requires = "engine")]
    engine_password: Option<String>,

    /// The password of the sentinels [default: none]
    #[arg(long, value_name = "@FILE", requires = "engine")]
    engine_sentinel_password: Option<String>,

    /// The CAs to trust, for a match-maker over TLS [default: the system's]
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "CA.pem", requires = "engine")]
    engine_ca: Option<String>,

    /// The client certificate, for a match-maker over TLS
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "CERT.pem", requires = "engine")]
    engine_cert: Option<String>,

    /// The private key of the certificate, where its file has none
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "KEY.pem", requires = "engine_cert")]
    engine_key: Option<String>,
}

// ===== impl EngineArgs =====

impl EngineArgs {
    pub(super) fn servers(&self) -> Result<Vec<RedisServer>, Mistake> {
        let password = password("engine-password", self.engine_password.as_deref())?;
        let sentinel = self.engine_sentinel_password.as_deref();
        let sentinel = self::password("engine-sentinel-password", sentinel)?;
        let server = |url: &String| {
            let mut server = RedisServer::new(url).map_err(wrong)?;
            if server.has_password() {
                return Err(Mistake::new(
                    "every user of this machine can read a password on the command line",
                    "write it to a file: `--engine-password=@FILE`",
                )
                .within("--engine")
                .about("engine"));
            }
            if let Some(password) = &password {
                server = server.password(password);
            }
            if let Some(password) = &sentinel {
                server = server.sentinel_password(password);
            }
            self.with_tls(server)
        };
        let servers: Vec<_> = self.engine.iter().map(server).collect::<Result<_, _>>()?;
        if sentinel.is_some() && !servers.iter().any(RedisServer::is_by_sentinel) {
            return Err(Mistake::new(
                "no sentinel is asked, so there is none to log in at",
                "`--engine=redis+sentinel://HOST:26379/MASTER`",
            )
            .within("--engine-sentinel-password")
            .about("engine-sentinel-password"));
        }
        Ok(servers)
    }

    #[cfg(feature = "tls")]
    fn with_tls(&self, server: RedisServer) -> Result<RedisServer, Mistake> {
        let mut tls = RedisTls::new();
        if let Some(ca) = &self.engine_ca {
            tls = tls.ca(ca);
        }
        if let Some(certificate) = &self.engine_cert {
            let key = self.engine_key.as_ref().unwrap_or(certificate);
            secret::check_mode(key.as_ref())
                .map_err(|mistake| mistake.within("--engine-key").about("engine-key"))?;
            tls = tls.certificate(certificate, key);
        }
        match self.engine_ca.is_some() || self.engine_cert.is_some() {
            true => server.tls(tls).map_err(wrong),
            false => Ok(server),
        }
    }

    #[cfg(not(feature = "tls"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "with TLS there are files"
    )]
    fn with_tls(&self, server: RedisServer) -> Result<RedisServer, Mistake> {
        Ok(server)
    }
}

fn password(flag: &str, given: Option<&str>) -> Result<Option<String>, Mistake> {
    let Some(given) = given else {
        return Ok(None);
    };
    let line = secret::line(given, &format!("--{flag}=@FILE"));
    let password = line.and_then(|line| {
        String::from_utf8(line).map_err(|_| {
            Mistake::new(
                format!("`{}`: the password is not text in UTF-8", &given[1..]),
                "a file of one line, the password",
            )
        })
    });
    let password = password.map_err(|mistake| mistake.within(format!("--{flag}")).about(flag));
    password.map(Some)
}

fn wrong(error: impl fmt::Display) -> Mistake {
    Mistake::new(error.to_string(), "`--engine=redis://HOST:6379/0`")
        .within("--engine")
        .about("engine")
}
