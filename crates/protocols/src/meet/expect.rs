use std::{sync::Arc, time::SystemTime};

use couplet_endpoint::{Conn, Info, Io, Replay, Side, io::send_and_close};
use couplet_layers::{Identity, LineError, boxed_handshake, take_line};
use thiserror::Error;

use super::{
    MeetingKey,
    answer::PATIENCE,
    request::{MAX_LINE, Request},
};
use crate::signed_token::{Keyring, SignedClaims, SignedTokenRefused};

/// Reads the key by which a connection is joined with a partner. See the [module](super).
///
/// The content of the line is put into the connection's extensions as [`Meeting`], that of the token as
/// [`SignedClaims`], the name of the token's key as [`Identity`], and the side, if the line names one,
/// into its [`Info`]. A connection that has a side already must not name the other.
///
/// Has no deadline of its own: the [`HandshakeLayer`](couplet_layers::HandshakeLayer) has. A peer that is refused
/// is sent the reason, and has a second to read it.
#[derive(Clone, derive_more::Debug)]
#[debug("ExpectMeeting")]
pub struct ExpectMeeting {
    tokens: Option<Keyring>,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// The key and the side of a connection: in its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meeting {
    key: MeetingKey,
    side: Option<Side>,
    follows: bool,
}

/// A connection's first line was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MeetingRefused {
    /// There was no line, or one that is too long.
    #[error("rendezvous line missing")]
    Line(#[from] LineError),
    /// The line has another form.
    #[error("first line is not a rendezvous line, `couplet/1 KEY …`")]
    Malformed,
    /// The token is invalid, or for another key or side.
    #[error("rendezvous token refused")]
    Token(#[from] SignedTokenRefused),
    /// There is no token.
    #[error("rendezvous token missing")]
    NoToken,
    /// The line names the other side than the connection's.
    #[error("rendezvous line names the other side")]
    OtherSide,
}

// ===== impl ExpectMeeting =====

impl ExpectMeeting {
    /// Accepts all keys.
    pub fn new() -> Self {
        Self {
            tokens: None,
            clock: Arc::new(SystemTime::now),
        }
    }

    /// Accepts only connections with a token of this keyring, for the token's key and side, until the
    /// token expires. A token for one side puts a connection that names none on that side.
    #[must_use]
    pub fn tokens(mut self, keyring: Keyring) -> Self {
        self.tokens = Some(keyring);
        self
    }

    /// Uses another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<Replay<I>>, MeetingRefused> {
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
        tracing::debug!(conn = conn.info.id.get(), peer = %conn.info.peer_name(),
            key = meeting.key.fingerprint(), "asks for a partner");
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
        let Request {
            key,
            side,
            token,
            follows,
        } = Request::parse(line).ok_or(MeetingRefused::Malformed)?;
        if let (Some(on), Some(side)) = (info.side, side)
            && on != side
        {
            return Err(MeetingRefused::OtherSide);
        }
        let side = side.or(info.side);
        let meeting = |side| Meeting { key, side, follows };
        let Some(keyring) = &self.tokens else {
            return Ok((meeting(side), None));
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
        Ok((meeting(side), Some(claims)))
    }
}

impl Default for ExpectMeeting {
    fn default() -> Self {
        Self::new()
    }
}

boxed_handshake!(ExpectMeeting => Conn<Replay<I>>, MeetingRefused, Meeting);

// ===== impl Meeting =====

impl Meeting {
    /// The key and the side of a connection, if it has sent them.
    pub fn of(info: &Info) -> Option<&Self> {
        info.extensions.get()
    }

    /// The key.
    pub const fn key(&self) -> MeetingKey {
        self.key
    }

    /// The side; `None` for either.
    pub const fn side(&self) -> Option<Side> {
        self.side
    }

    /// Whether the client goes where it is sent: [`Redirect`](super::Redirect).
    pub const fn follows(&self) -> bool {
        self.follows
    }
}

// ===== impl MeetingRefused =====

impl MeetingRefused {
    /// The answer to the peer; none where the connection has ended.
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
