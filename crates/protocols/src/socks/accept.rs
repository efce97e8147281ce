use std::{io, time::Duration};

use couplet_endpoint::{Conn, Io, Replay, io::send_and_close};
use couplet_layers::{Identity, boxed_handshake};
use couplet_pairing::DialReply;
use thiserror::Error;
use tokio::io::AsyncWriteExt;

use super::{
    read::fill,
    wire::{
        ADDRESS_TYPE_NOT_SUPPORTED, Address, COMMAND_NOT_SUPPORTED, CONNECT, HEAD, LOGIN_VERSION,
        NO_AUTHENTICATION, NO_METHOD, NoAddress, SUCCEEDED, Said, USER_AND_PASSWORD, VERSION,
        code_of, reply,
    },
};
use crate::proxy::{DialFailure, InvalidTarget, RequestedTarget, Users};

/// How long a client that is refused has to read that.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// The first byte of SOCKS4, and "request rejected or failed" in its words.
const VERSION_4: u8 = 4;
const REJECTED_4: [u8; 8] = [0, 0x5b, 0, 0, 0, 0, 0, 0];

/// Takes the request of a client, as a SOCKS5 proxy. See the [module](super).
///
/// What the client asks for is then in its [`Info`](couplet_endpoint::Info): a [`RequestedTarget`], and
/// the [`Identity`] of a client that has logged in. The client's answer is a [`DialReply`].
///
/// Has no deadline of its own: the [`HandshakeLayer`](couplet_layers::HandshakeLayer) has.
#[derive(Clone, Debug, Default)]
pub struct SocksAccept {
    users: Option<Users>,
}

/// A client asked for nothing that a SOCKS5 proxy gives. `Display` escapes what the client said.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SocksRefused {
    /// The connection failed.
    #[error("reading the SOCKS5 request failed")]
    Io(#[from] io::Error),
    /// The connection ended before the request did.
    #[error("connection ended before the SOCKS5 request")]
    Ended,
    /// The client speaks SOCKS4 or 4a.
    #[error("client speaks SOCKS4: only SOCKS5 is accepted")]
    Version4,
    /// The client speaks another protocol, or another dialogue was due.
    #[error("first byte is {0:02x}: not SOCKS5, whose first is 05")]
    Version(u8),
    /// The client offers no method of authentication that is accepted here.
    #[error("method of authentication not shared by client and proxy")]
    NoMethod,
    /// The user is unknown, or the password is another.
    #[error("unknown user, or wrong password")]
    Login,
    /// The client asks for something else than a connection.
    #[error("command {0:02x} is not supported: CONNECT is 01")]
    Command(u8),
    /// The target's address is of an unknown type.
    #[error("type {0:02x} of an address is unknown")]
    AddressType(u8),
    /// The target can't be dialled.
    #[error(transparent)]
    Target(#[from] InvalidTarget),
}

// ===== impl SocksAccept =====

impl SocksAccept {
    /// Accepts clients without authentication.
    pub const fn new() -> Self {
        Self { users: None }
    }

    /// Accepts these users alone.
    #[must_use]
    pub fn users(mut self, users: Users) -> Self {
        self.users = Some(users);
        self
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<Replay<I>>, SocksRefused> {
        let mut conn = conn.map_io(Replay::new);
        match self.request(&mut conn.io).await {
            Ok((target, user)) => {
                if let Some(user) = user {
                    conn.info.extensions.insert(Identity::new(user));
                }
                target.put_into(&mut conn.info);
                DialReply::new(|dialled| {
                    let code =
                        dialled.map_or_else(|error| code_of(DialFailure::of(error)), |_| SUCCEEDED);
                    reply(code).to_vec().into()
                })
                .put_into(&mut conn.info);
                Ok(conn)
            }
            Err(refused) => {
                let reply = refused.reply();
                if !reply.is_empty() {
                    send_and_close(conn.io, &reply, REPLY_TIMEOUT).await;
                }
                Err(refused)
            }
        }
    }

    async fn request<I: Io>(
        &self,
        io: &mut Replay<I>,
    ) -> Result<(RequestedTarget, Option<String>), SocksRefused> {
        let offered = Self::greeting(io).await?;
        let user = match &self.users {
            None if offered.contains(&NO_AUTHENTICATION) => {
                send(io, &[VERSION, NO_AUTHENTICATION]).await?;
                None
            }
            Some(users) if offered.contains(&USER_AND_PASSWORD) => {
                send(io, &[VERSION, USER_AND_PASSWORD]).await?;
                Some(Self::login(io, users).await?)
            }
            _ => return Err(SocksRefused::NoMethod),
        };
        Ok((Self::target(io).await?, user))
    }

    /// The methods that the client offers.
    async fn greeting<I: Io>(io: &mut Replay<I>) -> Result<Vec<u8>, SocksRefused> {
        read(io, 1).await?;
        match io.ahead()[0] {
            VERSION => {}
            VERSION_4 => return Err(SocksRefused::Version4),
            other => return Err(SocksRefused::Version(other)),
        }
        read(io, 2).await?;
        let len = 2 + usize::from(io.ahead()[1]);
        read(io, len).await?;
        let methods = io.ahead()[2..len].to_vec();
        io.consume(len);
        Ok(methods)
    }

    /// The dialogue of RFC 1929.
    async fn login<I: Io>(io: &mut Replay<I>, users: &Users) -> Result<String, SocksRefused> {
        read(io, 2).await?;
        if io.ahead()[0] != LOGIN_VERSION {
            return Err(SocksRefused::Version(io.ahead()[0]));
        }
        let user = 2..2 + usize::from(io.ahead()[1]);
        read(io, user.end + 1).await?;
        let password = user.end + 1..user.end + 1 + usize::from(io.ahead()[user.end]);
        read(io, password.end).await?;
        let said = io.ahead();
        let found = users.find(&said[user], &said[password.clone()]);
        let found = found.map(str::to_owned).ok_or(SocksRefused::Login)?;
        io.consume(password.end);
        send(io, &[LOGIN_VERSION, SUCCEEDED]).await?;
        Ok(found)
    }

    async fn target<I: Io>(io: &mut Replay<I>) -> Result<RequestedTarget, SocksRefused> {
        read(io, HEAD).await?;
        if io.ahead()[0] != VERSION {
            return Err(SocksRefused::Version(io.ahead()[0]));
        }
        let command = io.ahead()[1];
        let address = Address::read(io).await.map_err(|why| match why {
            NoAddress::Ended => SocksRefused::Ended,
            NoAddress::Io(error) => error.into(),
            NoAddress::Kind(_) if command != CONNECT => SocksRefused::Command(command),
            NoAddress::Kind(kind) => SocksRefused::AddressType(kind),
        })?;
        if command != CONNECT {
            return Err(SocksRefused::Command(command));
        }
        let said = io.ahead();
        let port = address.port(said);
        let target = match address.host(said) {
            Said::Ip(ip) => RequestedTarget::new(ip, port),
            Said::Name(name) => RequestedTarget::named(name, port),
        };
        io.consume(address.len);
        Ok(target?)
    }
}

async fn read<I: Io>(io: &mut Replay<I>, bytes: usize) -> Result<(), SocksRefused> {
    match fill(io, bytes).await? {
        true => Ok(()),
        false => Err(SocksRefused::Ended),
    }
}

async fn send<I: Io>(io: &mut Replay<I>, bytes: &[u8]) -> Result<(), SocksRefused> {
    io.write_all(bytes).await?;
    Ok(io.flush().await?)
}

boxed_handshake!(SocksAccept => Conn<Replay<I>>, SocksRefused);

// ===== impl SocksRefused =====

impl SocksRefused {
    /// What the client is told; nothing where that would say nothing in its protocol.
    fn reply(&self) -> Vec<u8> {
        match self {
            Self::Io(_) | Self::Ended | Self::Version(_) => Vec::new(),
            Self::Version4 => REJECTED_4.to_vec(),
            Self::NoMethod => vec![VERSION, NO_METHOD],
            Self::Login => vec![LOGIN_VERSION, 1],
            Self::Command(_) => reply(COMMAND_NOT_SUPPORTED).to_vec(),
            Self::AddressType(_) => reply(ADDRESS_TYPE_NOT_SUPPORTED).to_vec(),
            Self::Target(InvalidTarget::Host(_)) => reply(code_of(DialFailure::NotFound)).to_vec(),
            Self::Target(_) => reply(code_of(DialFailure::Other)).to_vec(),
        }
    }
}
