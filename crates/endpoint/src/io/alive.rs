use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Io;

/// A peer that was heard of since then is taken to be there. Not less than a second: the system asks
/// no sooner.
const FRESH: Duration = Duration::from_secs(1);

/// The pauses between looks for the answer: an eighth of the time that has passed, within these bounds. At
/// first often: the system asks with its next tick, up to 4 ms later, and most peers are near. A look is one
/// system call.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(25);

/// The options that [`Io::begin_probe`] has changed, for [`Io::end_probe`] to restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// `SO_KEEPALIVE`, `TCP_KEEPIDLE` and `TCP_KEEPINTVL`.
    #[cfg(target_os = "linux")]
    keep_alive: (bool, Duration, Duration),
}

/// Whether the peer has been silent for a second, so that only a [probe](is_alive) tells whether it is
/// there. `false` where the system does not know.
pub fn may_have_vanished(io: &mut dyn Io) -> bool {
    io.heard_ago().is_some_and(|ago| ago >= FRESH)
}

/// Probes a peer that [may have vanished](may_have_vanished), without a byte of the stream: the peer's
/// system answers, whatever its program does. Returns `false` if the connection has failed, or no answer
/// came `within` that time. Sends a probe each second.
///
/// An answer from nearby is seen after some milliseconds. Where the system can't ask, the peer counts
/// as there. Not cancel-safe: dropping the future leaves the connection being probed each second.
pub async fn is_alive(io: &mut dyn Io, within: Duration) -> bool {
    if !may_have_vanished(io) {
        return true;
    }
    let Some(probe) = io.begin_probe() else {
        return true;
    };
    let begin = Instant::now();
    let is_alive = loop {
        sleep((begin.elapsed() / 8).clamp(FIRST_PAUSE, LAST_PAUSE)).await;
        if io.take_error().is_some() {
            break false;
        }
        if !may_have_vanished(io) {
            break true;
        }
        if begin.elapsed() >= within {
            break false;
        }
    };
    io.end_probe(probe);
    is_alive
}

// ===== impl Probe =====

#[cfg(target_os = "linux")]
impl Probe {
    pub(super) fn begin(socket: &socket2::SockRef<'_>) -> std::io::Result<Self> {
        let keep_alive = (
            socket.keepalive()?,
            socket.tcp_keepalive_time()?,
            socket.tcp_keepalive_interval()?,
        );
        set(socket, Duration::from_secs(1), Duration::from_secs(1))?;
        Ok(Self { keep_alive })
    }

    pub(super) fn end(self, socket: &socket2::SockRef<'_>) -> std::io::Result<()> {
        let (is_on, idle, interval) = self.keep_alive;
        set(socket, idle, interval)?;
        socket.set_keepalive(is_on)
    }
}

#[cfg(target_os = "linux")]
fn set(socket: &socket2::SockRef<'_>, idle: Duration, interval: Duration) -> std::io::Result<()> {
    let probes = socket2::TcpKeepalive::new()
        .with_time(idle)
        .with_interval(interval);
    socket.set_tcp_keepalive(&probes)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use socket2::{SockFilter, SockRef};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await;
        (peer.unwrap(), listener.accept().await.unwrap().0)
    }

    /// The kernel counts the second, so this waits for one.
    #[tokio::test]
    async fn a_silent_peer_is_asked_and_keep_alive_is_as_before() {
        let (_silent, mut io) = connection().await;
        let (gone, mut vanished) = connection().await;
        // All that comes for it is dropped, as where a NAT has forgotten the connection.
        let drop_all = SockFilter::new(6, 0, 0, 0);
        SockRef::from(&gone).attach_filter(&[drop_all]).unwrap();
        let within = Duration::from_secs(1);
        assert!(is_alive(&mut vanished, within).await, "heard of just now");
        sleep(Duration::from_millis(1100)).await;
        assert!(may_have_vanished(&mut io));
        let idle = Duration::from_secs(77);
        let probes = socket2::TcpKeepalive::new().with_time(idle);
        SockRef::from(&io).set_tcp_keepalive(&probes).unwrap();
        SockRef::from(&io).set_keepalive(false).unwrap();

        assert!(is_alive(&mut io, within).await);
        assert!(!may_have_vanished(&mut io));
        let socket = SockRef::from(&io);
        assert!(!socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), idle);
        assert!(!is_alive(&mut vanished, within).await);
    }
}
