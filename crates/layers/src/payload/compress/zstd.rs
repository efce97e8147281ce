use bytes::{Buf, BytesMut};
use couplet_endpoint::BoxError;
use zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, get_error_name,
    zstd_sys::{ZSTD_EndDirective as Directive, ZSTD_ErrorCode as ErrorCode},
};

use super::{CompressError, ENOUGH, MAX_WINDOW};
use crate::{payload::codec::CodecLayer, payload::transform::Transform};

/// The room for output at a time.
const STEP: usize = 16 * 1024;

/// Settings of zstd (RFC 8878). See the [module](super).
#[derive(Clone, Copy, Debug)]
pub struct Zstd {
    level: i32,
    window_log: u32,
    max_window_log: u32,
}

/// Compresses a stream: made by [`Zstd`].
pub struct ZstdCompress {
    settings: Zstd,
    /// Made at the first byte.
    context: Option<CCtx<'static>>,
}

/// Decompresses a stream: made by [`Zstd`].
pub struct ZstdDecompress {
    settings: Zstd,
    context: Option<DCtx<'static>>,
    /// The context has more output than there was room for.
    more: bool,
    /// A frame has ended, and no other has begun.
    ended: bool,
}

// ===== impl Zstd =====

impl Zstd {
    /// Settings that write with level 1 and a window of 64 KiB, and read windows of up to 8 MiB.
    pub const fn new() -> Self {
        Self {
            level: 1,
            window_log: 16,
            max_window_log: MAX_WINDOW.ilog2(),
        }
    }

    /// The level for writing, from 1, the fastest, to 22, the smallest. Other values are clamped.
    #[must_use]
    pub const fn level(mut self, level: i32) -> Self {
        self.level = match level {
            ..1 => 1,
            1..=22 => level,
            23.. => 22,
        };
        self
    }

    /// The window for writing: its size is two to the power of this number, from 10 to 27. Repetitions
    /// from farther back are not found; memory grows with the window. The peer must accept the window.
    #[must_use]
    pub const fn window_log(mut self, window_log: u32) -> Self {
        self.window_log = match window_log {
            ..10 => 10,
            10..=27 => window_log,
            28.. => 27,
        };
        self
    }

    /// The largest window for reading, in bytes: 8 MiB by default; at least 1 KiB, at most 1 GiB, and
    /// rounded down to a power of two. A connection whose peer declares a larger window fails, because
    /// the window would have to be held in memory.
    #[must_use]
    pub const fn max_window(mut self, bytes: usize) -> Self {
        self.max_window_log = match bytes {
            ..1024 => 10,
            1024..0x4000_0000 => bytes.ilog2(),
            _ => 30,
        };
        self
    }

    /// A layer for a side: bytes read are decompressed, bytes written are compressed.
    pub fn layer(self) -> CodecLayer {
        CodecLayer::transforms(move || self.decompress(), move || self.compress())
    }

    /// A transform that compresses.
    pub const fn compress(self) -> ZstdCompress {
        ZstdCompress {
            settings: self,
            context: None,
        }
    }

    /// A transform that decompresses.
    pub const fn decompress(self) -> ZstdDecompress {
        ZstdDecompress {
            settings: self,
            context: None,
            more: false,
            ended: false,
        }
    }

    fn compressor(self) -> Result<CCtx<'static>, CompressError> {
        let mut context = CCtx::try_create().ok_or(CompressError::Memory("zstd"))?;
        let mut set = |parameter| context.set_parameter(parameter).map_err(broken);
        set(CParameter::CompressionLevel(self.level))?;
        set(CParameter::WindowLog(self.window_log))?;
        set(CParameter::ChecksumFlag(true))?;
        // The tables of higher levels are made for windows of megabytes.
        if self.level > 2 && self.window_log < 18 {
            set(CParameter::HashLog(self.window_log))?;
            set(CParameter::ChainLog(self.window_log))?;
        }
        Ok(context)
    }

    /// Why a stream is not decompressed.
    fn refused(self, code: usize) -> CompressError {
        let is = |error: ErrorCode| code.wrapping_neg() == error as usize;
        if is(ErrorCode::ZSTD_error_frameParameter_windowTooLarge) {
            CompressError::window(1 << self.max_window_log)
        } else if is(ErrorCode::ZSTD_error_prefix_unknown) {
            CompressError::Header("a zstd frame")
        } else {
            broken(code)
        }
    }

    fn decompressor(self) -> Result<DCtx<'static>, CompressError> {
        let mut context = DCtx::try_create().ok_or(CompressError::Memory("zstd"))?;
        let window = DParameter::WindowLogMax(self.max_window_log);
        context.set_parameter(window).map_err(broken)?;
        Ok(context)
    }
}

impl Default for Zstd {
    fn default() -> Self {
        Self::new()
    }
}

fn broken(code: usize) -> CompressError {
    CompressError::Broken(get_error_name(code))
}

/// Gives the call room behind the output; returns its result, and whether the room was filled.
fn with_room<T>(
    output: &mut BytesMut,
    call: impl FnOnce(&mut OutBuffer<'_, [u8]>) -> T,
) -> (T, bool) {
    let before = output.len();
    output.resize(before + STEP, 0);
    let mut room = OutBuffer::around(&mut output[before..]);
    let result = call(&mut room);
    let made = room.pos();
    output.truncate(before + made);
    (result, made == STEP)
}

// ===== impl ZstdCompress =====

impl ZstdCompress {
    /// Compresses the input, then flushes or ends as directed.
    fn run(
        &mut self,
        input: &[u8],
        output: &mut BytesMut,
        directive: Directive,
    ) -> Result<(), CompressError> {
        let context = match &mut self.context {
            Some(context) => context,
            context => context.insert(self.settings.compressor()?),
        };
        let mut input = InBuffer::around(input);
        loop {
            let (left, full) = with_room(output, |room| {
                context.compress_stream2(room, &mut input, directive)
            });
            let left = left.map_err(broken)?;
            let taken = input.pos() == input.src.len();
            let done = match directive {
                Directive::ZSTD_e_continue => taken && !full,
                _ => left == 0,
            };
            if done {
                return Ok(());
            }
        }
    }
}

impl Transform for ZstdCompress {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        let input = input.split();
        if !input.is_empty() {
            self.run(&input, output, Directive::ZSTD_e_continue)?;
        }
        Ok(())
    }

    fn flush(&mut self, output: &mut BytesMut) -> Result<(), BoxError> {
        Ok(self.run(&[], output, Directive::ZSTD_e_flush)?)
    }

    fn finish(&mut self, _: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        self.run(&[], output, Directive::ZSTD_e_end)?;
        self.context = None;
        Ok(())
    }
}

impl std::fmt::Debug for ZstdCompress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ZstdCompress").field(&self.settings).finish()
    }
}

// ===== impl ZstdDecompress =====

impl Transform for ZstdDecompress {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        while (self.more || !input.is_empty()) && output.len() < ENOUGH {
            let context = match &mut self.context {
                Some(context) => context,
                context => context.insert(self.settings.decompressor()?),
            };
            let mut compressed = InBuffer::around(input);
            let (left, full) = with_room(output, |room| {
                context.decompress_stream(room, &mut compressed)
            });
            let taken = compressed.pos();
            input.advance(taken);
            self.ended = left.map_err(|code| self.settings.refused(code))? == 0;
            self.more = full && !self.ended;
            if self.ended {
                self.context = None;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut BytesMut, _: &mut BytesMut) -> Result<(), BoxError> {
        match self.ended {
            true => Ok(()),
            false => Err(CompressError::Cut.into()),
        }
    }
}

impl std::fmt::Debug for ZstdDecompress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ZstdDecompress")
            .field(&self.settings)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that compress by half, so that every table is used.
    fn text(len: usize) -> BytesMut {
        let mut random = 1_u32;
        let letters = std::iter::repeat_with(|| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'a' + (random >> 28) as u8
        });
        letters.take(len).collect()
    }

    #[test]
    fn memory_is_what_the_documentation_says() {
        const KIB: usize = 1024;
        for (level, compresses) in [(1, 521), (3, 969), (9, 777), (19, 1429)] {
            let zstd = Zstd::new().level(level);
            let (mut compress, mut decompress) = (zstd.compress(), zstd.decompress());
            let mut wire = BytesMut::new();
            compress
                .transform(&mut text(1024 * KIB), &mut wire)
                .unwrap();
            let context = compress.context.as_ref().unwrap();
            let held = context.sizeof() / KIB;
            assert!(held <= compresses, "level {level}: {held} KiB");
            let mut plain = BytesMut::new();
            decompress.transform(&mut wire, &mut plain).unwrap();
            let held = decompress.context.as_ref().unwrap().sizeof() / KIB;
            assert!(held <= 349, "decompresses: {held} KiB");
        }
    }

    #[test]
    fn settings_have_their_bounds() {
        let zstd = Zstd::new().level(-7).window_log(0);
        assert_eq!((zstd.level, zstd.window_log), (1, 10));
        let zstd = Zstd::new().level(99).window_log(31).max_window(usize::MAX);
        assert_eq!(
            (zstd.level, zstd.window_log, zstd.max_window_log),
            (22, 27, 30)
        );
        assert_eq!(Zstd::new().max_window(0).max_window_log, 10);
        assert_eq!(Zstd::new().max_window(8 << 20).max_window_log, 23);
        zstd.compressor().map(drop).unwrap();
        zstd.decompressor().map(drop).unwrap();
    }
}
