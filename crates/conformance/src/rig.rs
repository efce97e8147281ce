use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use couplet_endpoint::{BoxError, BoxIo, Conn, Origin, io::boxed};
use couplet_pairing::Pair;
use futures::future::{self, Either};
use tokio::{io::AsyncWriteExt, task::JoinHandle, time::timeout};
use tower::{Service, ServiceExt, layer::util::Identity, util::BoxCloneService};
use tower_layer::Layer;

use super::{
    innermost::{Arrivals, Innermost, Relays},
    wire::{Cut, Wire},
};

/// What did not happen as it should.
pub(super) type Broken = String;

/// A stack as the checks see it, whatever it is called with.
pub(super) type Stack = BoxCloneService<Wires, (), BoxError>;

/// Puts a layer above what is innermost.
pub(super) type Make = Arc<dyn Fn(Innermost) -> Stack + Send + Sync>;

/// What a call is about: one wire for a side, two for a pair.
#[derive(Debug)]
pub(super) enum Wires {
    One(Wire),
    Two(Wire, Wire),
}

/// Which stack the layer is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Side,
    Pair,
}

/// The layer that is tried, and those of its peers.
#[derive(Clone)]
pub(super) struct Rig {
    pub(super) kind: Kind,
    pub(super) subject: Make,
    /// For a pair alone.
    pub(super) near: Make,
    pub(super) far: Make,
}

/// The two ends, with the layer between.
pub(super) struct Ends {
    pub(super) near: BoxIo,
    pub(super) far: BoxIo,
    _calls: Vec<Call>,
}

/// One of two ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    Near,
    Far,
}

/// A call at work, given up when it is dropped.
pub(super) struct Call(JoinHandle<Result<(), BoxError>>);

/// The layer, ready to be called, and what comes through it.
pub(super) struct Subject {
    pub(super) stack: Stack,
    pub(super) arrivals: Arrivals,
}

pub(super) fn side<L>(layer: L) -> Make
where
    L: Layer<Innermost> + Send + Sync + 'static,
    L::Service: Service<Conn<BoxIo>, Error: Into<BoxError>, Future: Send + 'static>,
    L::Service: Clone + Send + 'static,
{
    Arc::new(move |innermost| {
        let stack = layer.layer(innermost).map_request(|wires| match wires {
            Wires::One(wire) | Wires::Two(wire, _) => conn(wire),
        });
        BoxCloneService::new(stack.map_response(drop).map_err(Into::into))
    })
}

pub(super) fn pair<L>(layer: L) -> Make
where
    L: Layer<Innermost> + Send + Sync + 'static,
    L::Service: Service<Pair<BoxIo, BoxIo>, Error: Into<BoxError>, Future: Send + 'static>,
    L::Service: Clone + Send + 'static,
{
    Arc::new(move |innermost| {
        let stack = layer.layer(innermost).map_request(|wires| match wires {
            Wires::Two(a, b) => Pair::new(conn(a), conn(b)),
            Wires::One(_) => unreachable!("a pair has two"),
        });
        BoxCloneService::new(stack.map_response(drop).map_err(Into::into))
    })
}

fn conn(wire: Wire) -> Conn<BoxIo> {
    let mut conn = Conn::new(boxed(wire), Origin::Accepted);
    conn.info.peer = Some(SocketAddr::from(([127, 0, 0, 1], 40_000)));
    conn.info.local = Some(SocketAddr::from(([127, 0, 0, 1], 9000)));
    conn
}

/// Waits for what should happen soon.
pub(super) async fn soon<T>(what: &str, happens: impl Future<Output = T>) -> Result<T, Broken> {
    let happens = timeout(Duration::from_secs(600), happens).await;
    happens.map_err(|_| format!("{what}: nothing happens any more"))
}

/// An error and all it was caused by.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    couplet_endpoint::Chain(error).to_string()
}

// ===== impl Rig =====

impl Rig {
    pub(super) fn new(kind: Kind, subject: Make) -> Self {
        Self {
            kind,
            subject,
            near: side(Identity::new()),
            far: side(Identity::new()),
        }
    }

    /// The layer, above something innermost with room for this many.
    pub(super) fn subject(&self, room: usize, relays: Relays) -> Subject {
        let (innermost, arrivals) = Innermost::new(room, relays);
        Subject {
            stack: (self.subject)(innermost),
            arrivals,
        }
    }

    pub(super) async fn open(&self, cut: Cut) -> Result<Ends, Broken> {
        self.open_with(cut, Relays::AsEver, &[]).await
    }

    /// Opens both ends, each peer saying something as soon as it can.
    pub(super) async fn open_with(
        &self,
        cut: Cut,
        relays: Relays,
        early: &[u8],
    ) -> Result<Ends, Broken> {
        let mut subject = self.subject(16, relays);
        self.open_through(&mut subject, cut, early).await
    }

    pub(super) async fn open_through(
        &self,
        subject: &mut Subject,
        cut: Cut,
        early: &[u8],
    ) -> Result<Ends, Broken> {
        let (far_wire, far_peer) = Wire::pair(cut);
        let far = reach(&self.far, far_peer, early);
        match self.kind {
            Kind::Side => {
                let near = async {
                    let mut call = subject.call(Wires::One(far_wire)).await?;
                    let through = call.lets_through(&mut subject.arrivals).await;
                    let io = through.map_err(|why| format!("the layer {why}"))?;
                    Ok::<_, Broken>((io, call))
                };
                let ((near, call), (far, far_call)) = future::try_join(near, far).await?;
                Ok(Ends::new(near, far, [call, far_call]))
            }
            Kind::Pair => {
                let (near_wire, near_peer) = Wire::pair(cut);
                let call = subject.call(Wires::Two(near_wire, far_wire)).await?;
                let near = reach(&self.near, near_peer, early);
                let ((near, near_call), (far, far_call)) = future::try_join(near, far).await?;
                let mut ends = Ends::new(near, far, [near_call, far_call]);
                ends._calls.push(call);
                Ok(ends)
            }
        }
    }
}

/// The io of a peer, behind its own layer.
async fn reach(make: &Make, wire: Wire, early: &[u8]) -> Result<(BoxIo, Call), Broken> {
    let (innermost, mut arrivals) = Innermost::new(1, Relays::AsEver);
    let mut call = call(&mut make(innermost), Wires::One(wire)).await?;
    let through = call.lets_through(&mut arrivals).await;
    let mut io = through.map_err(|why| format!("the peer {why}"))?;
    if !early.is_empty() {
        let said = async {
            io.write_all(early).await?;
            io.flush().await
        };
        let said = soon("the peer speaks first", said).await?;
        said.map_err(|error| format!("the peer can't speak first: {}", chain(&error)))?;
    }
    Ok((io, call))
}

/// A peer that does what its layer does, and then stays.
pub(super) async fn stay(make: Make, wire: Wire) {
    let reached = reach(&make, wire, &[]).await;
    future::pending::<()>().await;
    drop(reached);
}

/// Calls a stack once it is ready.
async fn call(stack: &mut Stack, wires: Wires) -> Result<Call, Broken> {
    let ready = soon("it is to become ready", stack.ready()).await?;
    let ready = ready.map_err(|error| format!("it is not ready: {}", chain(&*error)))?;
    Ok(Call(tokio::spawn(ready.call(wires))))
}

// ===== impl Subject =====

impl Subject {
    /// Calls it once it is ready.
    pub(super) async fn call(&mut self, wires: Wires) -> Result<Call, Broken> {
        call(&mut self.stack, wires).await
    }
}

// ===== impl Call =====

impl Call {
    /// The io that it lets through. It may be over then, or go on as long as the connection does.
    async fn lets_through(&mut self, arrivals: &mut Arrivals) -> Result<BoxIo, Broken> {
        let either = future::select(Box::pin(arrivals.next()), Box::pin(self.over()));
        let over = match soon("lets nothing through", either).await? {
            Either::Left((io, _)) => return Ok(io),
            Either::Right((over, _)) => over,
        };
        match (arrivals.has_come(), over) {
            (Some(io), _) => Ok(io),
            (None, Ok(())) => Err("lets nothing through".into()),
            (None, Err(why)) => Err(format!("refuses a connection: {why}")),
        }
    }

    /// What comes of it; asked once.
    pub(super) async fn over(&mut self) -> Result<(), Broken> {
        match (&mut self.0).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(chain(&*error)),
            Err(error) => Err(chain(&error)),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.abort();
    }
}

// ===== impl End =====

impl End {
    pub(super) const BOTH: [Self; 2] = [Self::Near, Self::Far];
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Near => "near",
            Self::Far => "far",
        })
    }
}

// ===== impl Ends =====

impl Ends {
    /// This end, and the other.
    pub(super) const fn of(&mut self, end: End) -> (&mut BoxIo, &mut BoxIo) {
        match end {
            End::Near => (&mut self.near, &mut self.far),
            End::Far => (&mut self.far, &mut self.near),
        }
    }

    fn new(near: BoxIo, far: BoxIo, calls: [Call; 2]) -> Self {
        Self {
            near,
            far,
            _calls: calls.into(),
        }
    }
}
