use std::sync::{Arc, Mutex};

use couplet_connector::{BoxError, Conn, SideLayers, endpoint::BoxIo};
use tokio::sync::oneshot;
use tower::{Layer, Service, ServiceExt, service_fn};

/// Leads a connection through these layers, and back.
pub(crate) async fn through(
    layers: &SideLayers,
    conn: Conn<BoxIo>,
) -> Result<Conn<BoxIo>, BoxError> {
    let (send, arrived) = oneshot::channel();
    let send = Arc::new(Mutex::new(Some(send)));
    let arrives = service_fn(move |conn: Conn<BoxIo>| {
        let send = send.lock().map(|mut send| send.take());
        if let Ok(Some(send)) = send {
            let _ = send.send(conn);
        }
        std::future::ready(Ok::<_, BoxError>(()))
    });
    let mut stack = layers.layer(arrives);
    let stack = ServiceExt::<Conn<BoxIo>>::ready(&mut stack).await?;
    stack.call(conn).await?;
    Ok(arrived.await?)
}
