use couplet_endpoint::{Conn, DialAddr, Io, Replay};
use couplet_layers::boxed_handshake;
use tokio::io::AsyncWriteExt;

use super::{
    read::fill,
    wire::{
        Address, HEAD, LOGIN_VERSION, NO_AUTHENTICATION, NO_METHOD, NoAddress, SUCCEEDED,
        USER_AND_PASSWORD, VERSION, meaning, request,
    },
};
use crate::proxy::{Login, ProxyError};

/// Asks a SOCKS5 proxy for a connection to the target in
/// [`Info::target`](couplet_endpoint::Info::target). See the [module](super).
///
/// A name is sent as a name. Has no deadline of its own: a [`Via`](couplet_layers::Via) has, and
/// a [`HandshakeLayer`](couplet_layers::HandshakeLayer).
#[derive(Clone, Debug, Default)]
pub struct SocksConnect {
    login: Option<Login>,
}

// ===== impl SocksConnect =====

impl SocksConnect {
    /// Offers the proxy no authentication.
    pub const fn new() -> Self {
        Self { login: None }
    }

    /// Offers the proxy a user and a password, too, which it may want or not.
    #[must_use]
    pub fn login(mut self, login: Login) -> Self {
        self.login = Some(login);
        self
    }

    async fn ask<I: Io>(&self, io: &mut Replay<I>, target: &DialAddr) -> Result<(), ProxyError> {
        let request = request(target).ok_or_else(|| ProxyError::Scoped(target.to_string()))?;
        let greeting: &[u8] = match self.login {
            None => &[VERSION, 1, NO_AUTHENTICATION],
            Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
        };
        send(io, greeting).await?;
        match (answer(io, VERSION, "method").await?, &self.login) {
            (NO_AUTHENTICATION, _) => {}
            (USER_AND_PASSWORD, Some(login)) => {
                send(io, &dialogue(login)).await?;
                if answer(io, LOGIN_VERSION, "login").await? != SUCCEEDED {
                    return Err(ProxyError::LoginRefused);
                }
            }
            (USER_AND_PASSWORD | NO_METHOD, None) => return Err(ProxyError::LoginNeeded),
            (NO_METHOD, Some(_)) => return Err(ProxyError::NoMethod),
            (method, _) => {
                let wrong = format!("method {method:02x}, which was not offered");
                return Err(ProxyError::Invalid(wrong));
            }
        }
        send(io, &request).await?;
        reply(io).await
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<Replay<I>>, ProxyError> {
        let mut conn = conn.map_io(Replay::new);
        let target = conn.info.target.clone().ok_or(ProxyError::NoTarget)?;
        self.ask(&mut conn.io, &target).await?;
        Ok(conn)
    }
}

async fn send<I: Io>(io: &mut Replay<I>, bytes: &[u8]) -> Result<(), ProxyError> {
    io.write_all(bytes).await?;
    Ok(io.flush().await?)
}

/// The second byte of an answer of two bytes.
async fn answer<I: Io>(io: &mut Replay<I>, version: u8, what: &str) -> Result<u8, ProxyError> {
    if !fill(io, 2).await? {
        // Another protocol may have said less than two bytes.
        return Err(ProxyError::Ended);
    }
    let (said, answer) = (io.ahead()[0], io.ahead()[1]);
    if said != version {
        let wrong = format!("version {said:02x} of the {what}, not {version:02x}: no SOCKS5 proxy");
        return Err(ProxyError::Invalid(wrong));
    }
    io.consume(2);
    Ok(answer)
}

fn dialogue(login: &Login) -> Vec<u8> {
    let length =
        |text: &[u8]| u8::try_from(text.len()).expect("a login's texts have at most 255 bytes");
    let (user, password) = (login.user().as_bytes(), login.password());
    let user_part = [&[LOGIN_VERSION, length(user)], user].concat();
    [&user_part, &[length(password)][..], password].concat()
}

async fn reply<I: Io>(io: &mut Replay<I>) -> Result<(), ProxyError> {
    // A proxy that refuses may close without the address.
    if !fill(io, HEAD - 1).await? {
        return Err(ProxyError::Ended);
    }
    let (version, code) = (io.ahead()[0], io.ahead()[1]);
    if version != VERSION {
        let wrong = format!("version {version:02x} of the reply, not {VERSION:02x}");
        return Err(ProxyError::Invalid(wrong));
    }
    if code != SUCCEEDED {
        let (failure, said) = meaning(code);
        return Err(ProxyError::Refused { failure, said });
    }
    match Address::read(io).await {
        Ok(address) => {
            io.consume(address.len);
            Ok(())
        }
        Err(NoAddress::Ended) => Err(ProxyError::Ended),
        Err(NoAddress::Io(error)) => Err(error.into()),
        Err(NoAddress::Kind(kind)) => Err(ProxyError::Invalid(format!(
            "type {kind:02x} of the bound address"
        ))),
    }
}

boxed_handshake!(SocksConnect => Conn<Replay<I>>, ProxyError);
