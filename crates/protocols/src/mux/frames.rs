//! Finds the data among the frames of yamux.

/// version, kind, flags (2 bytes), stream (4), length (4)
const HEADER: usize = 12;

const DATA: u8 = 0;

const SYN: u8 = 1;

/// Follows what is read of a carrier, which may be cut anywhere.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; HEADER],
    /// How much of it has come.
    there: usize,
    /// What is still to come of the data behind it.
    left: usize,
}

/// A frame with data, of which the header has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Data {
    pub(super) stream: u32,
    pub(super) opens: bool,
    pub(super) len: usize,
}

// ===== impl Frames =====

impl Frames {
    pub(super) fn follow(&mut self, mut bytes: &[u8], mut data: impl FnMut(Data)) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let n = self.left.min(bytes.len());
                self.left -= n;
                bytes = &bytes[n..];
                continue;
            }
            let n = (HEADER - self.there).min(bytes.len());
            self.header[self.there..][..n].copy_from_slice(&bytes[..n]);
            self.there += n;
            bytes = &bytes[n..];
            if self.there == HEADER {
                self.there = 0;
                let [_, kind, _, flags, stream @ .., l1, l2, l3, l4] = self.header;
                if kind == DATA {
                    self.left = u32::from_be_bytes([l1, l2, l3, l4]) as usize;
                    data(Data {
                        stream: u32::from_be_bytes(stream),
                        opens: flags & SYN != 0,
                        len: self.left,
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_found_however_the_frames_are_cut() {
        let header =
            |kind, flags, stream: u8, len: u8| [0, kind, 0, flags, 0, 0, 0, stream, 0, 0, 0, len];
        let bytes = [
            &header(0, SYN, 1, 3)[..],
            &[0; 3],
            // An update of a window has a number there, and no data.
            &header(1, 0, 1, 9),
            &header(0, 2, 7, 0),
            &header(0, 0, 7, 20),
            &[0; 20],
        ]
        .concat();
        let whole = [(1, true, 3), (7, false, 0), (7, false, 20)];
        let whole = whole.map(|(stream, opens, len)| Data { stream, opens, len });
        for size in 1..=bytes.len() {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(size) {
                frames.follow(piece, |data| found.push(data));
            }
            assert_eq!(found, whole, "in pieces of {size}");
        }
    }
}
