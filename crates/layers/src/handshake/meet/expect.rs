use std::{fmt, sync::Arc, time::SystemTime};

use couplet_endpoint::{Conn, Info, Io, Replay, Side, io::send_and_close};
use futures::{FutureExt, future::BoxFuture};
use thiserror::Error;

use super::{
    MeetingKey,
    answer::PATIENCE,
    request::{MAX_LINE, Request},
};
use crate::{
    handshake::Identity,
    handshake::signed_token::{Keyring, SignedClaims, SignedTokenRefused},
    handshake::{Handshake, LineError, take_line},
};

/// Finds out whom a connection is to meet. See the [module](super).
///
/// What the line says is put into the connection's extensions as [`Meeting`], what its token says as
/// [`SignedClaims`], the name of the token's key as [`Identity`], and the side, where there is one,
/// into its [`Info`]. Where connections have a side already, it has to be that one.
///
/// Has no deadline of its own: the [`HandshakeLayer`](crate::HandshakeLayer) has. Who is refused has a
/// second to hear it.
#[derive(Clone)]
pub struct ExpectMeeting {
    tokens: Option<Keyring>,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// Whom a connection is to meet: in its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meeting {
    key: MeetingKey,
    side: Option<Side>,
}

/// A connection was refused for what its first line said.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MeetingRefused {
    /// The line did not come, or is too long.
    #[error("it did not say whom it is to meet")]
    Line(#[from] LineError),
    /// The line is none.
    #[error("its first line is not `couplet/1 KEY …`")]
    Malformed,
    /// Its token does not hold, or not for this.
    #[error("it has no token that holds")]
    Token(#[from] SignedTokenRefused),
    /// There is no token.
    #[error("it has no token")]
    NoToken,
    /// It is on another side than it says.
    #[error("it asks for the other side")]
    OtherSide,
}

// ===== impl ExpectMeeting =====

impl ExpectMeeting {
    /// Whoever knows a key may come.
    pub fn new() -> Self {
        Self {
            tokens: None,
            clock: Arc::new(SystemTime::now),
        }
    }

    /// Only who has a token of this keyring may come: to the key that the token is for, on its side,
    /// before it expires. A token for one side puts who does not say so on that side.
    #[must_use]
    pub fn tokens(mut self, keyring: Keyring) -> Self {
        self.tokens = Some(keyring);
        self
    }

    /// The time of day, in place of the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    async fn expect<I: Io>(self, conn: Conn<I>) -> Result<Conn<Replay<I>>, MeetingRefused> {
        let mut conn = conn.map_io(Replay::new);
        let understood = match take_line(&mut conn.io, MAX_LINE).await {
            Ok(line) => self.understand(&line, &conn.info),
            Err(error) => Err(error.into()),
        };
        let (meeting, claims) = match understood {
            Ok(understood) => understood,
            Err(refused) => {
                if let Some(words) = refused.answer() {
                    send_and_close(conn.io, format!("{words}\n").as_bytes(), PATIENCE).await;
                }
                return Err(refused);
            }
        };
        conn.info.side = meeting.side.or(conn.info.side);
        conn.info.has_spoken = true;
        conn.info.extensions.insert(meeting);
        if let Some(claims) = claims {
            let identity = Identity::new(claims.key());
            conn.info.extensions.insert(claims);
            identity.put_into(&mut conn.info);
        }
        Ok(conn)
    }

    fn understand(
        &self,
        line: &[u8],
        info: &Info,
    ) -> Result<(Meeting, Option<SignedClaims>), MeetingRefused> {
        let Request { key, side, token } = Request::parse(line).ok_or(MeetingRefused::Malformed)?;
        if let (Some(on), Some(side)) = (info.side, side)
            && on != side
        {
            return Err(MeetingRefused::OtherSide);
        }
        let side = side.or(info.side);
        let Some(keyring) = &self.tokens else {
            return Ok((Meeting { key, side }, None));
        };
        let token = token.ok_or(MeetingRefused::NoToken)?;
        let claims = keyring.verify(token, (self.clock)())?;
        if MeetingKey::of(claims.key()) != key {
            return Err(SignedTokenRefused::OtherKey.into());
        }
        if let (Some(side), Some(allowed)) = (side, claims.allowed_side())
            && side != allowed
        {
            return Err(SignedTokenRefused::OtherSide.into());
        }
        let side = side.or(claims.allowed_side());
        Ok((Meeting { key, side }, Some(claims)))
    }
}

impl Default for ExpectMeeting {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Io> Handshake<Conn<I>> for ExpectMeeting {
    type Output = Conn<Replay<I>>;
    type Error = MeetingRefused;
    type Future = BoxFuture<'static, Result<Self::Output, MeetingRefused>>;

    fn handshake(&self, conn: Conn<I>) -> Self::Future {
        self.clone().expect(conn).boxed()
    }
}

impl fmt::Debug for ExpectMeeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpectMeeting").finish_non_exhaustive()
    }
}

// ===== impl Meeting =====

impl Meeting {
    /// What is known of this connection, if it has said so.
    pub fn of(info: &Info) -> Option<&Self> {
        info.extensions.get()
    }

    /// What it meets others by.
    pub const fn key(&self) -> MeetingKey {
        self.key
    }

    /// The side it is on; `None` for either.
    pub const fn side(&self) -> Option<Side> {
        self.side
    }
}

// ===== impl MeetingRefused =====

impl MeetingRefused {
    /// What the peer is told; nothing where it can't hear it.
    fn answer(&self) -> Option<&'static str> {
        Some(match self {
            Self::Line(LineError::TooLong(_)) | Self::Malformed => "bad request",
            Self::Line(_) => return None,
            Self::NoToken => "token needed",
            Self::OtherSide => "other side",
            Self::Token(SignedTokenRefused::OtherSide) => "token for the other side",
            Self::Token(SignedTokenRefused::Expired) => "token expired",
            Self::Token(SignedTokenRefused::OtherKey) => "token for another key",
            Self::Token(_) => "bad token",
        })
    }
}
