//! The first message of a TLS client (RFC 8446, section 4.1.2): the server name and the protocols.

use std::borrow::Cow;

use super::{
    look::{LIMIT, Look, Until},
    protocol::{ClientHello, Protocol, host},
    reader::Reader,
};

/// The first byte of a record that carries a handshake message.
pub(super) const RECORD: u8 = 22;

const CLIENT_HELLO: u8 = 1;

/// The longest content of a record that is not encrypted.
const MAX_RECORD: usize = 1 << 14;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const HOST_NAME: u8 = 0;

/// What the records hold so far.
enum Message<'a> {
    /// The message, without its header.
    Whole(Cow<'a, [u8]>),
    /// At least this many bytes are needed.
    Short(usize),
    /// Something else.
    Other,
}

/// Looks at bytes of which the first is [`RECORD`].
pub(super) fn look(bytes: &[u8]) -> Look {
    match bytes {
        // A version of 3.x, some length, and the type of the message.
        [_, 3, _, _, _, CLIENT_HELLO, ..] => {}
        // To the next byte that can tell, so that nothing depends on how the bytes were cut.
        [_] => return Look::Perhaps(Until::Len(2)),
        [_, 3, ..] if bytes.len() < 6 => return Look::Perhaps(Until::Len(6)),
        _ => return Look::Is(Protocol::Unknown),
    }
    match message(bytes) {
        Message::Short(len) => Look::Begun(Until::Len(len)),
        Message::Other => Look::Is(Protocol::Unknown),
        Message::Whole(message) => Look::Is(match parse(Reader(&message)) {
            Some(hello) => Protocol::Tls(hello),
            None => Protocol::Unknown,
        }),
    }
}

/// The message, which may be spread over several records.
fn message(bytes: &[u8]) -> Message<'_> {
    let mut message = Cow::Borrowed(&[][..]);
    let mut rest = bytes;
    loop {
        let at = bytes.len() - rest.len();
        let Some((&[kind, major, _, high, low], behind)) = rest.split_first_chunk() else {
            return Message::Short(at + 5);
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        if kind != RECORD || major != 3 || !(1..=MAX_RECORD).contains(&len) {
            return Message::Other;
        }
        let here = &behind[..len.min(behind.len())];
        rest = &behind[here.len()..];
        if message.is_empty() {
            message = here.into();
        } else {
            message.to_mut().extend_from_slice(here);
        }
        let wanted = match message.first_chunk() {
            Some(&[_, high, middle, low]) => {
                let len = u32::from_be_bytes([0, high, middle, low]);
                4 + usize::try_from(len).unwrap_or(usize::MAX)
            }
            // Its header.
            None => 4,
        };
        if wanted > LIMIT {
            return Message::Other;
        }
        if message.len() >= 4 && message.len() >= wanted {
            return Message::Whole(match message {
                Cow::Borrowed(message) => message[4..wanted].into(),
                Cow::Owned(message) => message[4..wanted].to_vec().into(),
            });
        }
        if here.len() < len {
            // Not to the record's end, where the message ends before.
            let missing = (len - here.len()).min(wanted - message.len());
            return Message::Short(bytes.len() + missing);
        }
    }
}

/// `None` for a message that breaks the rules of TLS. A server name that is no host name breaks none
/// that matters here: the message is TLS, and the client has asked for no host.
fn parse(mut message: Reader<'_>) -> Option<ClientHello> {
    message.bytes(2 + 32)?; // version, random
    message.u8_prefixed()?; // session
    message.u16_prefixed()?; // cipher suites
    message.u8_prefixed()?; // compression
    let mut hello = ClientHello::default();
    if message.is_empty() {
        return Some(hello);
    }
    let mut extensions = message.u16_prefixed()?;
    message.end()?;
    let (mut named, mut offered) = (false, false);
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let mut extension = extensions.u16_prefixed()?;
        match kind {
            SERVER_NAME if !std::mem::replace(&mut named, true) => {
                let mut names = extension.u16_prefixed()?;
                extension.end()?;
                let mut hosts = 0;
                while !names.is_empty() {
                    let kind = names.u8()?;
                    let name = names.u16_prefixed()?;
                    if kind == HOST_NAME {
                        hosts += 1;
                        hello.server_name = host(name.0);
                    }
                }
                if hosts > 1 {
                    return None; // Another reader may choose the other name.
                }
            }
            ALPN if !std::mem::replace(&mut offered, true) => {
                let mut protocols = extension.u16_prefixed()?;
                extension.end()?;
                hello.alpn = protocols.0.into();
                while !protocols.is_empty() {
                    if protocols.u8_prefixed()?.is_empty() {
                        return None;
                    }
                }
            }
            // Twice: another reader may choose the other.
            SERVER_NAME | ALPN => return None,
            _ => {}
        }
    }
    Some(hello)
}
