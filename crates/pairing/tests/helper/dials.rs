//! Partners that are dialled as a test says.

use couplet_endpoint::{
    BoxError, Conn, ConnId, Info, Origin, Replay, Side,
    memory::{self, MemoryStream},
};
use couplet_pairing::{DialFor, Pair, PairError, Pairs, Policy};
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Service, ServiceExt, service_fn, util::BoxCloneService};

use super::conn;

pub(crate) type Connect = BoxCloneService<Info, Conn<MemoryStream>, BoxError>;
pub(crate) type Joined = Pair<Replay<MemoryStream>, Replay<MemoryStream>>;

/// A dial under way: its client, and how it ends.
pub(crate) struct Dialling {
    pub(crate) client: Info,
    pub(crate) answer: oneshot::Sender<Result<Conn<MemoryStream>, BoxError>>,
}

/// Dials that end as the test says; never, if it says nothing.
pub(crate) struct Dials {
    pub(crate) begun: mpsc::UnboundedReceiver<Dialling>,
}

// ===== impl Dialling =====

impl Dialling {
    /// It has connected: the partner's number and its peer.
    pub(crate) fn connects(self) -> (ConnId, MemoryStream) {
        let (io, peer) = memory::connection(64);
        let partner = Conn::new(io, Origin::Dialled);
        let id = partner.info.id;
        assert!(self.answer.send(Ok(partner)).is_ok(), "still wanted");
        (id, peer)
    }

    pub(crate) fn fails(self, error: impl Into<BoxError>) {
        assert!(self.answer.send(Err(error.into())).is_ok(), "still wanted");
    }
}

// ===== impl Dials =====

impl Dials {
    pub(crate) fn new() -> (Connect, Self) {
        let (begin, begun) = mpsc::unbounded_channel();
        let connect = service_fn(move |client| {
            let (answer, answered) = oneshot::channel();
            let begun = begin.send(Dialling { client, answer });
            async move {
                begun?;
                answered.await?
            }
        });
        (BoxCloneService::new(connect), Self { begun })
    }

    pub(crate) fn next(&mut self) -> Dialling {
        self.begun.try_recv().expect("a dial has begun")
    }
}

/// What a test works with, one side or the other.
pub(crate) struct Set {
    /// The side whose connections come by themselves.
    pub(crate) side: Side,
    pub(crate) service: DialFor<MemoryStream, MemoryStream, Connect, Joined>,
    pub(crate) pairs: Pairs<Replay<MemoryStream>, Replay<MemoryStream>>,
    pub(crate) dials: Dials,
}

/// A connection that came, and has its partner dialled.
pub(crate) struct Came {
    pub(crate) id: ConnId,
    pub(crate) peer: MemoryStream,
    pub(crate) joining: task::Spawn<BoxFuture<'static, Result<(), PairError>>>,
    pub(crate) dialling: Dialling,
}

impl Set {
    pub(crate) fn new(side: Side, policy: Policy) -> Self {
        let (connect, dials) = Dials::new();
        let (service, pairs) = match side {
            Side::A => couplet_pairing::dial_for_a(policy, connect),
            Side::B => couplet_pairing::dial_for_b(policy, connect),
        };
        Self {
            side,
            service,
            pairs,
            dials,
        }
    }

    pub(crate) fn come(&mut self) -> Came {
        self.come_with(|_| {})
    }

    pub(crate) fn come_with(&mut self, learns: impl FnOnce(&mut Info)) -> Came {
        let (mut conn, peer) = conn();
        learns(&mut conn.info);
        let id = conn.info.id;
        assert_ready_ok!(task::spawn(self.service.ready()).poll());
        let mut joining = task::spawn(self.service.call(conn));
        assert_pending!(joining.poll());
        let dialling = self.dials.next();
        Came {
            id,
            peer,
            joining,
            dialling,
        }
    }

    pub(crate) fn waiting(&self) -> [u64; 2] {
        [self.side, !self.side].map(|side| self.pairs.counts().waiting(side))
    }
}
