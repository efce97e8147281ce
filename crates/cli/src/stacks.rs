//! The stacks of the command's sides and pairs, as its options want them.

use std::time::Duration;

use couplet_connector::{
    Connector, Handle, Mode,
    endpoint::{Backoff, BoxError, BoxIo, Conn},
    layers::{
        ExpectToken, Handshake, HandshakeLayer, IdleTimeoutLayer, MaxLifetimeLayer, SendToken,
        TrafficLogLayer,
    },
    pairing::Policy,
    relay::Relay,
};
use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use tower::{
    layer::util::{Identity, Stack},
    util::{Either, option_layer},
};

use crate::{
    args::{LogFormat, TrafficFormat},
    run::{Plan, Traffic},
    side::{EndpointSpec, SideSpec},
};

/// The layers of a side.
pub(crate) type SideLayers = Stack<Either<HandshakeLayer<TokenStep>, Identity>, Identity>;

/// A side's token, the way round that fits its endpoint.
#[derive(Clone, Debug)]
pub(crate) enum TokenStep {
    Expect(ExpectToken),
    Send(SendToken),
}

/// Gives the connector its stacks and settings, and starts it.
pub(crate) fn start<M>(connector: Connector<M>, plan: &Plan) -> Handle
where
    M: Mode<SideLayers, SideLayers>,
{
    let mut connector = connector
        .side_a(option_layer(token(&plan.a, plan.handshake_timeout)))
        .side_b(option_layer(token(&plan.b, plan.handshake_timeout)))
        .pair(option_layer(plan.traffic.map(traffic_log)))
        .pair(option_layer(plan.idle_timeout.map(IdleTimeoutLayer::new)))
        .pair(option_layer(plan.max_lifetime.map(MaxLifetimeLayer::new)))
        .policy(Policy::default().wait(plan.wait_timeout))
        .relay(Relay::new().half_close_timeout(plan.half_close_timeout));
    if let Some(pairs) = plan.max_pairs {
        connector = connector.max_pairs(pairs);
    }
    if plan.once {
        connector = connector.once();
    }
    if let Some(idle) = plan.exit_when_idle {
        connector = connector.close_when_idle(idle);
    }
    if plan.reconnect {
        connector = connector.reconnect(Backoff::new());
    }
    connector.start()
}

fn token(side: &SideSpec, timeout: Option<Duration>) -> Option<HandshakeLayer<TokenStep>> {
    let token = side.token.clone()?;
    let step = match side.endpoint {
        EndpointSpec::Listen { .. } => TokenStep::Expect(ExpectToken::new(token)),
        EndpointSpec::Dial { .. } => TokenStep::Send(SendToken::new(token)),
    };
    Some(HandshakeLayer::new(step).timeout(timeout))
}

fn traffic_log(traffic: Traffic) -> TrafficLogLayer {
    let layer = match traffic.format {
        TrafficFormat::Text => TrafficLogLayer::text(),
        TrafficFormat::Hex => TrafficLogLayer::hex(),
    };
    match traffic.log {
        LogFormat::Text => layer.to_stderr(),
        // So that every line on standard error is JSON.
        LogFormat::Json => layer.to_tracing(),
    }
}

// ===== impl TokenStep =====

impl Handshake<Conn<BoxIo>> for TokenStep {
    type Output = Conn<BoxIo>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Conn<BoxIo>, BoxError>>;

    fn handshake(&self, conn: Conn<BoxIo>) -> Self::Future {
        match self {
            Self::Expect(token) => token
                .handshake(conn)
                .map_ok(Conn::boxed)
                .map_err(Into::into)
                .boxed(),
            Self::Send(token) => token.handshake(conn).map_err(Into::into).boxed(),
        }
    }
}
