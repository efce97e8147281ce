use std::{io, time::Duration};

use anyhow::{Context, anyhow, bail};
use couplet_connector::{
    BoxError, Conn,
    endpoint::{BoxIo, Chain, Info, Origin},
};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use tokio::runtime::Builder;
use tower::{Service, ServiceExt};

use crate::{
    admin,
    side::{Endpoint, EndpointFlags, SideSpec, SideWords, through},
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an answer may be.
const MOST: usize = 64 * 1024 * 1024;

/// Where a running Couplet listens.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EndpointArgs {
    /// Where its admin endpoint is: unix:PATH, HOST:PORT, a port of this machine, or
    /// dial:HOST:PORT,option[=value]…
    #[arg(
        long,
        value_name = "SIDE",
        env = "COUPLET_ADMIN",
        default_value = "unix:/run/couplet/admin.sock",
        global = true
    )]
    admin: SideWords,

    /// Its token, where it needs one
    #[arg(long, value_name = "@FILE", global = true)]
    admin_token: Option<String>,
}

/// Asks an admin endpoint, one request a connection.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// As it was given, without secrets.
    shown: String,
    side: SideSpec,
    token: Option<String>,
}

// ===== impl EndpointArgs =====

impl EndpointArgs {
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let token = self.admin_token.as_deref().map(admin::token);
        Ok(Client {
            shown: self.admin.address().to_owned(),
            side: admin::dialled(&self.admin)?,
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

    /// Copies what comes, as it comes, until it ends or the writer's reader is gone.
    pub(crate) fn stream(&self, path: &str, to: &mut dyn io::Write) -> anyhow::Result<()> {
        self.block_on(async {
            let answer = self.answer_in_time(Method::GET, path, "*/*").await?;
            let (status, mut body) = (answer.status(), answer.into_body());
            if status != StatusCode::OK {
                bail!("{}", told(status, &text(body).await?));
            }
            while let Some(frame) = body.frame().await {
                let frame = frame.context("it ended before the pair did")?;
                let piece = frame.into_data().unwrap_or_default();
                match to.write_all(&piece).and_then(|()| to.flush()) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    written => written?,
                }
            }
            Ok(())
        })
    }

    fn ask(&self, method: Method, path: &str, accept: &str) -> anyhow::Result<String> {
        let asked = async {
            let answer = self.answer(method, path, accept).await?;
            let status = answer.status();
            anyhow::Ok((status, text(answer.into_body()).await?))
        };
        let asked = async { tokio::time::timeout(PATIENCE, asked).await };
        let (status, text) = self.block_on(asked).with_context(|| self.silent())??;
        match status {
            StatusCode::OK => Ok(text),
            status => bail!("{}", told(status, &text)),
        }
    }

    async fn answer_in_time(
        &self,
        method: Method,
        path: &str,
        accept: &str,
    ) -> anyhow::Result<Response<Incoming>> {
        let answer = self.answer(method, path, accept);
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        answer.with_context(|| self.silent())?
    }

    fn silent(&self) -> String {
        format!("{} did not answer within {PATIENCE:?}", self.shown)
    }

    #[expect(clippy::unused_self, reason = "there is one request at a time")]
    fn block_on<T, E>(&self, asked: impl Future<Output = Result<T, E>>) -> anyhow::Result<T>
    where
        E: Into<anyhow::Error>,
    {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(asked).map_err(Into::into)
    }

    async fn answer(
        &self,
        method: Method,
        path: &str,
        accept: &str,
    ) -> anyhow::Result<Response<Incoming>> {
        let conn = self.connect().await?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            // No browser asks, which a name server could lead astray.
            .header(header::HOST, "localhost")
            .header(header::ACCEPT, accept)
            .header(header::CONTENT_TYPE, "application/json")
            .header("couplet-admin", "1");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let (mut sender, connection) = http1::handshake(TokioIo::new(conn.io)).await?;
        tokio::spawn(connection);
        let request = request.body(Empty::<Bytes>::new())?;
        Ok(sender.send_request(request).await?)
    }

    /// A connection that has gone through the layers of the side.
    async fn connect(&self) -> anyhow::Result<Conn<BoxIo>> {
        let unreachable = |error: BoxError| {
            let (at, error) = (&self.shown, Chain(&*error));
            anyhow!("nothing answers at {at}: {error}; Couplet does, started with `--admin={at}`")
        };
        let flags = EndpointFlags::default();
        let end = self.side.endpoint.open_or_adopt(flags, None).await?;
        let Endpoint::Dial(mut dial) = end else {
            bail!("the admin endpoint is dialled: `--admin=dial:HOST:PORT`");
        };
        let dial = ServiceExt::<Info>::ready(&mut *dial).await;
        let conn = dial
            .map_err(unreachable)?
            .call(Info::new(Origin::Dialled))
            .await;
        let conn = conn.map_err(unreachable)?.boxed();
        let passed = through(&self.side.stack(), conn).await;
        passed
            .map_err(anyhow::Error::from_boxed)
            .with_context(|| format!("{} refused this client", self.shown))
    }
}

async fn text(body: Incoming) -> anyhow::Result<String> {
    let body = Limited::new(body, MOST).collect().await;
    let body = body.map_err(anyhow::Error::from_boxed)?.to_bytes();
    String::from_utf8(body.to_vec()).context("the answer is no text")
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
