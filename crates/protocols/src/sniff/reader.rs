//! Reads numbers and length-prefixed parts of a TLS message.

/// The part of a message that has not been read.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

// ===== impl Reader =====

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn end(&self) -> Option<()> {
        self.is_empty().then_some(())
    }

    pub(super) fn bytes(&mut self, len: usize) -> Option<Self> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(Self(bytes))
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    pub(super) fn u8_prefixed(&mut self) -> Option<Self> {
        let len = self.u8()?;
        self.bytes(len.into())
    }

    pub(super) fn u16_prefixed(&mut self) -> Option<Self> {
        let len = self.u16()?;
        self.bytes(len.into())
    }
}
