//! The blocks of a pcapng file, little-endian: draft-ietf-opsawg-pcapng.

use std::time::{Duration, SystemTime};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const LINKTYPE_ETHERNET: u16 = 1;

const COMMENT: u16 = 1;
const USER_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const TIME_RESOLUTION: u16 = 9;

/// The beginning of a file: a section with one interface, whose times are nanoseconds.
pub(super) fn header() -> Vec<u8> {
    let mut out = Vec::new();
    block(&mut out, SECTION_HEADER, |out| {
        out.extend(BYTE_ORDER_MAGIC.to_le_bytes());
        out.extend(1_u16.to_le_bytes()); // version 1.0
        out.extend(0_u16.to_le_bytes());
        out.extend(u64::MAX.to_le_bytes()); // of a length that is not told
        option(
            out,
            USER_APPLICATION,
            concat!("couplet ", env!("CARGO_PKG_VERSION")).as_bytes(),
        );
        end_of_options(out);
    });
    block(&mut out, INTERFACE_DESCRIPTION, |out| {
        out.extend(LINKTYPE_ETHERNET.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        out.extend(0_u32.to_le_bytes()); // no packet is cut
        option(out, INTERFACE_NAME, b"couplet");
        option(out, TIME_RESOLUTION, &[9]);
        end_of_options(out);
    });
    out
}

/// Appends a packet.
pub(super) fn packet(out: &mut Vec<u8>, time: SystemTime, frame: &[u8], comment: Option<&str>) {
    // A time before 1970 can't be written and becomes 1970: a capture breaks no relay.
    let time = time.duration_since(SystemTime::UNIX_EPOCH);
    let nanos = time.as_ref().map_or(0, Duration::as_nanos) as u64;
    let length = u32::try_from(frame.len()).expect("a frame is smaller than 64 KiB");
    block(out, ENHANCED_PACKET, |out| {
        out.extend(0_u32.to_le_bytes()); // the interface
        out.extend(((nanos >> 32) as u32).to_le_bytes());
        out.extend((nanos as u32).to_le_bytes());
        out.extend(length.to_le_bytes()); // as captured
        out.extend(length.to_le_bytes()); // as it was
        padded(out, frame);
        if let Some(comment) = comment {
            option(out, COMMENT, comment.as_bytes());
            end_of_options(out);
        }
    });
}

/// A block has its length at both ends.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let length = u32::try_from(out.len() + 4 - start).expect("a block holds one packet");
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    out.extend(length.to_le_bytes());
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    padded(out, value);
}

fn end_of_options(out: &mut Vec<u8>) {
    out.extend([0; 4]);
}

/// Everything is a multiple of four bytes.
fn padded(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    out.resize(out.len() + (4 - bytes.len() % 4) % 4, 0);
}
