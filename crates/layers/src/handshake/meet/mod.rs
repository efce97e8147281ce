//! Strangers meet by a key, at a relay that both dial.
//!
//! A client sends one line and hears one; from then on it talks to its partner:
//!
//! ```text
//! couplet/1 2c26b46b68ffc68ff99b453c1d304134 a couplet1.main.a.1795430000.ZGVtbw.-z3V…\n
//!    │                    │                  │      └ a signed token, where the relay asks for one
//!    │                    │                  └ the side, a or b: it meets only who is on the other, or
//!    │                    │                    on none; may be left out
//!    │                    └ the key: 32 lower-case hex digits, always at byte 10
//!    └ the version
//! ```
//!
//! The key is the first half of the SHA-256 of a name ([`MeetingKey::of`]), so that it is of one
//! length and in one place, for a balancer in front of several relays to choose by. A line has at most
//! 560 bytes and may end in a carriage return and a line feed. A word is followed by one space. What
//! comes behind the line is for the partner; it is delivered after the join.
//!
//! The answer is `ok\n` as soon as the partner is there, which may take hours, or a line that says why
//! not, after which the relay closes the connection:
//!
//! | answer | |
//! |---|---|
//! | `bad request` | the line is none, or too long |
//! | `token needed` | the relay asks for a token, and there is none |
//! | `bad token` | it is not signed with a secret that is known to the relay |
//! | `token expired` | |
//! | `token for another key`, `token for the other side` | |
//! | `other side` | it came to where those of the other side come |
//! | `unknown key` | the relay does not know the key |
//! | `full` | too many wait |
//! | `duplicate` | too many with this key wait, or two are joined already |
//! | `expired` | no partner came in time |
//! | `replaced`, `evicted` | a newer one took its place, with the same key or another |
//! | `impatient` | it spoke before it was joined, where the relay wants silence |
//! | `redundant` | another with this key was joined |
//! | `partner left` | the partner had gone when the two were to be joined |
//!
//! Others may be added: a client takes any line but `ok` for a refusal. Who sends no line in time is
//! closed without an answer. Those who wait when the relay stops are reset, and so is who had heard
//! `ok` when the partner turned out to have gone.
//!
//! A key that others can guess lets them in: it is a name, unless it is long and random. Signed
//! tokens say who may use which key, on which side, and until when; it is asked for when a
//! connection comes, so one that waits or is joined lives on when its token expires. Secrets and
//! tokens can be renewed while all goes on: [`Replaceable`](crate::Replaceable). All of it travels in
//! the clear: put TLS before it where others can listen.
//!
//! The relay is [`ExpectMeeting`], [`by_key`] and [`announce`] together:
//!
//! ```
//! use couplet_endpoint::Info;
//! use couplet_layers::{HandshakeLayer, handshake::meet};
//!
//! let side = HandshakeLayer::new(meet::ExpectMeeting::new()); // a layer of the side stack
//! let keyed = meet::by_key(); // what connections are joined by: `Connector::rendezvous`
//! let pair = HandshakeLayer::new(meet::announce()); // a layer of the pair stack
//! ```
//!
//! The client is [`Meet`], a [handshake](crate::handshake) of a dialled side. It is done when the
//! partner is there: give its [`HandshakeLayer`](crate::HandshakeLayer) no deadline unless there is a
//! time after which none is wanted any more, and the sockets a keep-alive, which finds a relay that has
//! gone without a word.
//!
//! ```
//! use couplet_endpoint::Side;
//! use couplet_layers::{HandshakeLayer, handshake::meet::{Meet, MeetingKey}};
//!
//! let meet = Meet::new(MeetingKey::of("a name of many words")).side(Side::A);
//! let layer = HandshakeLayer::new(meet).timeout(None).bound(usize::MAX);
//! ```
//!
//! **Where:** on a side stack, below TLS and what limits connections. **Splice:** costs none, once
//! what was read ahead is delivered. **Memory:** the line while it is read; then the key and the side,
//! and what the token says.

mod answer;
mod expect;
mod key;
mod request;
mod send;

pub use self::{
    answer::{announce, answer, by_key},
    expect::{ExpectMeeting, Meeting, MeetingRefused},
    key::MeetingKey,
    send::{Meet, NotMet},
};

#[cfg(test)]
mod tests;
