//! The masks of a client's frames (RFC 6455, section 5.3). tungstenite keeps its own to itself.

use std::io;

/// XORed with what a frame carries, over and over.
pub(super) type Mask = [u8; 4];

/// This many bytes are masked at a time: the compiler makes vector instructions of it.
const STRIDE: usize = 32;

/// Unpredictable masks, some at a time.
#[derive(Debug)]
pub(super) struct Masks {
    random: [u8; 64],
    left: usize,
}

// ===== impl Masks =====

impl Masks {
    pub(super) const fn new() -> Self {
        Self {
            random: [0; 64],
            left: 0,
        }
    }

    pub(super) fn next(&mut self) -> io::Result<Mask> {
        if self.left == 0 {
            getrandom::fill(&mut self.random).map_err(io::Error::other)?;
            self.left = self.random.len();
        }
        self.left -= size_of::<Mask>();
        let mask = self.random[self.left..].first_chunk();
        Ok(*mask.expect("the number of random bytes is a multiple of a mask's"))
    }
}

/// Masks, or unmasks.
pub(super) fn apply(mask: Mask, bytes: &mut [u8]) {
    let mut wide = [0; STRIDE];
    for (byte, mask) in wide.iter_mut().zip(mask.iter().cycle()) {
        *byte = *mask;
    }
    let mut chunks = bytes.chunks_exact_mut(STRIDE);
    for chunk in &mut chunks {
        for (byte, mask) in chunk.iter_mut().zip(&wide) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(&wide) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_meets_its_byte_of_the_mask() {
        let mask = [1, 2, 4, 8];
        for len in 0..200 {
            let mut bytes: Vec<_> = (0..len).collect();
            apply(mask, &mut bytes);
            let expected = (0..len).map(|n| n ^ mask[usize::from(n) % 4]);
            assert!(bytes.iter().copied().eq(expected), "{len}");
        }
    }

    #[test]
    fn masks_differ() {
        let mut masks = Masks::new();
        let all: std::collections::HashSet<_> = (0..64).map(|_| masks.next().unwrap()).collect();
        assert!(all.len() > 60);
    }
}
