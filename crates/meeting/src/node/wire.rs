//! What two nodes say to each other before the bytes of their clients.
//!
//! ```text
//! claimer ─▶ home   magic 8 | nonce 16 | ticket 16 | key 16 | length 2 | origin | mac 32     JOIN
//! home ─▶ claimer   code 1 | nonce 16 | length 2 | origin | mac 32                           OK, GONE, AT
//! claimer ─▶ home   mac 32                                                                   GO
//! ```
//!
//! A connection that is kept ready begins otherwise, so that both ends know each other before JOIN:
//!
//! ```text
//! claimer ─▶ home   magic 8 | nonce 16 | length 2 (0) | mac 32                               HELLO
//! home ─▶ claimer   code 1 | nonce 16 | length 2 (0) | mac 32                                READY
//! claimer ─▶ home   mac 32                                                                   KNOWN
//! ```
//!
//! Where the claimer's client goes where it is sent, the magic of JOIN is another one. A home that clients reach
//! then answers AT, with its address for them in place of an origin, and reserves nothing.
//!
//! A MAC is HMAC-SHA256 with the secret of the cluster, over what is said and all that was said before, so that
//! nothing of one connection is worth anything in another. Numbers are big-endian.

use std::{io, net::SocketAddr, time::Duration};

use couplet_connector::endpoint::{DialAddr, Io, Replay, Side};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::engine::{Key, Ticket};

const MAGIC: &[u8; 8] = b"couplet\x01";
const MAGIC_FOLLOWS: &[u8; 8] = b"couplet\x02";
const HELLO: &[u8; 8] = b"couplet\x00";
const NONCE: usize = 16;
const MAC: usize = 32;

/// The longest origin.
const MAX_ORIGIN: usize = 1024;

/// The longest identity; of a longer one, the first bytes.
const MAX_IDENTITY: usize = 512;

const JOIN_HEAD: usize = MAGIC.len() + NONCE + 16 + 16 + 2;
const HELLO_HEAD: usize = HELLO.len() + NONCE + 2;
const REPLY_HEAD: usize = 1 + NONCE + 2;

/// The longest message.
const LONGEST: usize = JOIN_HEAD + MAX_ORIGIN + MAC;

/// The secret that all nodes of a cluster share. `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

/// A client, as the other node is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The name of its node.
    pub(super) node: String,
    pub(super) client: Option<SocketAddr>,
    pub(super) side: Option<Side>,
    /// The proven name of the client.
    pub(super) identity: Option<String>,
    /// How long ago it came.
    pub(super) waited: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Join {
    pub(super) ticket: Ticket,
    /// The key of the client that comes: that of the ticket, whatever a match-maker says.
    pub(super) key: Key,
    pub(super) origin: Origin,
    /// The client that comes goes where it is sent.
    pub(super) follows: bool,
}

/// What another node begins with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum First {
    Join(Join),
    Hello,
}

#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    /// The connection is reserved, for a GO that comes soon.
    Ok(Origin),
    /// No connection waits under this ticket.
    Gone,
    /// The connection waits: its partner can come here itself.
    At(DialAddr),
    /// A JOIN may come, some time.
    Ready,
}

/// All that was said on a connection, for the next MAC.
#[derive(Clone)]
pub(super) struct Transcript(Hmac<Sha256>);

/// The message of another node is refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WireError {
    /// The connection failed or ended.
    #[error("connection of the other node failed")]
    Io(#[from] io::Error),
    /// The bytes are no message of a node.
    #[error("peer is not a node of this version")]
    Malformed,
    /// The MAC does not match.
    #[error("other node has another cluster secret")]
    Denied,
}

// ===== impl Secret =====

impl Secret {
    /// A secret of these bytes: 16 or more, random.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// What the match-maker knows of a key: no key can be found from it without the secret.
    pub(super) fn key(&self, kind: &[u8], key: &[u8]) -> Key {
        let tag = self.mac(b"key").chain_update(kind).chain_update(key);
        let tag = tag.finalize().into_bytes();
        let mut key = [0; 16];
        key.copy_from_slice(&tag[..16]);
        Key(key)
    }

    fn mac(&self, of: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length is a key");
        mac.chain_update(b"couplet meeting 1 ").chain_update(of)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

// ===== impl Transcript =====

impl Transcript {
    pub(super) fn new(secret: &Secret) -> Self {
        Self(secret.mac(b"wire"))
    }

    /// JOIN, with a new nonce.
    pub(super) fn join(&mut self, join: &Join) -> Vec<u8> {
        let mut said = match join.follows {
            true => MAGIC_FOLLOWS,
            false => MAGIC,
        }
        .to_vec();
        said.extend(random());
        said.extend(join.ticket.0);
        said.extend(join.key.0);
        join.origin.write(&mut said);
        self.sign(said)
    }

    /// HELLO, with a new nonce.
    pub(super) fn hello(&mut self) -> Vec<u8> {
        let mut said = HELLO.to_vec();
        said.extend(random());
        said.extend([0, 0]);
        self.sign(said)
    }

    pub(super) async fn read_first(
        &mut self,
        io: &mut Replay<impl Io>,
    ) -> Result<First, WireError> {
        fill(io, HELLO.len(), LONGEST).await?;
        if !io.ahead().starts_with(HELLO) {
            return self.read_join(io).await.map(First::Join);
        }
        let said = self.read(io, HELLO_HEAD, HELLO).await?;
        match said.len() {
            HELLO_HEAD => Ok(First::Hello),
            _ => Err(WireError::Malformed),
        }
    }

    /// KNOWN: nothing of what the home has said was recorded elsewhere.
    pub(super) fn known(&mut self) -> Vec<u8> {
        self.sign(Vec::new())
    }

    pub(super) async fn read_known(&mut self, io: &mut Replay<impl Io>) -> Result<(), WireError> {
        let known = self.known();
        expect(io, &known).await
    }

    pub(super) async fn read_join(&mut self, io: &mut Replay<impl Io>) -> Result<Join, WireError> {
        fill(io, MAGIC.len(), LONGEST).await?;
        let follows = io.ahead().starts_with(MAGIC_FOLLOWS);
        let magic = if follows { MAGIC_FOLLOWS } else { MAGIC };
        let said = self.read(io, JOIN_HEAD, magic).await?;
        let (ticket, rest) = said[MAGIC.len() + NONCE..]
            .split_first_chunk()
            .ok_or(WireError::Malformed)?;
        let (key, _) = rest.split_first_chunk().ok_or(WireError::Malformed)?;
        let origin = Origin::read(&said[JOIN_HEAD..]).ok_or(WireError::Malformed)?;
        Ok(Join {
            ticket: Ticket(*ticket),
            key: Key(*key),
            origin,
            follows,
        })
    }

    pub(super) fn reply(&mut self, reply: &Reply) -> Vec<u8> {
        let mut said = vec![match reply {
            Reply::Ok(_) => b'O',
            Reply::Gone => b'G',
            Reply::At(_) => b'A',
            Reply::Ready => b'R',
        }];
        said.extend(random());
        match reply {
            Reply::Ok(origin) => origin.write(&mut said),
            Reply::At(addr) => {
                let addr = addr.to_string();
                let addr = cut(&addr);
                said.extend((addr.len() as u16).to_be_bytes());
                said.extend(addr.as_bytes());
            }
            Reply::Gone | Reply::Ready => said.extend([0, 0]),
        }
        self.sign(said)
    }

    pub(super) async fn read_reply(
        &mut self,
        io: &mut Replay<impl Io>,
    ) -> Result<Reply, WireError> {
        let said = self.read(io, REPLY_HEAD, b"").await?;
        match (said[0], &said[REPLY_HEAD..]) {
            (b'O', origin) => Origin::read(origin)
                .map(Reply::Ok)
                .ok_or(WireError::Malformed),
            (b'G', []) => Ok(Reply::Gone),
            (b'A', addr) => std::str::from_utf8(addr)
                .ok()
                .and_then(|addr| addr.parse().ok())
                .map(Reply::At)
                .ok_or(WireError::Malformed),
            (b'R', []) => Ok(Reply::Ready),
            _ => Err(WireError::Malformed),
        }
    }

    /// GO: the last that is said.
    pub(super) fn go(self) -> [u8; MAC] {
        let mac = self.0.chain_update(b"go").finalize();
        mac.into_bytes().into()
    }

    pub(super) async fn read_go(self, io: &mut Replay<impl Io>) -> Result<(), WireError> {
        expect(io, &self.go()).await
    }

    fn sign(&mut self, mut said: Vec<u8>) -> Vec<u8> {
        self.0.update(&said);
        said.extend(self.0.clone().finalize().into_bytes());
        said
    }

    /// A head whose last two bytes are the length of what follows, and its MAC. Reads on behind them: behind each such
    /// message its sender waits, or says something of a node.
    async fn read(
        &mut self,
        io: &mut Replay<impl Io>,
        head: usize,
        begins: &[u8],
    ) -> Result<Vec<u8>, WireError> {
        // First what every node begins with, so that no other client is waited for.
        fill(io, begins.len(), LONGEST).await?;
        if !io.ahead().starts_with(begins) {
            return Err(WireError::Malformed);
        }
        fill(io, head, LONGEST).await?;
        let length = [io.ahead()[head - 2], io.ahead()[head - 1]];
        let length = usize::from(u16::from_be_bytes(length));
        if length > MAX_ORIGIN {
            return Err(WireError::Malformed);
        }
        let end = head + length;
        fill(io, end + MAC, LONGEST).await?;
        let said = io.ahead()[..end].to_vec();
        self.0.update(&said);
        let expected = self.0.clone().finalize().into_bytes();
        let is_right = expected[..].ct_eq(&io.ahead()[end..end + MAC]);
        io.consume(end + MAC);
        match bool::from(is_right) {
            true => Ok(said),
            false => Err(WireError::Denied),
        }
    }
}

fn random() -> [u8; NONCE] {
    Ticket::random().0
}

/// A MAC alone. No byte behind is read: it may be the client's.
async fn expect(io: &mut Replay<impl Io>, mac: &[u8]) -> Result<(), WireError> {
    fill(io, mac.len(), mac.len()).await?;
    let is_right = mac.ct_eq(&io.ahead()[..mac.len()]);
    io.consume(mac.len());
    match bool::from(is_right) {
        true => Ok(()),
        false => Err(WireError::Denied),
    }
}

/// Reads until there are this many bytes, and at once what else is there, up to a limit.
async fn fill(io: &mut Replay<impl Io>, bytes: usize, limit: usize) -> io::Result<()> {
    while io.ahead().len() < bytes {
        if io.read_ahead(limit).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

// ===== impl Origin =====

impl Origin {
    /// Its length, then its parts: side, milliseconds, and three texts, each behind its length.
    fn write(&self, to: &mut Vec<u8>) {
        let mut origin = vec![match self.side {
            Some(Side::A) => b'a',
            Some(Side::B) => b'b',
            None => b'n',
        }];
        let waited = u64::try_from(self.waited.as_millis()).unwrap_or(u64::MAX);
        origin.extend(waited.to_be_bytes());
        let client = self.client.map(|client| client.to_string());
        let identity = self.identity.as_deref();
        for text in [Some(&*self.node), client.as_deref(), identity] {
            let text = cut(text.unwrap_or_default());
            origin.extend((text.len() as u16).to_be_bytes());
            origin.extend(text.as_bytes());
        }
        // At most 1 + 8 + 3 * (2 + 512) bytes where each text has its most, which a name has not.
        origin.truncate(MAX_ORIGIN);
        to.extend((origin.len() as u16).to_be_bytes());
        to.extend(origin);
    }

    fn read(from: &[u8]) -> Option<Self> {
        let (side, rest) = from.split_first()?;
        let (waited, mut rest) = rest.split_first_chunk()?;
        let mut text = || {
            let (length, behind) = rest.split_first_chunk()?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (text, behind) = behind.split_at_checked(length)?;
            rest = behind;
            std::str::from_utf8(text).ok()
        };
        let (node, client, identity) = (text()?, text()?, text()?);
        Some(Self {
            side: match side {
                b'a' => Some(Side::A),
                b'b' => Some(Side::B),
                b'n' => None,
                _ => return None,
            },
            waited: Duration::from_millis(u64::from_be_bytes(*waited)),
            node: node.to_owned(),
            client: match client {
                "" => None,
                client => Some(client.parse().ok()?),
            },
            identity: (!identity.is_empty()).then(|| identity.to_owned()),
        })
        .filter(|_| rest.is_empty())
    }
}

/// The first characters of a text, as many as fit.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_IDENTITY);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
