use couplet_endpoint::{BoxError, BoxIo, Chain, Conn, DialAddr, Info, Io, Replay};
use couplet_layers::{Handshake, RefusalCause};
use futures::{FutureExt, future::BoxFuture};
use tokio::{io::AsyncWriteExt, time::timeout};
use tower_service::Service;

use super::{Meet, NotMet, answer::PATIENCE, send::Answer};

/// How often a client is sent on before it asks the relay where it is to forward.
const MOST: u32 = 3;

/// Asks for a partner as [`Meet`] does, and goes to the relay where the partner waits, if it is sent there.
///
/// The [`Service`] of [`Redial`] connects to the other relay. It decides which addresses may be dialled: a relay
/// could name any. Where it fails, the client comes back to the relay that it was at first, and asks without
/// offering to follow; so it does where it was sent on three times, at the last relay. Then the relays forward,
/// if they can.
///
/// The new connection is to have the number of the first one: [`Redial::replaces`].
#[derive(Clone, Debug)]
pub struct Follow<D> {
    meet: Meet,
    redial: D,
}

/// A client of a rendezvous has to connect anew.
#[derive(Clone, Debug)]
pub struct Redial {
    info: Info,
    to: Option<DialAddr>,
}

// ===== impl Redial =====

impl Redial {
    /// Where to; `None` for the relay of the connection that was dialled [first](Self::first).
    pub fn to(&self) -> Option<&DialAddr> {
        self.to.as_ref()
    }

    /// What is known of the connection that was dialled first, when it had come to its meeting.
    pub fn first(&self) -> &Info {
        &self.info
    }

    /// The new connection in place of the first, for the layers above the meeting: with the number, the age and
    /// all that is known of that one, but for the addresses.
    pub fn replaces<I: Io>(self, dialled: Conn<I>) -> Conn<I> {
        let Conn { io, info } = dialled;
        let mut conn = Conn {
            io,
            info: self.info,
        };
        conn.info.target = info.target;
        conn.info.peer = info.peer;
        conn.info.local = info.local;
        conn
    }
}

// ===== impl Follow =====

impl<D> Follow<D> {
    /// Asks so, and connects to other relays with `redial`.
    pub fn new(meet: Meet, redial: D) -> Self {
        Self { meet, redial }
    }
}

impl<D> Follow<D>
where
    D: Service<Redial, Response = Conn<BoxIo>, Error: Into<BoxError>, Future: Send>
        + Send
        + 'static,
{
    async fn follow<I: Io>(mut self, conn: Conn<I>) -> Result<Conn<Replay<BoxIo>>, NotMet> {
        let mut conn = conn.boxed();
        let first = conn.info.clone();
        for _ in 0..MOST {
            let (mut left, redirect) = match self.meet.ask(conn, true).await? {
                Answer::Met(conn) => return Ok(conn),
                Answer::Goto(left, redirect) => (left, redirect),
            };
            // The relay has said its last.
            let _ = timeout(PATIENCE, left.io.shutdown()).await;
            drop(left);
            let (id, to) = (first.id.get(), redirect.to());
            tracing::info!(conn = id, %to, "partner waits at another relay");
            match self.redial(&first, Some(to.clone())).await {
                Ok(there) => conn = there,
                Err(error) => {
                    let error = Chain(&*error).to_string();
                    tracing::warn!(conn = id, %to, error, "relay of the partner can't be reached from here");
                    let again = self.redial(&first, None).await;
                    conn = again.map_err(NotMet::Redial)?;
                    break;
                }
            }
        }
        match self.meet.ask(conn, false).await? {
            Answer::Met(conn) => Ok(conn),
            Answer::Goto(..) => unreachable!("it did not offer to follow"),
        }
    }

    async fn redial(
        &mut self,
        first: &Info,
        to: Option<DialAddr>,
    ) -> Result<Conn<BoxIo>, BoxError> {
        let redial = Redial {
            info: first.clone(),
            to,
        };
        std::future::poll_fn(|cx| self.redial.poll_ready(cx))
            .await
            .map_err(Into::into)?;
        self.redial.call(redial).await.map_err(Into::into)
    }
}

impl<I: Io, D> Handshake<Conn<I>> for Follow<D>
where
    D: Service<Redial, Response = Conn<BoxIo>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    type Output = Conn<Replay<BoxIo>>;
    type Error = NotMet;
    type Future = BoxFuture<'static, Result<Self::Output, NotMet>>;

    fn handshake(&self, conn: Conn<I>) -> Self::Future {
        self.clone().follow(conn).boxed()
    }
    fn cause(&self) -> RefusalCause {
        RefusalCause::Meeting
    }
}
