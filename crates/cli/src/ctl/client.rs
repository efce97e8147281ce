use std::{io, time::Duration};

use anyhow::{Context, anyhow, bail};
use couplet_admin::AdminAddr;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::Builder,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an answer may be.
const MOST: usize = 64 * 1024 * 1024;

/// Where a running Couplet listens.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EndpointArgs {
    /// Where its admin endpoint is
    #[arg(
        long,
        value_name = "ADDR",
        env = "COUPLET_ADMIN",
        default_value = "unix:/run/couplet/admin.sock",
        global = true
    )]
    admin: AdminAddr,

    /// Its token, where it needs one
    #[arg(long, value_name = "@FILE", global = true)]
    admin_token: Option<String>,
}

/// Asks an admin endpoint, one request a connection.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    addr: AdminAddr,
    token: Option<String>,
}

// ===== impl EndpointArgs =====

impl EndpointArgs {
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let token = self.admin_token.as_deref().map(crate::admin::token);
        Ok(Client {
            addr: self.admin.clone(),
            token: token.transpose()?,
        })
    }
}

// ===== impl Client =====

impl Client {
    /// What is there, in this form.
    pub(crate) fn get(&self, path: &str, accept: &str) -> anyhow::Result<String> {
        self.ask(Method::GET, path, accept)
    }

    /// Changes something.
    pub(crate) fn change(&self, method: &str, path: &str) -> anyhow::Result<serde_json::Value> {
        let answer = self.ask(method.parse()?, path, "application/json")?;
        Ok(serde_json::from_str(&answer)?)
    }

    fn ask(&self, method: Method, path: &str, accept: &str) -> anyhow::Result<String> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let asked = self.ask_within(method, path, accept);
        let asked = async { tokio::time::timeout(PATIENCE, asked).await };
        runtime
            .block_on(asked)
            .with_context(|| format!("{} did not answer within {PATIENCE:?}", self.addr))?
    }

    async fn ask_within(&self, method: Method, path: &str, accept: &str) -> anyhow::Result<String> {
        let unreachable = |error: io::Error| {
            let addr = &self.addr;
            anyhow!(
                "nothing answers at {addr}: {error}; Couplet does, started with `--admin={addr}`"
            )
        };
        match &self.addr {
            AdminAddr::Tcp(addr) => {
                let io = TcpStream::connect(addr).await.map_err(unreachable)?;
                self.ask_over(io, method, path, accept).await
            }
            #[cfg(unix)]
            AdminAddr::Unix(file) => {
                let io = tokio::net::UnixStream::connect(file).await;
                let io = io.map_err(unreachable)?;
                self.ask_over(io, method, path, accept).await
            }
            _ => Err(unreachable(io::ErrorKind::Unsupported.into())),
        }
    }

    async fn ask_over(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        method: Method,
        path: &str,
        accept: &str,
    ) -> anyhow::Result<String> {
        let host = match &self.addr {
            AdminAddr::Tcp(addr) => addr.to_string(),
            _ => "localhost".to_owned(),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host)
            .header(header::ACCEPT, accept)
            .header(header::CONTENT_TYPE, "application/json")
            .header("couplet-admin", "1");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
        tokio::spawn(connection);
        let answer = sender
            .send_request(request.body(Empty::<Bytes>::new())?)
            .await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST).collect().await;
        let body = body.map_err(anyhow::Error::from_boxed)?.to_bytes();
        let text = String::from_utf8(body.to_vec()).context("the answer is no text")?;
        match status {
            StatusCode::OK => Ok(text),
            status => bail!("{}", told(status, &text)),
        }
    }
}

/// What an answer that is an error says.
fn told(status: StatusCode, body: &str) -> String {
    let answer: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    if let Some(detail) = answer["detail"].as_str() {
        return detail.to_owned();
    }
    // `/ready` names the relays.
    let relays = answer["not_ready"].as_object().into_iter().flatten();
    let relays: Vec<_> = relays
        .map(|(name, why)| format!("{name}: {}", why.as_str().unwrap_or("not ready")))
        .collect();
    match relays.is_empty() {
        true => status.to_string(),
        false => relays.join(", "),
    }
}
