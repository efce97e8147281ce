use std::fmt;

/// A check that every layer must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// Each byte arrives once and in order, wherever the bytes are cut on the wire.
    Segmentation,
    /// Each byte of a vectored write arrives once and in order.
    VectoredWrites,
    /// Flushed bytes arrive, though no further bytes are written.
    Flush,
    /// A reader that stops stops its writer; the bytes in between arrive once the reader goes on.
    SlowReader,
    /// The end of one direction arrives behind its last byte, and the other direction goes on.
    HalfClose,
    /// A reset arrives as a reset, and is passed on as one.
    Resets,
    /// A stream that was cut does not look like one that has ended.
    CutStreams,
    /// Bytes that arrive together with the last bytes of a handshake are not lost.
    BytesBehindHandshake,
    /// A call that is dropped, at whatever point, releases the connection and its capacity.
    Cancellation,
    /// A silent peer does not hold a call for ever.
    Deadline,
    /// Readiness is reserved, taken by one call, released on drop and never cloned.
    Readiness,
}

/// The checks that a layer has failed; there is at least one.
#[derive(Clone, thiserror::Error)]
pub struct Report(Vec<Failure>);

/// A check that a layer failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The check.
    pub check: Check,
    /// The reason.
    pub why: String,
}

// ===== impl Check =====

impl Check {
    pub(super) const ALL: [Self; 11] = [
        Self::Segmentation,
        Self::VectoredWrites,
        Self::Flush,
        Self::SlowReader,
        Self::HalfClose,
        Self::Resets,
        Self::CutStreams,
        Self::BytesBehindHandshake,
        Self::Cancellation,
        Self::Deadline,
        Self::Readiness,
    ];
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Segmentation => "segmentation",
            Self::VectoredWrites => "vectored writes",
            Self::Flush => "flush",
            Self::SlowReader => "slow reader",
            Self::HalfClose => "half-close",
            Self::Resets => "resets",
            Self::CutStreams => "cut streams",
            Self::BytesBehindHandshake => "bytes behind a handshake",
            Self::Cancellation => "cancellation",
            Self::Deadline => "deadline",
            Self::Readiness => "readiness",
        })
    }
}

// ===== impl Report =====

impl Report {
    pub(super) fn of(failures: Vec<Failure>) -> Result<(), Self> {
        match failures.is_empty() {
            true => Ok(()),
            false => Err(Self(failures)),
        }
    }

    /// The failures, in the order of the checks.
    pub fn failures(&self) -> &[Failure] {
        &self.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the layer does not conform")?;
        for Failure { check, why } in &self.0 {
            write!(f, "\n  {check}: {why}")?;
        }
        Ok(())
    }
}

/// As it is displayed, so that a test that unwraps it can be read.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
