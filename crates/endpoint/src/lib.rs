//! Accepts and dials the connections that [Couplet](https://github.com/couplet-relay/couplet) joins, as
//! streams: over TCP, Unix sockets and vsock, of programs, and in memory.
//!
//! **An endpoint is a [`Stream`](futures::Stream) of [`Conn`]s**: [`Listen`] accepts clients, a
//! [`Dial`] connects to a server. The reader of the stream takes an item only with capacity for it, so
//! clients stay in the kernel's queue, and a dial is idle, until a connection is wanted.
//!
//! ```text
//!  Listen ─────────────┐                       ┌─ io    the stream of bytes: an Io
//!  Dial ── once ───────┤                       │
//!       ├─ repeat ─────┼──▶ Stream of Conn<I> ─┤
//!       └─ pool ───────┤                       └─ info  id, peer, local, since, …,
//!  memory::endpoint ───┘                                and the values of layers
//! ```
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), couplet_endpoint::BoxError> {
//! use couplet_endpoint::{Dial, Listen};
//! use futures::TryStreamExt;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let mut listen = Listen::bind("127.0.0.1:0").await?;
//! let mut dials = Dial::new(listen.local_addr()).once();
//!
//! let mut ours = dials.try_next().await?.expect("once is one");
//! let mut theirs = listen.try_next().await?.expect("a listener has no end");
//! assert_eq!(ours.info.local, theirs.info.peer);
//!
//! ours.io.write_all(b"hello").await?;
//! ours.io.shutdown().await?;
//! let mut heard = String::new();
//! theirs.io.read_to_string(&mut heard).await?;
//! assert_eq!(heard, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! What is here:
//!
//! * the connection: [`Conn`], its [`Info`], and [`Io`], its stream of bytes; [`Replay`] for bytes
//!   read ahead, [`Opaque`] for foreign streams;
//! * the endpoints: [`Listen`], [`Dial`] with [`once`], [`repeat`] and [`pool`]; the same over Unix
//!   sockets, [`UnixListen`] and [`UnixDial`], and over vsock, `VsockListen` and `VsockDial`; [`Exec`], a
//!   program; [`Stdio`]; [`memory`] for tests; [`handoff`], for connections that another relay of the
//!   process has accepted; [`Endpoint`] is the trait for your own;
//! * [`Targets`]: one of several dials for each connection, with balance and checks;
//! * with the feature `dns`, `Dns`: names are looked up by asking name servers, and again after their time to
//!   live; and `SrvDial`: the servers are those of a domain's SRV records;
//! * [`FairSlots`]: a bound that is shared fairly, so that no address takes all slots;
//! * [`RelayName`], which tells the tasks of several relays apart in a log;
//! * the settings: [`Address`], [`SocketOptions`], [`KeepAlive`], [`Backoff`].
//!
//! A dial is also a [`tower::Service`](tower_service::Service), which is how each connection
//! brings a partner of its own; [`dial_by`] chooses the dial for each.

mod accept_errors;
mod address;
mod conn;
mod dial;
mod dial_failure;
mod endpoint;
mod error;
#[cfg(unix)]
mod exec;
mod fair;
mod forward;
pub mod handoff;
pub mod io;
mod listen;
pub mod memory;
#[cfg(unix)]
mod polled;
mod quiet_timer;
mod relay_name;
mod resolve;
mod socket;
#[cfg(target_os = "linux")]
mod sockopt;
#[cfg(feature = "dns")]
mod srv;
#[cfg(unix)]
mod stdio;
mod targets;
#[cfg(unix)]
mod unix;
#[cfg(target_os = "linux")]
mod vsock;

#[cfg(unix)]
pub use self::exec::{Exec, ExecError, ExecIo};
#[cfg(unix)]
pub use self::stdio::Stdio;
#[cfg(unix)]
pub use self::unix::{UnixDial, UnixDialError, UnixListen, UnixListenOptions, UnixListenSocket};
#[cfg(target_os = "linux")]
pub use self::vsock::{VsockDial, VsockDialError, VsockIo, VsockListen, VsockListenSocket};
pub use self::{
    accept_errors::{AcceptErrorKind, AcceptErrors},
    address::{
        Address, AddressError, DialAddr, ExecAddr, Host, HostName, ListenAddr, SocketName, SrvName,
        TargetAddr, UnixAddr, VsockAddr,
    },
    conn::{
        CloseReason, Conn, ConnEvent, ConnId, ConnObserver, Exit, Extensions, Info, Origin,
        PeerName, PeerNetwork, Pooled, Program, Refusal, Side, UnixPeer, VsockPeer,
        shorten_client_addresses, shown_client, shown_client_ip,
    },
    dial::{
        Backoff, Dial, DialBy, DialError, Family, Once, Pool, PoolEach, PoolStatus, PoolWatch,
        Repeat, dial_by, once, pool, pool_each, repeat,
    },
    dial_failure::is_dial_failure,
    endpoint::{Endpoint, LocalAddr},
    error::{BoxError, Chain, find_cause, is_caused_by},
    fair::{FairShare, FairSlot, FairSlots, GivesWay, SlotsClosed},
    io::{BoxIo, Gone, Io, Opaque, Replay, TcpIo, Unanswered},
    listen::{BindError, Listen, ListenOptions},
    quiet_timer::QuietTimer,
    relay_name::{Named, RelayName},
    socket::{AckTimeout, KeepAlive, SocketOptions},
    targets::{Balance, Check, Target, TargetStatus, TargetWatch, Targets, TargetsError},
};
#[cfg(feature = "dns")]
pub use self::{
    resolve::Dns,
    srv::{SrvDial, SrvDialError},
};
