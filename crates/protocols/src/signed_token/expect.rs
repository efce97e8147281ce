use std::{sync::Arc, time::SystemTime};

use couplet_endpoint::{Conn, Io, Replay};
use couplet_layers::{Identity, LineError, boxed_handshake, take_line};
use thiserror::Error;

use super::{Keyring, text::MAX_TOKEN};

/// Accepts connections whose first line is a valid token. See the [module](super).
///
/// A token for the other [side](couplet_endpoint::Info::side) than the connection's is refused.
///
/// Reads at most 514 bytes for the line. Has no deadline of its own: the
/// [`HandshakeLayer`](couplet_layers::HandshakeLayer) has.
#[derive(Clone, derive_more::Debug)]
pub struct ExpectSignedToken {
    keyring: Keyring,
    key: Option<Arc<str>>,
    #[debug(skip)]
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// A connection does not begin with a valid signed token.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignedTokenRefused {
    /// There was no first line, or one that is too long.
    #[error("signed token missing")]
    Line(#[from] LineError),
    /// The first line is not a signed token.
    #[error("first line is not a signed token")]
    Malformed,
    /// The token names a secret that is not in the keyring.
    #[error("signed token names a secret that is not in the keyring")]
    UnknownKey,
    /// The secret that the token names has not signed it.
    #[error("token signature does not match")]
    Forged,
    /// The token has expired.
    #[error("signed token has expired")]
    Expired,
    /// The token is for the other side.
    #[error("signed token is for the other side")]
    OtherSide,
    /// The token is for another session.
    #[error("signed token is for another key")]
    OtherKey,
}

// ===== impl ExpectSignedToken =====

impl ExpectSignedToken {
    /// Accepts the tokens of this keyring.
    pub fn new(keyring: Keyring) -> Self {
        Self {
            keyring,
            key: None,
            clock: Arc::new(SystemTime::now),
        }
    }

    /// Accepts only tokens for this session, where connections are not joined by key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Uses another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<Replay<I>>, SignedTokenRefused> {
        let mut conn = conn.map_io(Replay::new);
        let line = take_line(&mut conn.io, MAX_TOKEN + 2).await?;
        let claims = self.keyring.verify(&line, (self.clock)())?;
        if let (Some(side), Some(allowed)) = (conn.info.side, claims.allowed_side())
            && side != allowed
        {
            return Err(SignedTokenRefused::OtherSide);
        }
        if self.key.is_some_and(|key| *key != *claims.key()) {
            return Err(SignedTokenRefused::OtherKey);
        }
        let identity = Identity::new(claims.shared_key());
        conn.info.extensions.insert(claims);
        conn.info.has_spoken = true;
        identity.put_into(&mut conn.info);
        Ok(conn)
    }
}

boxed_handshake!(ExpectSignedToken => Conn<Replay<I>>, SignedTokenRefused, Token);

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use couplet_endpoint::{
        Side,
        memory::{self, MemoryStream},
    };
    use couplet_layers::{Handshake, SendToken};
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::{
        signed_token::{Claims, SignedClaims},
        testing::{conn, read_all},
    };

    const NOW: u64 = 1_795_430_000;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn keyring() -> Keyring {
        "new: a secret that is new!\nold: a secret that is old"
            .parse()
            .unwrap()
    }

    fn claims() -> Claims {
        Claims::new("demo", at(NOW + 1)).unwrap()
    }

    fn expect() -> ExpectSignedToken {
        ExpectSignedToken::new(keyring()).clock(|| at(NOW))
    }

    /// What becomes of a connection on side A that begins with these bytes, and then ends.
    async fn shake(
        expect: &ExpectSignedToken,
        pieces: &[&[u8]],
    ) -> Result<Conn<Replay<MemoryStream>>, SignedTokenRefused> {
        let (mut peer, io) = memory::connection(8192);
        let shaking = tokio::spawn(expect.handshake(conn(io).on(Side::A)));
        for piece in pieces {
            peer.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        peer.shutdown().await.unwrap();
        let shaken = shaking.await.unwrap();
        if shaken.is_err() {
            let (heard, end) = read_all(&mut peer).await;
            assert!(heard.is_empty(), "a peer that fails is told nothing");
            end.unwrap();
        }
        shaken
    }

    fn line(token: &str) -> Vec<u8> {
        format!("{token}\nrest").into_bytes()
    }

    #[test]
    fn the_text_form_of_a_token_is_fixed() {
        let token = keyring().sign(&claims().side(Side::A));
        // From `openssl dgst -sha256 -hmac 'a secret that is new!'`.
        assert_eq!(
            token.as_str(),
            "couplet1.new.a.1795430001.ZGVtbw.4LZvibrFHXiystX4bZcPVsIXK2Q1hjPgxy3qazTJM30"
        );
    }

    #[tokio::test]
    async fn the_claims_are_known_and_the_rest_is_kept_wherever_the_stream_is_cut() {
        let token = keyring().sign(&claims().side(Side::A));
        let sent = line(token.as_str());
        for cut in 0..sent.len() {
            let (one, two) = sent.split_at(cut);
            let mut conn = shake(&expect(), &[one, two]).await.unwrap();
            assert_eq!(read_all(&mut conn.io).await.0, b"rest");
            let said: &SignedClaims = conn.info.extensions.get().unwrap();
            assert_eq!(said.key(), "demo");
            assert_eq!(said.allowed_side(), Some(Side::A));
            assert_eq!(said.expires(), at(NOW + 1));
            assert_eq!(said.key_id(), "new");
            let identity: &Identity = conn.info.extensions.get().unwrap();
            assert_eq!(identity.name(), "demo");
        }
    }

    #[tokio::test]
    async fn no_bit_of_a_token_can_be_changed() {
        let token = keyring().sign(&claims());
        for at in 0..token.as_str().len() {
            for bit in 0..8 {
                let mut forged = token.as_str().as_bytes().to_vec();
                forged[at] ^= 1 << bit;
                if forged[at] == b'\n' {
                    continue;
                }
                forged.push(b'\n');
                assert!(shake(&expect(), &[&forged]).await.is_err(), "{at} {bit}");
            }
        }
    }

    #[tokio::test]
    async fn a_signature_is_whole() {
        let token = keyring().sign(&claims());
        let (signed, mac) = token.as_str().rsplit_once('.').unwrap();
        // Four letters are three bytes, and the last three are two.
        for letters in (0..mac.len()).step_by(4) {
            let cut = format!("{signed}.{}\n", &mac[..letters]);
            let refused = shake(&expect(), &[cut.as_bytes()]).await;
            assert!(
                matches!(refused, Err(SignedTokenRefused::Forged)),
                "{letters}"
            );
        }
    }

    #[tokio::test]
    async fn every_secret_of_the_keyring_verifies_and_no_other() {
        for id in ["new", "old"] {
            let token = keyring().sign_with(id, &claims()).unwrap();
            let conn = shake(&expect(), &[&line(token.as_str())]).await.unwrap();
            let said: &SignedClaims = conn.info.extensions.get().unwrap();
            assert_eq!(said.key_id(), id);
        }
        assert!(keyring().sign_with("other", &claims()).is_none());
        let other = Keyring::new("other", "a secret that is new!").unwrap();
        let refused = shake(&expect(), &[&line(other.sign(&claims()).as_str())]).await;
        assert!(matches!(refused, Err(SignedTokenRefused::UnknownKey)));
        let same_name = Keyring::new("new", "another secret of the name").unwrap();
        let refused = shake(&expect(), &[&line(same_name.sign(&claims()).as_str())]).await;
        assert!(matches!(refused, Err(SignedTokenRefused::Forged)));
    }

    #[tokio::test]
    async fn a_token_is_valid_until_it_expires() {
        let token = keyring().sign(&claims());
        for (now, holds) in [(0, true), (NOW, true), (NOW + 1, false), (NOW + 2, false)] {
            let expect = expect().clock(move || at(now));
            let shaken = shake(&expect, &[&line(token.as_str())]).await;
            match holds {
                true => assert!(shaken.is_ok()),
                false => assert!(matches!(shaken, Err(SignedTokenRefused::Expired))),
            }
        }
    }

    #[tokio::test]
    async fn a_token_is_valid_for_its_side_and_key() {
        let b = keyring().sign(&claims().side(Side::B));
        let refused = shake(&expect(), &[&line(b.as_str())]).await;
        assert!(matches!(refused, Err(SignedTokenRefused::OtherSide)));
        let any = keyring().sign(&claims());
        assert!(shake(&expect(), &[&line(any.as_str())]).await.is_ok());
        assert!(
            shake(&expect().key("demo"), &[&line(any.as_str())])
                .await
                .is_ok()
        );
        let refused = shake(&expect().key("other"), &[&line(any.as_str())]).await;
        assert!(matches!(refused, Err(SignedTokenRefused::OtherKey)));
    }

    #[tokio::test]
    async fn any_other_first_line_is_refused() {
        let token = keyring().sign(&claims());
        let token = token.as_str();
        let other_version = token.replace("couplet1", "couplet2");
        let one_part_more = token.replace(".any.", ".any.any.");
        let lines: &[&[u8]] = &[
            b"\n",
            b"......\n",
            b"couplet1.new\n",
            b"couplet1.new.any.99999999999999999999.ZGVtbw.AAAA\n",
            b"couplet1.new.any.1795430001.\xff.AAAA\n",
            b"GET / HTTP/1.1\r\n\r\n",
            &[other_version.as_bytes(), b"\n"].concat(),
            &[one_part_more.as_bytes(), b"\n"].concat(),
            &[token.as_bytes(), b"=\n"].concat(),
            &[token.as_bytes(), b" \n"].concat(),
        ];
        for line in lines {
            let refused = shake(&expect(), &[line]).await;
            assert!(
                matches!(refused, Err(SignedTokenRefused::Malformed)),
                "{line:?}"
            );
        }
        for line in [token.as_bytes(), &[b'x'; 514]] {
            let refused = shake(&expect(), &[line]).await;
            assert!(matches!(refused, Err(SignedTokenRefused::Line(_))));
        }
    }

    #[tokio::test]
    async fn the_longest_token_is_accepted() {
        let keyring = Keyring::new(&"i".repeat(32), "0123456789abcdef").unwrap();
        let claims = Claims::new("k".repeat(256), at(253_402_300_799)).unwrap();
        let (ours, mut theirs) = memory::connection(1024);
        let send = SendToken::new(keyring.sign(&claims).into());
        drop(send.handshake(conn(ours)).await.unwrap());
        let sent = read_all(&mut theirs).await.0;
        let expect = ExpectSignedToken::new(keyring);
        assert!(shake(&expect, &[&sent]).await.is_ok());
    }

    #[test]
    fn a_token_is_looked_at_before_it_is_sent() {
        use crate::signed_token::SignedToken;

        let token = keyring().sign(&claims());
        assert_eq!(token.as_str().parse(), Ok(token.clone()));
        assert!("secret".parse::<SignedToken>().is_err());
        assert!(!format!("{token:?}").contains("couplet1"));
    }
}
