//! Dialling, with real sockets.

use std::{
    error::Error,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::pin,
    time::Duration,
};

use couplet_endpoint::{
    Conn, Dial, DialAddr, DialError, HostName, Listen, Origin, TcpIo, find_cause,
};
use futures::StreamExt;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::AsyncWriteExt;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Service, ServiceExt, retry::Retry, timeout::Timeout};

/// A port of ours on which no socket listens, and that no other program can take.
fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).expect("a free port");
    let addr = socket.local_addr().expect("it is bound");
    (socket, addr.as_socket().expect("it is IPv4"))
}

/// A port that never answers: its queue is full, and Linux leaves further clients waiting.
#[cfg(target_os = "linux")]
fn black_hole() -> (Vec<Socket>, SocketAddr) {
    let (listener, addr) = refusing();
    listener.listen(0).expect("it is bound");
    let mut sockets = vec![listener];
    for _ in 0..8 {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        client.set_nonblocking(true).expect("it is a socket");
        let _in_progress = client.connect(&addr.into());
        sockets.push(client);
    }
    (sockets, addr)
}

fn io_kind(error: &DialError) -> io::ErrorKind {
    find_cause::<io::Error>(error).expect("it was tried").kind()
}

#[tokio::test]
async fn a_connection_knows_both_its_ends() {
    let mut listen = Listen::bind("0").await.unwrap();
    let dial = Dial::new(listen.local_addr());
    let conn = dial.connect().await.unwrap();
    let accepted = listen.next().await.unwrap().unwrap();
    assert_eq!(conn.info.origin, Origin::Dialled);
    assert_eq!(conn.info.peer, Some(listen.local_addr()));
    assert_eq!(conn.info.local, accepted.info.peer);
    assert_eq!(conn.info.target.as_deref(), Some(dial.target()));
    assert_eq!(accepted.info.target, None);
    assert!(SockRef::from(&conn.io).keepalive().unwrap());
    assert!(SockRef::from(&conn.io).tcp_nodelay().unwrap());
}

#[tokio::test]
async fn a_connection_is_written_to_at_once() {
    let listen = Listen::bind("0").await.unwrap();
    let mut conn = Dial::new(listen.local_addr()).connect().await.unwrap();
    let written = task::spawn(conn.io.write(b"1")).poll();
    assert_eq!(assert_ready!(written).unwrap(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_that_answers_late_is_connected() {
    let (mut sockets, addr) = black_hole();
    let dial = Dial::new(addr);
    let mut dialling = pin!(dial.connect());
    assert_pending!(task::spawn(dialling.as_mut()).poll());
    let listener = sockets.swap_remove(0);
    drop(sockets);
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener.into()).unwrap();
    // The system sends the SYN again after a second.
    let conn = loop {
        tokio::select! {
            conn = &mut dialling => break conn.unwrap(),
            accepted = listener.accept() => drop(accepted.unwrap()),
        }
    };
    assert_eq!(conn.info.peer, Some(addr));
}

#[tokio::test]
async fn all_addresses_of_a_name_are_tried() {
    // On IPv4 alone, so that where `localhost` is [::1] too, the one fails and the other is next.
    let listen = Listen::bind("127.0.0.1:0").await.unwrap();
    let target = DialAddr::new(
        HostName::new("localhost").unwrap(),
        listen.local_addr().port(),
    );
    let conn = Dial::new(target).connect().await.unwrap();
    assert_eq!(conn.info.peer, Some(listen.local_addr()));
}

#[tokio::test]
async fn a_refused_connection_is_named_with_its_address() {
    let (_port, addr) = refusing();
    let error = Dial::new(addr).connect().await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot dial {addr}"));
    assert_eq!(io_kind(&error), io::ErrorKind::ConnectionRefused);
    assert_eq!(error.failed().next().unwrap().0, addr);
    assert_eq!(error.target(), &addr.into());
    assert!(!error.is_timeout() && !error.is_look_up());
}

#[tokio::test]
async fn an_unknown_name_is_named() {
    // RFC 6761: no resolver knows it.
    let error = Dial::to("nobody.invalid:22")
        .unwrap()
        .connect()
        .await
        .unwrap_err();
    assert!(error.is_look_up());
    let expected = "cannot dial nobody.invalid:22, name not found";
    assert_eq!(error.to_string(), expected);
    assert!(error.source().is_some());
}

#[tokio::test]
async fn the_source_address_can_be_chosen() {
    let mut listen = Listen::bind("0").await.unwrap();
    let dial = Dial::new(listen.local_addr());

    let wrong = IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]);
    let error = dial.clone().source(wrong).connect().await.unwrap_err();
    let expected = format!(
        "cannot dial {}, which has no IPv6 address to be reached from ::1",
        listen.local_addr()
    );
    assert_eq!(error.to_string(), expected);

    // On Linux all of 127.0.0.0/8 is this machine.
    if cfg!(target_os = "linux") {
        let source = IpAddr::from([127, 0, 0, 2]);
        let dial = dial.source(source);
        let conn = dial.connect().await.unwrap();
        let accepted = listen.next().await.unwrap().unwrap();
        assert_eq!(accepted.info.peer.unwrap().ip(), source);
        assert_eq!(conn.info.local, accepted.info.peer);

        // Another target is dialled from there, too.
        let mut other = Listen::bind("0").await.unwrap();
        let dial = dial.retarget(other.local_addr());
        let conn = dial.connect().await.unwrap();
        let accepted = other.next().await.unwrap().unwrap();
        assert_eq!(accepted.info.peer.unwrap().ip(), source);
        assert_eq!(conn.info.target.as_deref(), Some(dial.target()));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_given_up_at_the_deadline() {
    let (_sockets, addr) = black_hole();
    let begin = tokio::time::Instant::now();
    let error = Dial::new(addr).connect().await.unwrap_err();
    assert_eq!(begin.elapsed().as_secs(), 10);
    assert!(error.is_timeout());
    assert_eq!(
        error.to_string(),
        format!("cannot dial {addr}, no answer within 10s")
    );
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn timeout_of_tower_works_on_a_dial() {
    let (_sockets, addr) = black_hole();
    let dial = Timeout::new(Dial::new(addr), Duration::from_secs(1));
    let error = dial.oneshot("whatever is asked for").await.unwrap_err();
    assert!(error.is::<tower::timeout::error::Elapsed>());
}

/// Listens on the port after the second failure.
#[derive(Clone)]
struct ListenAfter<'a> {
    failures: u32,
    port: &'a Socket,
}

impl tower::retry::Policy<(), Conn<TcpIo>, DialError> for ListenAfter<'_> {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        (): &mut (),
        result: &mut Result<Conn<TcpIo>, DialError>,
    ) -> Option<Self::Future> {
        let error = result.as_ref().err()?;
        assert_eq!(io_kind(error), io::ErrorKind::ConnectionRefused);
        self.failures += 1;
        if self.failures == 2 {
            self.port.listen(1).expect("it is bound");
        }
        assert!(self.failures < 3, "somebody listens now");
        Some(std::future::ready(()))
    }

    fn clone_request(&mut self, (): &()) -> Option<()> {
        Some(())
    }
}

#[tokio::test]
async fn retry_of_tower_works_on_a_dial() {
    let (port, addr) = refusing();
    let policy = ListenAfter {
        failures: 0,
        port: &port,
    };
    let mut dial = Retry::new(policy, Dial::new(addr));
    let conn = dial.ready().await.unwrap().call(()).await.unwrap();
    assert_eq!(conn.info.peer, Some(addr));
}

#[tokio::test]
async fn a_dial_is_an_endpoint() {
    let listen = Listen::bind("0").await.unwrap();
    let dial = Dial::new(listen.local_addr());
    assert_eq!(dial.clone().once().count().await, 1);
    let mut pool = dial.pool(2);
    let waiting = (pool.next().await.unwrap(), pool.next().await.unwrap());
    assert!(futures::poll!(pool.next()).is_pending());
    drop(waiting);
}
