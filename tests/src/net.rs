//! Sockets whose every operation has a bound, and what can be known of them.

#[path = "unix.rs"]
pub mod unix;

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use socket2::{Domain, SockRef, Socket, Type};

use crate::{LIMIT, until};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// `LISTEN` and `CLOSE_WAIT` in /proc/net/tcp, see proc_net(5).
const LISTENS: &str = "0A";
const CLOSE_WAIT: &str = "08";

/// Listens on a port of the system's choice.
pub fn listen() -> TcpListener {
    listen_at((LOOPBACK, 0).into())
}

/// Listens there.
pub fn listen_at(address: SocketAddr) -> TcpListener {
    let listener = TcpListener::bind(address).unwrap();
    bounded(&listener);
    listener
}

/// The address to dial a listener: `dial:127.0.0.1:9000`.
pub fn dial(listener: &TcpListener) -> String {
    format!("dial:{}", listener.local_addr().unwrap())
}

/// Connects. The first read says so if the relay has reset the connection already.
#[track_caller]
pub fn connect(address: SocketAddr) -> TcpStream {
    connected(tcp_socket(address), address)
}

/// Connects from this address.
#[track_caller]
pub fn connect_from(source: impl Into<IpAddr>, address: SocketAddr) -> TcpStream {
    let socket = tcp_socket(address);
    let source = SocketAddr::new(source.into(), 0);
    socket.bind(&source.into()).unwrap();
    connected(socket, address)
}

/// Connects, and must be reset, with nothing before.
#[track_caller]
pub fn connect_in_vain(address: SocketAddr) {
    expect_reset(&connect(address));
}

/// The same from this address.
#[track_caller]
pub fn connect_in_vain_from(source: impl Into<IpAddr>, address: SocketAddr) {
    expect_reset(&connect_from(source, address));
}

fn tcp_socket(address: SocketAddr) -> Socket {
    Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap()
}

/// A connection that is established, or was and is reset since: `connect` would fail of such a reset if
/// it came before the client's thread ran again, so it is only waited for, and its error left to the first
/// read.
#[track_caller]
fn connected(socket: Socket, address: SocketAddr) -> TcpStream {
    socket.set_nonblocking(true).unwrap();
    if let Err(error) = socket.connect(&address.into()) {
        assert_eq!(
            error.raw_os_error(),
            Some(Errno::INPROGRESS.raw_os_error()),
            "{error}"
        );
    }
    let limit = Timespec::try_from(LIMIT).unwrap();
    let mut wait = [PollFd::new(&socket, PollFlags::OUT)];
    assert_eq!(
        poll(&mut wait, Some(&limit)).unwrap(),
        1,
        "{address} does not answer"
    );
    socket.set_nonblocking(false).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true).unwrap();
    bounded(&stream);
    stream
}

/// Accepts.
#[track_caller]
pub fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_nodelay(true).unwrap();
    bounded(&stream);
    stream
}

/// No client may come for a while.
#[track_caller]
pub fn nobody_comes(listener: &TcpListener) {
    SockRef::from(listener)
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let came = listener.accept();
    bounded(listener);
    assert_eq!(came.unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// An unused port, outside of the range of ephemeral ports, so that no client takes it.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() % 16_000;
    until("a free port", || {
        let offset = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 12_000 + u16::try_from((start + offset) % 20_000).unwrap();
        TcpListener::bind((LOOPBACK, port)).ok().map(|_| port)
    })
}

/// Waits until a program listens on this port.
pub fn listens(port: u16) {
    until(&format!("somebody listens on port {port}"), || {
        has_listener(port).then_some(())
    });
}

/// Waits until the listener is gone, and clients are refused.
#[track_caller]
pub fn listens_no_more(address: SocketAddr) {
    // Not by connecting: an early connection would be accepted.
    until(&format!("nobody listens at {address}"), || {
        (!has_listener(address.port())).then_some(())
    });
    let refused = TcpStream::connect_timeout(&address, LIMIT).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

/// Waits until all that was sent on this connection has arrived in the peer's system.
pub fn arrived(stream: &TcpStream) {
    if unix::is(stream) {
        return; // At once.
    }
    let local = stream.local_addr().unwrap().port();
    let peer = stream.peer_addr().unwrap().port();
    until("all that was sent has arrived", || {
        let line = tables().find(|line| (line.local_port, line.peer_port) == (local, peer));
        line.is_none_or(|line| line.unsent == 0).then_some(())
    });
}

/// Closes a connection, and waits until the peer's program has read its end.
pub fn close(stream: TcpStream) {
    let local = stream.local_addr().unwrap().port();
    let peer = stream.peer_addr().unwrap().port();
    drop(stream);
    until("the end has been read", || {
        let line = tables().find(|line| (line.local_port, line.peer_port) == (peer, local));
        line.is_none_or(|line| line.state == CLOSE_WAIT && line.unread == 0)
            .then_some(())
    });
}

/// Sends until nothing more is taken. The stream is non-blocking then.
pub fn flood(mut stream: &TcpStream) {
    stream.set_nonblocking(true).unwrap();
    while stream.write(&[0; 64 * 1024]).is_ok() {}
}

/// Closes a connection with a reset.
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

/// The peer must end its stream, with nothing before.
#[track_caller]
pub fn expect_end(mut stream: &TcpStream) {
    let read = stream.read(&mut [0; 64]);
    assert_eq!(read.unwrap(), 0, "it said more");
}

/// The peer must reset the connection, with nothing before. Over a Unix socket, which has no reset, it
/// must be closed.
#[track_caller]
pub fn expect_reset(mut stream: &TcpStream) {
    if unix::is(stream) {
        return expect_closed(stream);
    }
    let read = stream.read(&mut [0; 64]);
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// The connection must be closed, either way, with nothing before.
#[track_caller]
pub fn expect_closed(mut stream: &TcpStream) {
    match stream.read(&mut [0; 64]) {
        Ok(read) => assert_eq!(read, 0, "it said something"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

/// An address that never answers.
#[derive(Debug)]
pub struct BlackHole {
    listener: Socket,
    /// They fill the listener's queue, so that the system drops whatever comes next.
    fill: Vec<TcpStream>,
    address: SocketAddr,
}

// ===== impl BlackHole =====

impl BlackHole {
    /// One on this machine.
    pub fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener
            .bind(&SocketAddr::from((LOOPBACK, 0)).into())
            .unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut fill = Vec::new();
        until("the queue is full", || {
            match TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
                Ok(stream) => {
                    fill.push(stream);
                    None
                }
                Err(_) => Some(()),
            }
        });
        Self {
            listener,
            fill,
            address,
        }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets it answer from now on.
    pub fn open(self) -> TcpListener {
        self.listener.listen(128).unwrap();
        for _ in &self.fill {
            self.listener.accept().unwrap();
        }
        let listener = self.listener.into();
        bounded(&listener);
        listener
    }
}

impl Default for BlackHole {
    fn default() -> Self {
        Self::new()
    }
}

// ===== helpers =====

fn bounded<'a, S>(socket: &'a S)
where
    SockRef<'a>: From<&'a S>,
{
    let socket = SockRef::from(socket);
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.set_write_timeout(Some(LIMIT)).unwrap();
}

fn has_listener(port: u16) -> bool {
    tables().any(|line| line.local_port == port && line.state == LISTENS)
}

/// A line of /proc/net/tcp.
struct Line {
    local_port: u16,
    peer_port: u16,
    state: String,
    unsent: u32,
    /// The end of the peer's stream counts as one byte.
    unread: u32,
}

fn tables() -> impl Iterator<Item = Line> {
    let read = |name| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    let lines = read("tcp") + &read("tcp6");
    let lines: Vec<_> = lines.lines().filter_map(line).collect();
    lines.into_iter()
}

fn line(text: &str) -> Option<Line> {
    let fields: Vec<_> = text.split_ascii_whitespace().collect();
    let port = |field: &str| u16::from_str_radix(field.rsplit_once(':')?.1, 16).ok();
    let (unsent, unread) = fields.get(4)?.split_once(':')?;
    Some(Line {
        local_port: port(fields.get(1)?)?,
        peer_port: port(fields.get(2)?)?,
        state: (*fields.get(3)?).to_owned(),
        unsent: u32::from_str_radix(unsent, 16).ok()?,
        unread: u32::from_str_radix(unread, 16).ok()?,
    })
}
