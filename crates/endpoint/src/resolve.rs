//! Looking hosts up.

use std::{
    io,
    net::{SocketAddr, SocketAddrV6},
};

use tokio::{net::lookup_host, sync::Semaphore};

use crate::address::{Host, HostName};

/// How many look-ups run at a time, in the whole process. Each holds one of the runtime's
/// blocking threads (512 by default) for as long as the system's resolver takes.
const LOOK_UPS: usize = 64;

/// The addresses of a host, as the resolver sorted them (RFC 6724); at once where it is an
/// address itself.
///
/// Has no deadline. Cancel-safe, but a look-up that has begun can't be stopped: it goes on by
/// itself, and counts until it is done.
pub(crate) async fn resolve(host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
    static RUNNING: Semaphore = Semaphore::const_new(LOOK_UPS);

    match host {
        Host::Name(name) => bounded(&RUNNING, look_up(name.clone(), port)).await,
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, port)]),
        Host::Scoped(ip, scope) => Ok(vec![SocketAddrV6::new(*ip, port, 0, scope.get()).into()]),
    }
}

async fn look_up(name: HostName, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(lookup_host((name.as_str(), port)).await?.collect())
}

/// In a task of its own, so that it holds its permit for as long as it runs, wanted or not.
async fn bounded<T: Send + 'static>(
    running: &'static Semaphore,
    look_up: impl Future<Output = io::Result<T>> + Send + 'static,
) -> io::Result<T> {
    let permit = running.acquire().await.expect("it is never closed");
    let look_up = tokio::spawn(async move {
        let _permit = permit;
        look_up.await
    });
    look_up
        .await
        .unwrap_or_else(|gone| Err(io::Error::other(gone)))
}

#[cfg(test)]
mod tests {
    use futures::poll;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        for text in ["192.0.2.1:22", "[2001:db8::1]:22", "[fe80::1%3]:22"] {
            let addr: SocketAddr = text.parse().unwrap();
            assert_eq!(resolve(&addr.into(), 22).await.unwrap(), [addr]);
        }
    }

    #[tokio::test]
    async fn an_abandoned_look_up_counts_until_it_is_done() {
        static RUNNING: Semaphore = Semaphore::const_new(1);

        let (answer, answered) = oneshot::channel();
        let slow = async { Ok(answered.await.unwrap()) };
        let mut abandoned = Box::pin(bounded(&RUNNING, slow));
        assert!(poll!(abandoned.as_mut()).is_pending());
        drop(abandoned);

        tokio::task::yield_now().await;
        assert_eq!(RUNNING.available_permits(), 0);
        answer.send(1).unwrap();
        let next = bounded(&RUNNING, async { Ok(2) });
        assert_eq!(next.await.unwrap(), 2);
    }
}
