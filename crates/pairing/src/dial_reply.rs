//! What a client is told once its partner was dialled.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use bytes::Bytes;
use couplet_endpoint::{Info, Io, io::send_and_close};
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::unjoined::Unjoined;

/// How long a client has to take the reply.
const WITHIN: Duration = Duration::from_secs(10);

/// How long a client whose partner was not reached has to read the reply and close.
const CLOSES_WITHIN: Duration = Duration::from_secs(1);

/// The reply to a client whose partner was dialled, or could not be, in the client's [`Info`]: for a client that
/// has asked a proxy for a connection.
///
/// A handshake puts the reply there. [`dial_for_a`](crate::dial_for_a) and [`dial_for_b`](crate::dial_for_b) send
/// it: when the partner is connected, before the partner's own bytes; or when the dial has failed, and then they
/// close the connection, which would be reset without a reply. The other pairings send no reply, because they
/// dial no partner.
///
/// ```
/// use couplet_endpoint::{Info, Origin};
/// use couplet_pairing::DialReply;
///
/// let mut info = Info::new(Origin::Accepted);
/// let reply = DialReply::new(|dialled| match dialled {
///     Ok(_) => "ok\n".into(),
///     Err(_) => "not reached\n".into(),
/// });
/// reply.put_into(&mut info);
/// ```
#[derive(Clone)]
pub struct DialReply(Arc<Reply>);

type Reply = dyn Fn(Result<&Info, &(dyn Error + 'static)>) -> Bytes + Send + Sync;

// ===== impl DialReply =====

impl DialReply {
    /// A reply that this function makes from the partner's `Info`, or from the error.
    pub fn new<F>(reply: F) -> Self
    where
        F: Fn(Result<&Info, &(dyn Error + 'static)>) -> Bytes + Send + Sync + 'static,
    {
        Self(Arc::new(reply))
    }

    /// Makes the client of this connection wait for the reply.
    pub fn put_into(self, info: &mut Info) {
        info.extensions.insert(self);
    }

    pub(crate) fn of(info: &Info) -> Option<Self> {
        info.extensions.get().cloned()
    }

    /// Writes the reply to a client whose partner is there, in one write where there is room.
    pub(crate) async fn joins(&self, client: &mut impl Io, partner: &Info) -> io::Result<()> {
        let reply = (self.0)(Ok(partner));
        let writing = async {
            client.write_all(&reply).await?;
            client.flush().await
        };
        timeout(WITHIN, writing).await?
    }

    /// Writes the reply to a client whose partner was not reached, and closes the connection.
    pub(crate) fn refuses<I: Io>(
        &self,
        client: Unjoined<I>,
        error: &(dyn Error + 'static),
    ) -> impl Future<Output = ()> + use<I> {
        let reply = (self.0)(Err(error));
        async move { send_and_close(client.take().io, &reply, CLOSES_WITHIN).await }
    }
}

impl fmt::Debug for DialReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DialReply")
    }
}
