use std::{io, time::SystemTime};

use couplet_endpoint::Side;
use couplet_pairing::{CloseReason, Session};

use super::{
    Capture, CaptureLayer,
    frame::{ACK, Addresses, FIN, PSH, RST, SYN, Segment, opener},
    message::Message,
    pcapng,
};

/// One pair as a TCP connection between its two peers.
pub(super) struct Conversation {
    layer: CaptureLayer,
    session: Session,
    addresses: Addresses,
    flows: [Flow; 2],
    /// A reset was captured, or both ends: no packet may follow.
    closed: bool,
}

/// The bytes from one side.
#[derive(Debug)]
struct Flow {
    next: u32,
    /// The number of bytes so far.
    total: u64,
    ended: bool,
}

/// Packets on their way to the queue.
struct Packets {
    blocks: Vec<u8>,
    time: SystemTime,
}

// ===== impl Conversation =====

impl Conversation {
    /// Begins with the three segments that open a connection.
    pub(super) fn open(layer: CaptureLayer, session: Session) -> Self {
        let mut conversation = Self {
            addresses: Addresses::of(&session),
            flows: [Flow::new(&session, 0), Flow::new(&session, 1)],
            layer,
            session,
            closed: false,
        };
        let client = opener(&conversation.session);
        let ends = [Side::A, Side::B].map(|side| conversation.addresses.end(side));
        let mut comment = format!(
            "session {}: A {}, B {}",
            conversation.session.id(),
            ends[0],
            ends[1]
        );
        if let Some(real) = conversation.addresses.shared() {
            comment.push_str(&format!(" (both have {real})"));
        }
        let mut packets = conversation.packets();
        conversation.add(&mut packets, client, SYN, &[], Some(&comment));
        conversation.add(&mut packets, !client, SYN | ACK, &[], None);
        conversation.add(&mut packets, client, ACK, &[], None);
        conversation.push(packets);
        conversation
    }

    /// Whether nothing more from this side is captured.
    pub(super) fn is_over(&self, from: Side) -> bool {
        !self.layer.capture.is_active() || self.is_beyond(from)
    }

    /// Whether this side has reached its limit.
    fn is_beyond(&self, from: Side) -> bool {
        self.flow(from).total >= self.layer.limit
    }

    /// The bytes of one read.
    pub(super) fn data(&mut self, from: Side, bytes: &[u8]) {
        if self.closed || self.flow(from).ended || self.is_over(from) {
            return;
        }
        let left = self.layer.limit - self.flow(from).total;
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(left)];
        self.flow_mut(from).total += bytes.len() as u64;
        let redacted = self.layer.redact.apply(from, bytes);
        let mut packets = self.packets();
        let mss = self.addresses.mss();
        let last = redacted.len().div_ceil(mss).saturating_sub(1);
        for (number, payload) in redacted.chunks(mss).enumerate() {
            let flags = if number == last { ACK | PSH } else { ACK };
            self.add(&mut packets, from, flags, payload, None);
        }
        let comment = self
            .is_beyond(from)
            .then_some("limit reached: neither what follows nor the end is captured");
        // A second acknowledgement of the same bytes would look like a loss.
        if !redacted.is_empty() {
            self.add(&mut packets, !from, ACK, &[], comment);
        }
        self.push(packets);
    }

    /// This side's stream has ended.
    pub(super) fn ended(&mut self, from: Side) {
        let mut packets = self.packets();
        self.finish(&mut packets, from);
        self.push(packets);
    }

    /// This side's connection has failed.
    pub(super) fn failed(&mut self, from: Side, error: &io::Error) {
        // An error's text may come from the peer.
        let error = error.to_string();
        let mut packets = self.packets();
        self.reset(&mut packets, from, &error.escape_debug().to_string());
        self.push(packets);
    }

    fn finish(&mut self, packets: &mut Packets, from: Side) {
        if self.closed || self.flow(from).ended {
            return;
        }
        self.flow_mut(from).ended = true;
        self.add(packets, from, FIN | ACK, &[], None);
        self.add(packets, !from, ACK, &[], None);
        self.closed = self.flow(!from).ended;
    }

    fn reset(&mut self, packets: &mut Packets, from: Side, why: &str) {
        if !self.closed {
            self.add(packets, from, RST | ACK, &[], Some(why));
            self.closed = true;
        }
    }

    /// Adds a segment, and advances the sequence number.
    fn add(
        &mut self,
        packets: &mut Packets,
        from: Side,
        flags: u8,
        payload: &[u8],
        comment: Option<&str>,
    ) {
        let acknowledged = match flags & ACK {
            0 => 0,
            _ => self.flow(!from).next,
        };
        let frame = self.addresses.frame(Segment {
            from,
            seq: self.flow(from).next,
            ack: acknowledged,
            flags,
            payload,
        });
        pcapng::packet(&mut packets.blocks, packets.time, &frame, comment);
        let taken = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        let flow = self.flow_mut(from);
        flow.next = flow.next.wrapping_add(taken);
    }

    fn packets(&self) -> Packets {
        Packets {
            blocks: Vec::new(),
            time: (self.layer.clock)(),
        }
    }

    fn push(&self, packets: Packets) {
        if !packets.blocks.is_empty() {
            let session = self.session.id();
            self.capture().push(Message::Packets {
                session,
                begun: packets.time,
                blocks: packets.blocks,
            });
        }
    }

    fn capture(&self) -> &Capture {
        &self.layer.capture
    }

    fn flow(&self, side: Side) -> &Flow {
        &self.flows[side as usize]
    }

    fn flow_mut(&mut self, side: Side) -> &mut Flow {
        &mut self.flows[side as usize]
    }
}

impl Drop for Conversation {
    /// The end of a direction beyond its limit was not seen, so neither an end nor a reset is made up:
    /// the packets stop. A pair that did not end by itself gets a reset.
    fn drop(&mut self) {
        let reason = self.session.end_reason();
        let mut packets = self.packets();
        if !reason.is_some_and(CloseReason::is_clean) {
            let is_open = |side: &Side| !self.flow(*side).ended && !self.is_beyond(*side);
            let from = [Side::A, Side::B].into_iter().find(is_open);
            let why = reason.map_or_else(|| "dropped".to_owned(), |reason| reason.to_string());
            self.reset(&mut packets, from.unwrap_or(Side::A), &why);
        }
        self.push(packets);
        self.capture().push(Message::End(self.session.id()));
    }
}

// ===== impl Flow =====

impl Flow {
    fn new(session: &Session, side: u32) -> Self {
        // Each conversation begins with other sequence numbers, so that tools tell two conversations
        // with the same addresses apart.
        let number = (session.id().get() as u32)
            .wrapping_mul(2)
            .wrapping_add(side);
        Self {
            next: number.wrapping_mul(0x9e37_79b9),
            total: 0,
            ended: false,
        }
    }
}
