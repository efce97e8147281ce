//! The handshakes whose first bytes come from any client.

use std::{
    future::ready,
    time::{Duration, SystemTime},
};

use couplet_connector::{
    endpoint::{BoxIo, Conn, Info},
    layers::{ExpectToken, Handshake, Identity, Networks, Token},
};
use couplet_protocols::{
    AnswerChallenge, AuthorizedKeys, Challenge, Ed25519Key, ExpectMeeting, ExpectProxyHeader,
    ExpectSignedToken, Keyring, Protocol, SignedClaims, Sniff,
    meet::{Follow, Meet, Meeting, MeetingKey, Redial},
    proxy_protocol::Proxied,
};
use tower::service_fn;

use crate::{
    assert_printable,
    stranger::{End, Outcome, Scripted, Stranger},
};

/// PROXY headers of both versions: required and optional.
pub fn proxy(data: &[u8]) {
    let Some(stranger) = Stranger::new(data) else {
        return;
    };
    let trusted = || -> Networks { "192.0.2.0/24".parse().expect("a network") };
    let look = |info: &Info| {
        if let Some(proxied) = info.extensions.get::<Proxied>() {
            proxied.tlvs().for_each(drop);
            proxied.alpn();
            proxied.unique_id();
            for text in [
                proxied.authority(),
                proxied.tls_version(),
                proxied.common_name(),
            ] {
                text.map(str::len);
            }
        }
        assert_printable(&format!("{}", info.peer_name()));
    };
    let required = stranger.meets(&ExpectProxyHeader::required(trusted()), look);
    if let Outcome::Passed(left) = &required {
        assert!(stranger.bytes.ends_with(left));
        assert!(left.len() < stranger.bytes.len(), "there was no header");
    }
    // An optional header is the same where there is one, and nothing is lost where there is none.
    let accepted = stranger.meets(&ExpectProxyHeader::accepted(trusted()), look);
    match required {
        Outcome::Passed(_) => assert_eq!(accepted, required),
        _ => {
            if let Outcome::Passed(left) = accepted {
                assert_eq!(left, stranger.bytes);
            }
        }
    }
    let untrusted = ExpectProxyHeader::accepted("198.51.100.0/24".parse().expect("a network"));
    let passed = stranger.meets(&untrusted, look);
    assert_eq!(passed, Outcome::Passed(stranger.bytes.to_vec()));
}

/// Detection by the first bytes: TLS, SSH, HTTP. Takes none of them.
pub fn sniff(data: &[u8]) {
    let Some(stranger) = Stranger::new(data) else {
        return;
    };
    let look = |info: &Info| {
        let protocol = info.extensions.get::<Protocol>().expect("sniffed");
        assert_printable(&protocol.to_string());
        if let Protocol::Tls(hello) = protocol {
            let longest = hello.alpn().map(<[u8]>::len).max();
            assert!(longest.is_none_or(|len| len <= 255));
        }
    };
    match stranger.meets(&Sniff::new(), look) {
        Outcome::Passed(left) => assert_eq!(left, stranger.bytes),
        Outcome::Refused(_) => assert_eq!(stranger.end, End::Resets),
        Outcome::Waits => assert_eq!(stranger.end, End::Stalls),
    }
}

/// Handshakes of one line: tokens, signed tokens, meetings, challenges and their answers.
pub fn lines(data: &[u8]) {
    let Some(stranger) = Stranger::new(data) else {
        return;
    };
    let token = ExpectToken::new(Token::new("secret").expect("a token"));
    let known = line_of(stranger, &token, |_| {});
    assert!(
        !known
            || stranger.bytes.starts_with(b"secret\n")
            || stranger.bytes.starts_with(b"secret\r\n")
    );

    // A time that does not go on, so that the corpus does not expire.
    let now = || SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let keyring = || Keyring::new("k", "0123456789abcdef").expect("a secret");
    line_of(
        stranger,
        &ExpectSignedToken::new(keyring()).clock(now),
        claims,
    );
    line_of(
        stranger,
        &ExpectSignedToken::new(keyring()).key("door").clock(now),
        claims,
    );
    line_of(stranger, &ExpectMeeting::new(), |info| {
        Meeting::of(info).expect("the line names a key");
    });
    line_of(
        stranger,
        &ExpectMeeting::new().tokens(keyring()).clock(now),
        |info| {
            Meeting::of(info).expect("the line names a key");
            claims(info);
        },
    );

    // What a relay answers its client: with a way to another relay, and without.
    let meet = || Meet::new(MeetingKey::of("demo"));
    line_of(stranger, &meet(), |_| {});
    let nowhere = service_fn(|redial: Redial| {
        if let Some(to) = redial.to() {
            assert_printable(&to.to_string());
        }
        ready(Err::<Conn<BoxIo>, _>("nowhere"))
    });
    line_of(stranger, &Follow::new(meet(), nowhere), |_| {});

    let key: Ed25519Key = SECRET_KEY.parse().expect("a key");
    line_of(stranger, &AnswerChallenge::new(key), |_| {});
    // The challenge is random, so that no answer is right.
    let key: Ed25519Key = SECRET_KEY.parse().expect("a key");
    let authorized: AuthorizedKeys = format!("{} me", key.public()).parse().expect("a key");
    assert!(!line_of(stranger, &Challenge::new(authorized), |_| {}));
}

/// Without an address.
const SECRET_KEY: &str = "ed25519-private:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn claims(info: &Info) {
    let claims = info.extensions.get::<SignedClaims>().expect("signed");
    assert_eq!(claims.key_id(), "k");
    assert_printable(claims.key());
    if let Some(identity) = info.extensions.get::<Identity>() {
        assert_printable(identity.name());
    }
}

/// Whether it passed; then all behind the first line is left.
fn line_of<O, H>(stranger: Stranger<'_>, handshake: &H, look: impl Fn(&Info)) -> bool
where
    O: couplet_connector::endpoint::Io,
    H: Handshake<
            Conn<Scripted>,
            Output = Conn<O>,
            Error: std::error::Error + Send + Sync + 'static,
        >,
{
    match stranger.meets(handshake, look) {
        Outcome::Passed(left) => {
            let line = stranger.bytes.iter().position(|byte| *byte == b'\n');
            assert_eq!(left, stranger.bytes[line.expect("a line") + 1..]);
            true
        }
        Outcome::Refused(_) => false,
        Outcome::Waits => {
            assert_eq!(stranger.end, End::Stalls);
            false
        }
    }
}
