use std::{
    fmt,
    io::{self, Read, Write},
    net::{self, Shutdown},
    os::unix::net::UnixStream,
    sync::LazyLock,
    time::Duration,
};

use couplet_connector::endpoint::{BoxIo, Io, memory};
use futures::FutureExt;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::coop::unconstrained,
};

use super::{Action, MOST};

/// What a side's bytes go through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Transport {
    Memory,
    Tcp,
    Unix,
}

/// One of the two peers, and what is known of it.
pub(super) struct Peer {
    /// `None` once it is gone.
    io: Option<PeerIo>,
    transport: Transport,
    seed: u64,
    /// How much it sent.
    pub(super) sent: usize,
    pub(super) sending: Sending,
    /// How much it heard.
    pub(super) heard: usize,
    pub(super) hearing: Hearing,
}

enum PeerIo {
    Memory(memory::MemoryStream),
    Tcp(net::TcpStream),
    Unix(UnixStream),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sending {
    Going,
    Ended,
    /// A reset, or a close with bytes unread: the kernel makes a reset of it, or an end.
    Reset,
    MaybeReset,
    /// The relay refused to take more.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Hearing {
    Going,
    Ended,
    Reset,
}

// ===== impl Transport =====

impl Transport {
    pub(super) fn new(n: u8) -> Self {
        match n {
            0..=7 => Self::Memory,
            8..=13 => Self::Tcp,
            _ => Self::Unix,
        }
    }

    /// A peer, and the relay's end of its connection, within a runtime.
    pub(super) fn connect(self, room: usize, seed: u64) -> (Peer, BoxIo) {
        let connected = match self {
            Self::Memory => {
                let (peer, io) = memory::connection(room);
                Ok((PeerIo::Memory(peer), Box::new(io) as BoxIo))
            }
            Self::Tcp => tcp(),
            Self::Unix => unix(),
        };
        let (io, relays) = connected.expect("loopback connects");
        let peer = Peer {
            io: Some(io),
            transport: self,
            seed,
            sent: 0,
            sending: Sending::Going,
            heard: 0,
            hearing: Hearing::Going,
        };
        (peer, relays)
    }
}

fn tcp() -> io::Result<(PeerIo, BoxIo)> {
    let listener = net::TcpListener::bind("127.0.0.1:0")?;
    let peer = net::TcpStream::connect(listener.local_addr()?)?;
    let (relays, _) = listener.accept()?;
    for socket in [&peer, &relays] {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
    }
    Ok((
        PeerIo::Tcp(peer),
        Box::new(tokio::net::TcpStream::from_std(relays)?),
    ))
}

fn unix() -> io::Result<(PeerIo, BoxIo)> {
    let (peer, relays) = UnixStream::pair()?;
    for socket in [&peer, &relays] {
        socket.set_nonblocking(true)?;
    }
    Ok((
        PeerIo::Unix(peer),
        Box::new(tokio::net::UnixStream::from_std(relays)?),
    ))
}

// ===== impl Peer =====

impl Peer {
    pub(super) fn act(&mut self, action: Action) {
        let Some(io) = &mut self.io else {
            return;
        };
        match action {
            Action::Write(n) if self.sending == Sending::Going => {
                match io.write(stream(self.seed, self.sent, n)) {
                    Some(Ok(n)) => self.sent += n,
                    Some(Err(error)) => {
                        self.sending = Sending::Refused;
                        // The kernel tells of a reset once, to the next write or the next read.
                        let is_reset = error.kind() == io::ErrorKind::ConnectionReset;
                        if is_reset && self.hearing == Hearing::Going {
                            self.hearing = Hearing::Reset;
                        }
                    }
                    None => {}
                }
            }
            Action::Read(n) if self.hearing == Hearing::Going => {
                let mut piece = vec![0; n];
                match io.read(&mut piece) {
                    Some(Ok(0)) => self.hearing = Hearing::Ended,
                    Some(Ok(n)) => {
                        let said = stream(1 - self.seed, self.heard, n);
                        assert!(piece[..n] == *said, "other bytes than were sent");
                        self.heard += n;
                    }
                    Some(Err(_)) => self.hearing = Hearing::Reset,
                    None => {}
                }
            }
            Action::ShutDown if self.sending == Sending::Going => {
                self.sending = match io.shut_down() {
                    Ok(()) => Sending::Ended,
                    Err(_) => Sending::Refused,
                };
            }
            Action::Close => {
                let is_memory = matches!(io, PeerIo::Memory(_));
                self.io = None;
                self.sending = match self.sending {
                    Sending::Going if is_memory => Sending::Ended,
                    // There may be unread bytes, which make it a reset: that overtakes the end, too.
                    Sending::Going | Sending::Ended if !is_memory => Sending::MaybeReset,
                    sending => sending,
                };
            }
            Action::Reset => {
                let io = self.io.take().expect("it was there above");
                let resets = io.reset();
                if self.sending == Sending::Going {
                    self.sending = match resets {
                        true => Sending::Reset,
                        false => Sending::MaybeReset,
                    };
                } else if self.sending == Sending::Ended {
                    // The reset overtakes the end where the relay had not read it.
                    self.sending = Sending::MaybeReset;
                }
            }
            _ => {}
        }
    }

    /// Holds what it was told against what its partner did.
    #[track_caller]
    pub(super) fn check(&self, partner: &Self) {
        assert!(self.heard <= partner.sent, "{self:?} {partner:?}");
        match self.hearing {
            Hearing::Ended if self.is_told_apart() || partner.sending == Sending::Ended => {
                let ended = matches!(partner.sending, Sending::Ended | Sending::MaybeReset);
                assert!(ended, "an end was made up: {self:?} {partner:?}");
                assert_eq!(
                    self.heard, partner.sent,
                    "an end came early: {self:?} {partner:?}"
                );
            }
            Hearing::Reset if self.is_told_apart() => {
                let reset = matches!(partner.sending, Sending::Reset | Sending::MaybeReset);
                assert!(reset, "a reset was made up: {self:?} {partner:?}");
            }
            _ => {}
        }
    }

    /// Whether an end that it was told is one. A Unix socket has no reset of its own: closing it is an
    /// end, or a reset if bytes lie unread.
    fn is_told_apart(&self) -> bool {
        self.transport != Transport::Unix
    }

    /// Whether it was told an end, which can't have been a reset of its partner.
    pub(super) fn has_heard_all(&self, partner: &Self) -> bool {
        let is_end = !matches!(partner.sending, Sending::Reset | Sending::MaybeReset);
        self.hearing == Hearing::Ended && (self.is_told_apart() || is_end)
    }

    pub(super) fn is_socket(&self) -> bool {
        self.transport != Transport::Memory
    }

    /// Is there nothing more that it can be told?
    pub(super) fn knows_all(&self) -> bool {
        self.io.is_none() || self.hearing != Hearing::Going
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there = match &self.io {
            None => "gone",
            Some(_) => "there",
        };
        let Self {
            transport,
            sent,
            sending,
            heard,
            hearing,
            ..
        } = self;
        write!(
            f,
            "[{transport:?}, {there}: sent {sent}, {sending:?}; heard {heard}, {hearing:?}]"
        )
    }
}

/// A part of what a peer sends: bytes that tell their place and their receiver.
fn stream(seed: u64, from: usize, len: usize) -> &'static [u8] {
    /// A prime, so that no buffer is as long.
    const PERIOD: usize = 65_521;
    static STREAMS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
        [1, 2].map(|seed: u64| {
            let byte = |at: usize| {
                let at = (at % PERIOD) as u64 + (seed << 40);
                (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
            };
            (0..PERIOD + MOST).map(byte).collect()
        })
    });
    let start = from % PERIOD;
    &STREAMS[seed as usize][start..start + len]
}

// ===== impl PeerIo =====

/// `None` where it would have to wait.
fn now<T>(done: io::Result<T>) -> Option<io::Result<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        done => Some(done),
    }
}

impl PeerIo {
    fn write(&mut self, bytes: &[u8]) -> Option<io::Result<usize>> {
        match self {
            Self::Memory(io) => unconstrained(io.write(bytes)).now_or_never(),
            Self::Tcp(io) => now(io.write(bytes)),
            Self::Unix(io) => now(io.write(bytes)),
        }
    }

    fn read(&mut self, buf: &mut [u8]) -> Option<io::Result<usize>> {
        match self {
            Self::Memory(io) => unconstrained(io.read(buf)).now_or_never(),
            Self::Tcp(io) => now(io.read(buf)),
            Self::Unix(io) => now(io.read(buf)),
        }
    }

    fn shut_down(&mut self) -> io::Result<()> {
        match self {
            Self::Memory(io) => io
                .shutdown()
                .now_or_never()
                .expect("in memory it is done at once"),
            Self::Tcp(io) => io.shutdown(Shutdown::Write),
            Self::Unix(io) => io.shutdown(Shutdown::Write),
        }
    }

    /// Whether a reset is what its partner sees.
    fn reset(self) -> bool {
        match self {
            Self::Memory(mut io) => io.abort(),
            Self::Tcp(io) => SockRef::from(&io)
                .set_linger(Some(Duration::ZERO))
                .expect("it is open"),
            Self::Unix(_) => return false,
        }
        true
    }
}
