//! The bytes that a direction holds between its source and its sink, and whether they are copied or
//! spliced.

use std::{
    io,
    task::{Context, Poll, ready},
};

use couplet_endpoint::Io;

use crate::buffer::{Buffer, Stuck};
#[cfg(target_os = "linux")]
use crate::pipe::{Fill, Pipe};

/// Whether bytes are copied or spliced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Splice {
    /// By splice(2) where both ios agree and much is to be moved, else by copying: the default.
    #[default]
    Auto,
    /// By copying.
    Never,
}

/// Bytes on their way. Empty, it holds no memory and no descriptor.
#[derive(Debug)]
pub(crate) enum Held {
    Nothing,
    Buffer(Buffer),
    Stuck(Stuck),
    #[cfg(target_os = "linux")]
    Pipe(Pipe),
}

/// Chooses between copying and splicing by how much comes at a time: splicing costs less a byte,
/// copying less a call. A direction begins with copying, and is **promoted to splice** in
/// [`poll_take`](Self::poll_take) after two reads in a row of 32 KiB or more; a splice that brings
/// less than 16 KiB ends that.
#[derive(Debug)]
pub(crate) struct CopyOrSplice {
    splice: Splice,
    /// How many reads in a row have brought much.
    #[cfg(target_os = "linux")]
    much: u8,
}

/// The number of large reads in a row after which splicing begins.
#[cfg(target_os = "linux")]
const IN_A_ROW: u8 = 2;

/// From here on a splice in and one out cost less than copying twice.
#[cfg(target_os = "linux")]
const MUCH: u32 = 32 * 1024;

/// A splice that brings less ends it.
#[cfg(target_os = "linux")]
const LITTLE: u32 = 16 * 1024;

// ===== impl CopyOrSplice =====

impl CopyOrSplice {
    pub(crate) const fn new(splice: Splice) -> Self {
        Self {
            splice,
            #[cfg(target_os = "linux")]
            much: 0,
        }
    }

    /// Takes bytes from the source, this many at most; nothing at its end. While it is pending,
    /// nothing is held.
    /// Where nothing may be spliced, what is taken is [there](Held::bytes) to be seen.
    pub(crate) fn poll_take<R: Io, W: Io>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &W,
        most: u32,
        may_splice: bool,
    ) -> Poll<io::Result<Held>> {
        #[cfg(not(target_os = "linux"))]
        let _ = may_splice;
        #[cfg(target_os = "linux")]
        if self.much >= IN_A_ROW
            && may_splice
            && self.splice == Splice::Auto
            && sink.splice_sink().is_some()
            && let Some(socket) = source.splice_source()
        {
            match ready!(Pipe::poll_fill(cx, socket, most))? {
                Fill::Bytes(pipe) => {
                    if pipe.len() < LITTLE {
                        self.much = 0;
                    }
                    return Poll::Ready(Ok(Held::Pipe(pipe)));
                }
                // At an urgent mark, or at the end: one byte tells. A read that ends short would have
                // tokio wait for the next packet, with more in the queue.
                Fill::Stopped => {
                    let byte = ready!(Buffer::poll_read(cx, source, 1))?;
                    return Poll::Ready(Ok(byte.map_or(Held::Nothing, Held::Buffer)));
                }
                Fill::Refused => self.splice = Splice::Never,
            }
        }
        // Until much has come, no more of a buffer is touched than tells so.
        #[cfg(target_os = "linux")]
        let most = match self.much >= IN_A_ROW {
            true => most,
            false => most.min(MUCH),
        };
        let Some(buffer) = ready!(Buffer::poll_read(cx, source, most))? else {
            return Poll::Ready(Ok(Held::Nothing));
        };
        #[cfg(target_os = "linux")]
        {
            // What is as much as may come now counts as well, unless that is little.
            self.much = match buffer.len() {
                n if n >= MUCH || (n == most && n >= LITTLE) => (self.much + 1).min(IN_A_ROW),
                _ => 0,
            };
        }
        Poll::Ready(Ok(Held::Buffer(buffer)))
    }
}

// ===== impl Held =====

impl Held {
    /// Writes once; returns how many bytes went. It must hold some. Few bytes for which there is no room
    /// leave their buffer.
    pub(crate) fn poll_write<W: Io>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<io::Result<u32>> {
        let (result, drained) = match self {
            Self::Nothing => return Poll::Ready(Ok(0)),
            Self::Buffer(buffer) => match buffer.poll_write(cx, sink) {
                Poll::Ready(result) => (result, buffer.is_drained()),
                Poll::Pending => {
                    if let Some(stuck) = buffer.stuck() {
                        *self = Self::Stuck(stuck);
                    }
                    return Poll::Pending;
                }
            },
            Self::Stuck(stuck) => (ready!(stuck.poll_write(cx, sink)), stuck.len() == 0),
            #[cfg(target_os = "linux")]
            Self::Pipe(pipe) => {
                let most = ready!(sink.poll_splicing(cx, pipe.len()))?;
                let Some(socket) = sink.splice_sink() else {
                    let error = "an io that could be spliced into can't any more";
                    return Poll::Ready(Err(io::Error::other(error)));
                };
                let result = ready!(pipe.poll_drain(cx, socket, most));
                if pipe.is_drained() {
                    ready!(sink.poll_splicing(cx, 0))?;
                }
                (result, pipe.is_drained())
            }
        };
        if drained {
            *self = Self::Nothing;
        }
        Poll::Ready(result)
    }

    /// Do the bytes go by splice?
    pub(crate) const fn is_in_pipe(&self) -> bool {
        #[cfg(target_os = "linux")]
        return matches!(self, Self::Pipe(_));
        #[cfg(not(target_os = "linux"))]
        false
    }

    /// What was just taken; nothing of what is in a pipe.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Buffer(buffer) => buffer.filled(),
            _ => &[],
        }
    }

    pub(crate) fn len(&self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::Buffer(buffer) => buffer.len(),
            Self::Stuck(stuck) => stuck.len(),
            #[cfg(target_os = "linux")]
            Self::Pipe(pipe) => pipe.len(),
        }
    }
}
