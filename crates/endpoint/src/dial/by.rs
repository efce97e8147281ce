use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use tower_service::Service;

use crate::{
    conn::{Conn, Info},
    error::BoxError,
};

/// Dials what a function makes of the connection that it dials for: any dial, [`Dial`](crate::Dial)
/// or another. An error says that there is none for it: only this connection is closed.
///
/// ```
/// use couplet_endpoint::{Dial, Info, dial_by};
///
/// // Clients on this machine get the server on this machine.
/// let dial = dial_by(|client: &Info| match client.peer {
///     Some(peer) if peer.ip().is_loopback() => Dial::to("localhost:8080"),
///     _ => Dial::to("192.0.2.7:80"),
/// });
/// ```
pub fn dial_by<F, D, E>(choose: F) -> DialBy<F>
where
    F: Fn(&Info) -> Result<D, E>,
{
    DialBy(choose)
}

/// A dial whose target a function chooses for each connection: made by [`dial_by`].
#[derive(Clone, Copy, Debug)]
pub struct DialBy<F>(F);

// ===== impl DialBy =====

impl<F, D, E, I> Service<Info> for DialBy<F>
where
    F: Fn(&Info) -> Result<D, E>,
    E: Into<BoxError>,
    D: Service<Info, Response = Conn<I>> + Send + 'static,
    D::Error: Into<BoxError> + 'static,
    D::Future: Send + 'static,
{
    type Response = Conn<I>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Conn<I>, BoxError>>;

    /// Always ready, because the dial is not chosen yet.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, for_whom: Info) -> Self::Future {
        let chosen = (self.0)(&for_whom).map_err(Into::into);
        Box::pin(async move {
            let mut dial = chosen?;
            poll_fn(|cx| dial.poll_ready(cx))
                .await
                .map_err(Into::into)?;
            dial.call(for_whom).await.map_err(Into::into)
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;
    use crate::{conn::Origin, memory};

    #[tokio::test]
    async fn every_client_gets_the_target_chosen_for_it() {
        let (one, mut at_one) = memory::endpoint();
        let (two, mut at_two) = memory::endpoint();
        let mut dial = dial_by(move |info: &Info| match info.extensions.get::<u8>() {
            Some(1) => Ok(one.clone()),
            Some(2) => Ok(two.clone()),
            _ => Err("for nobody"),
        });
        let mut info = Info::new(Origin::Accepted);
        let error = dial.call(info.clone()).await.unwrap_err();
        assert_eq!(error.to_string(), "for nobody");
        info.extensions.insert(2_u8);
        let _conn = dial.call(info.clone()).await.unwrap();
        at_two.next().await.unwrap().unwrap();
        info.extensions.insert(1_u8);
        let _conn = dial.call(info).await.unwrap();
        at_one.next().await.unwrap().unwrap();
    }
}
