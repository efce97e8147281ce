//! The scripts, and what goes into them.

use std::{fmt::Write as _, time::Duration};

use couplet_connector::endpoint::Side;
use redis::{Script, ScriptInvocation};

use crate::engine::{Key, NodeAddr, Offer, Peer, Request, Ticket};

/// How a script is run: without memory it does not begin, rather than stopping in its middle. Since Redis 7.
const FLAGS: &str = "#!lua\n";

/// Finds a partner, or enters the offer.
///
/// KEYS: the answer of this ticket, the asker's queue, the queues that it meets.
/// ARGV: the offer, its lease in ms, the most offers of a queue, how long the answer is kept in ms.
///
/// The key of a queue lives as long as its freshest lease; an expired offer is never given out.
const MEET: &str = r"
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local answered = redis.call('GET', KEYS[1])
if answered then return answered end
local was_there = redis.call('ZREM', KEYS[2], ARGV[1])
for i = 3, #KEYS do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  local found = redis.call('ZPOPMAX', KEYS[i])
  if found[1] then
    redis.call('SET', KEYS[1], found[1], 'PX', ARGV[4])
    return found[1]
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if was_there == 0 and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then
  return redis.error_reply('FULL too many offers of this key and side')
end
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
redis.call('PEXPIREAT', KEYS[2], redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2])
return false
";

/// Enters an offer again. KEYS: its queue. ARGV: the offer, its lease in ms.
const PUT_BACK: &str = r"
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
  redis.call('PEXPIREAT', KEYS[1], redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2])
end
return false
";

/// Takes an offer out. KEYS: its queue. ARGV: the offer.
const LEAVE: &str = r"
redis.call('ZREM', KEYS[1], ARGV[1])
return false
";

/// As [`MEET`], where offers are found in the order in which their connections came.
///
/// KEYS: the answer of this ticket; the asker's line, by arrival, and the ends of the leases in it; those of the
/// other side.
/// ARGV: as [`MEET`], and how long the asker has waited in ms.
const MEET_IN_LINE: &str = r"
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local answered = redis.call('GET', KEYS[1])
if answered then return answered end
local was_there = redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
while true do
  local found = redis.call('ZPOPMIN', KEYS[4])[1]
  if not found then break end
  local ends = redis.call('ZSCORE', KEYS[5], found)
  redis.call('ZREM', KEYS[5], found)
  if ends and tonumber(ends) > now then
    redis.call('SET', KEYS[1], found, 'PX', ARGV[4])
    return found
  end
end
for _, over in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[2], over)
  redis.call('ZREM', KEYS[3], over)
end
if was_there == 0 and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then
  return redis.error_reply('FULL too many offers of this line')
end
redis.call('ZADD', KEYS[2], now - ARGV[5], ARGV[1])
redis.call('ZADD', KEYS[3], now + ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')[2]
redis.call('PEXPIREAT', KEYS[2], last)
redis.call('PEXPIREAT', KEYS[3], last)
return false
";

/// Enters an offer again, as the last of its line until it is renewed. KEYS: its line and the ends of the leases.
/// ARGV: the offer, its lease in ms.
const PUT_BACK_IN_LINE: &str = r"
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
  local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]
  redis.call('PEXPIREAT', KEYS[1], last)
  redis.call('PEXPIREAT', KEYS[2], last)
end
return false
";

/// Takes an offer out. KEYS: its line and the ends of the leases. ARGV: the offer.
const LEAVE_IN_LINE: &str = r"
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return false
";

/// How long an answer is kept, in ms: longer than an asker repeats its question.
const ANSWER_KEPT: u32 = 10_000;

#[derive(Debug)]
pub(super) struct Scripts {
    any: Three,
    in_line: Three,
}

/// Of each kind of request.
#[derive(Debug)]
struct Three {
    meet: Script,
    put_back: Script,
    leave: Script,
}

// ===== impl Scripts =====

impl Scripts {
    pub(super) fn new(with_flags: bool) -> Self {
        Self {
            any: Three::new(with_flags, [MEET, PUT_BACK, LEAVE]),
            in_line: Three::new(with_flags, [MEET_IN_LINE, PUT_BACK_IN_LINE, LEAVE_IN_LINE]),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Script> {
        let kinds = [&self.any, &self.in_line].into_iter();
        kinds.flat_map(|of| [&of.meet, &of.put_back, &of.leave])
    }

    pub(super) fn invocation(&self, request: &Request, most: usize) -> ScriptInvocation<'_> {
        match request.offer().waited {
            None => self.any.by_key(request, most),
            Some(waited) => self.in_line.in_line(request, most, waited),
        }
    }
}

// ===== impl Three =====

impl Three {
    fn new(with_flags: bool, [meet, put_back, leave]: [&str; 3]) -> Self {
        let script = |code: &str| match with_flags {
            true => Script::new(&format!("{FLAGS}{code}")),
            false => Script::new(code),
        };
        Self {
            meet: script(meet),
            put_back: script(put_back),
            // Makes room, so it needs none.
            leave: match with_flags {
                true => Script::new(&format!("#!lua flags=allow-oom\n{leave}")),
                false => Script::new(leave),
            },
        }
    }

    fn by_key(&self, request: &Request, per_key: usize) -> ScriptInvocation<'_> {
        let mut call;
        match request {
            Request::Meet(offer) => {
                call = self.meet.key(answer_key(&offer.key, &offer.ticket));
                call.key(queue(&offer.key, offer.side));
                for side in met_by(offer.side) {
                    call.key(queue(&offer.key, *side));
                }
                call.arg(member(offer.side, &offer.ticket, &offer.home));
                call.arg(millis(offer)).arg(per_key).arg(ANSWER_KEPT);
            }
            Request::Leave(offer) => {
                call = self.leave.key(queue(&offer.key, offer.side));
                call.arg(member(offer.side, &offer.ticket, &offer.home));
            }
            Request::PutBack(asker, peer) => {
                call = self.put_back.key(queue(&asker.key, peer.side));
                call.arg(member(peer.side, &peer.ticket, &peer.home));
                // Behind the offers that are fresh: its node may be dead.
                call.arg(millis(asker) / 3);
            }
        }
        call
    }

    fn in_line(&self, request: &Request, most: usize, waited: Duration) -> ScriptInvocation<'_> {
        let mut call;
        match request {
            Request::Meet(offer) => {
                call = self.meet.key(answer_key(&offer.key, &offer.ticket));
                let sides = [offer.side, offer.side.map(|side| !side)];
                for name in sides.into_iter().flat_map(|side| line(&offer.key, side)) {
                    call.key(name);
                }
                call.arg(member(offer.side, &offer.ticket, &offer.home));
                call.arg(millis(offer)).arg(most).arg(ANSWER_KEPT);
                call.arg(waited.as_millis().min(1 << 40) as u64);
            }
            Request::Leave(offer) => {
                let [names, ends] = line(&offer.key, offer.side);
                call = self.leave.key(names);
                call.key(ends);
                call.arg(member(offer.side, &offer.ticket, &offer.home));
            }
            Request::PutBack(asker, peer) => {
                let [names, ends] = line(&asker.key, peer.side);
                call = self.put_back.key(names);
                call.key(ends);
                call.arg(member(peer.side, &peer.ticket, &peer.home));
                call.arg(millis(asker) / 3);
            }
        }
        call
    }
}

/// The offer in the answer of [`MEET`].
pub(super) fn peer(member: &[u8]) -> Option<Peer> {
    let (side, rest) = member.split_first()?;
    let (ticket, home) = rest.split_first_chunk()?;
    let side = match side {
        b'a' => Some(Side::A),
        b'b' => Some(Side::B),
        b'n' => None,
        _ => return None,
    };
    let home = std::str::from_utf8(home).ok()?;
    Some(Peer {
        side,
        ticket: Ticket(*ticket),
        home: NodeAddr::try_from(home).ok()?,
    })
}

fn member(side: Option<Side>, ticket: &Ticket, home: &NodeAddr) -> Vec<u8> {
    [&[letter(side)], &ticket.0[..], home.as_str().as_bytes()].concat()
}

/// The queues in which an offer of this side finds a partner.
fn met_by(side: Option<Side>) -> &'static [Option<Side>] {
    match side {
        Some(Side::A) => &[Some(Side::B), None],
        Some(Side::B) => &[Some(Side::A), None],
        None => &[Some(Side::A), Some(Side::B), None],
    }
}

fn queue(key: &Key, side: Option<Side>) -> String {
    format!("couplet:{{{key:x}}}:{}", char::from(letter(side)))
}

/// The offers by arrival, and the ends of their leases.
fn line(key: &Key, side: Option<Side>) -> [String; 2] {
    let names = queue(key, side);
    let ends = format!("{names}:ends");
    [names, ends]
}

fn answer_key(key: &Key, ticket: &Ticket) -> String {
    let mut name = format!("couplet:{{{key:x}}}:");
    for byte in ticket.0 {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

fn letter(side: Option<Side>) -> u8 {
    match side {
        Some(Side::A) => b'a',
        Some(Side::B) => b'b',
        None => b'n',
    }
}

fn millis(offer: &Offer) -> u64 {
    u64::try_from(offer.lease.as_millis()).unwrap_or(u64::MAX >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_read_as_it_was_written() {
        let home = NodeAddr::try_from("10.0.0.1:4001").unwrap();
        for side in [Some(Side::A), Some(Side::B), None] {
            let ticket = Ticket::random();
            let written = member(side, &ticket, &home);
            let read = peer(&written).unwrap();
            assert_eq!((read.side, read.ticket, &read.home), (side, ticket, &home));
            for end in 0..18 {
                assert_eq!(peer(&written[..end]), None);
            }
        }
        assert_eq!(peer(b"x0123456789abcdefhome:1"), None);
        assert_eq!(peer(b"a0123456789abcdef\xff"), None);
    }

    #[test]
    fn all_keys_of_a_request_have_one_hash_tag() {
        let key = Key([7; 16]);
        let tag = format!("{{{key:x}}}");
        let [names, ends] = line(&key, Some(Side::A));
        let answer = answer_key(&key, &Ticket([9; 16]));
        for name in [queue(&key, None), answer, names, ends] {
            assert_eq!(name.matches(&tag).count(), 1, "{name}");
            assert_eq!(name.matches('{').count(), 1);
        }
    }
}
