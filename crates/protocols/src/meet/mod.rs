//! A rendezvous by key: two clients with the same key are joined at a relay that both dial.
//!
//! A client sends one line and reads one; from then on it talks to the partner:
//!
//! ```text
//! couplet/1 2c26b46b68ffc68ff99b453c1d304134 a couplet1.main.a.1795430000.ZGVtbw.-z3V…\n
//!    │                    │                  │      └ a signed token, where the relay asks for one
//!    │                    │                  └ the side, a or b: the partner is on the other side or on
//!    │                    │                    none; may be left out
//!    │                    └ the key: 32 lower-case hex digits, always at byte 10
//!    └ the version
//! ```
//!
//! The key is the first half of the SHA-256 of a name ([`MeetingKey::of`]). Its length and place are
//! fixed, so that a balancer in front of several relays can choose by it. A line has at most 566 bytes
//! and may end in a carriage return and a line feed. A word is followed by one space. Bytes behind the
//! line are the partner's, and are delivered after the join.
//!
//! A client that goes where the relay sends it says so with a last word, `+goto`. Where its partner waits at
//! another relay, it may get `goto HOST:PORT\n` in place of `ok`: then it asks there, with the same line. A
//! client without that word never gets this answer. [`Follow`] is such a client.
//!
//! The answer is `ok\n` as soon as the partner is there, which may take hours, or a line with a reason,
//! after which the relay closes the connection:
//!
//! | answer | |
//! |---|---|
//! | `bad request` | the line has another form, or is too long |
//! | `token needed` | the relay asks for a token, and the line has none |
//! | `bad token` | no secret of the relay has signed the token |
//! | `token expired` | |
//! | `token for another key`, `token for the other side` | |
//! | `other side` | the client came to the address of the other side |
//! | `unknown key` | the relay does not know the key |
//! | `full` | too many clients wait |
//! | `duplicate` | too many clients with this key wait, or two are joined already |
//! | `expired` | no partner came in time |
//! | `replaced`, `evicted` | a newer client took the place, with the same key or another |
//! | `impatient` | the client sent bytes before the join, where the relay wants silence |
//! | `redundant` | another client with this key was joined |
//! | `partner left` | the partner had gone at the join |
//!
//! More reasons may be added: a client takes any line but `ok` for a refusal. A client that sends no line
//! in time is reset. Waiting clients are reset when the relay stops, and so is a client that had read
//! `ok` when the partner turned out to have gone.
//!
//! A client that guesses a key can use it, unless it is long and random. Signed tokens say which key a
//! client may use, on which side, and until when. A token is checked when the client connects: waiting
//! and joined connections live on when it expires. Secrets and tokens can be renewed at run time:
//! [`Replaceable`](couplet_layers::Replaceable). Nothing is encrypted: put TLS above this layer.
//!
//! The relay is [`ExpectMeeting`], [`by_key`] and [`announce`] together:
//!
//! ```
//! use couplet_endpoint::Info;
//! use couplet_layers::HandshakeLayer;
//! use couplet_protocols::meet;
//!
//! let side = HandshakeLayer::new(meet::ExpectMeeting::new()); // a layer of the side stack
//! let keyed = meet::by_key(); // the pairing: `Connector::rendezvous`
//! let pair = HandshakeLayer::new(meet::announce()); // a layer of the pair stack
//! ```
//!
//! The client is [`Meet`], a [handshake](couplet_layers::handshake) of a dialled side. It ends when the partner is
//! there: give its [`HandshakeLayer`](couplet_layers::HandshakeLayer) no deadline, unless the wait is to be
//! bounded, and the sockets a keep-alive, which notices a relay that has vanished.
//!
//! ```
//! use couplet_endpoint::Side;
//! use couplet_layers::HandshakeLayer;
//! use couplet_protocols::meet::{Meet, MeetingKey};
//!
//! let meet = Meet::new(MeetingKey::of("a name of many words")).side(Side::A);
//! let layer = HandshakeLayer::new(meet).timeout(None).bound(usize::MAX);
//! ```
//!
//! **Where:** on a side stack, below TLS and the layers that limit connections. **Splice:** kept, once the
//! bytes behind the line have been read. **Memory:** the line while it is read; then the key, the side and
//! the token's content.

mod answer;
mod expect;
mod follow;
mod key;
mod redirect;
mod request;
mod send;

pub use self::{
    answer::{announce, answer, by_key},
    expect::{ExpectMeeting, Meeting, MeetingRefused},
    follow::{Follow, Redial},
    key::MeetingKey,
    redirect::Redirect,
    send::{Meet, NotMet},
};

#[cfg(test)]
mod tests;
