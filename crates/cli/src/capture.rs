//! `--capture`, `--capture-dir`: the bytes of pairs as packets, in pcapng files.

use std::{
    io,
    path::{Path, PathBuf},
};

use bytesize::ByteSize;
use couplet_connector::{
    PairLayers,
    layers::{Capture, CaptureLayer},
};

use crate::{
    layer_spec::{LayerSpec, Source},
    mistake::Mistake,
    pair::PairLayerSpec,
    units::size,
};

#[derive(Debug, clap::Args)]
pub(crate) struct CaptureArgs {
    /// Write the bytes of pairs as packets for Wireshark, to a pcapng file, which is replaced;
    /// `-` is standard output
    #[arg(long, value_name = "FILE|-", conflicts_with = "capture_dir")]
    capture: Option<PathBuf>,

    /// Write the packets of each pair to a file of its own, in this directory
    #[arg(long, value_name = "DIR")]
    capture_dir: Option<PathBuf>,

    /// Start a new file, FILE-2, before a file grows beyond SIZE [default: never]
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "capture")]
    capture_roll: Option<ByteSize>,

    /// Capture only the first SIZE bytes of each direction [default: all]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    capture_limit: Option<ByteSize>,
}

/// A capture that is to be started, and its layer.
#[derive(Debug)]
pub(crate) struct CaptureSpec {
    pub(crate) capture: Capture,
    pub(crate) spec: PairLayerSpec,
}

// ===== impl CaptureArgs =====

impl CaptureArgs {
    /// Do packets go to standard output?
    pub(crate) fn is_to_stdout(&self) -> bool {
        self.capture.as_deref().is_some_and(is_stdout)
    }

    pub(crate) fn spec(&self) -> Result<Option<CaptureSpec>, Mistake> {
        let (capture, name, path) = match (&self.capture, &self.capture_dir) {
            (Some(file), _) if is_stdout(file) => {
                if self.capture_roll.is_some() {
                    return Err(Mistake::new(
                        "--capture-roll does nothing on standard output",
                        "`--capture=FILE`",
                    )
                    .about("--capture-roll"));
                }
                (Capture::to_writer(io::stdout()), "file", file)
            }
            (Some(file), _) => (Capture::to_file(file), "file", file),
            (None, Some(directory)) => (Capture::to_directory(directory), "directory", directory),
            (None, None) if self.capture_limit.is_some() => {
                return Err(Mistake::new(
                    "--capture-limit would do nothing without a capture",
                    "add `--capture=FILE` or `--capture-dir=DIR`",
                )
                .about("--capture-limit"));
            }
            (None, None) => return Ok(None),
        };
        let capture = match self.capture_roll {
            Some(ByteSize(size)) => capture.roll(size),
            None => capture,
        };
        let layer = CaptureLayer::new(capture.clone());
        let mut layers = PairLayers::new();
        layers.push(match self.capture_limit {
            Some(ByteSize(limit)) => layer.limit(limit),
            None => layer,
        });
        let spec =
            LayerSpec::new("capture", layers)
                .copies(None)
                .set(name, path.display(), Source::Flag);
        let settings = [("roll", self.capture_roll), ("limit", self.capture_limit)];
        let spec = settings
            .into_iter()
            .fold(spec, |spec, (name, size)| match size {
                Some(size) => spec.set(name, size, Source::Flag),
                None => spec,
            });
        Ok(Some(CaptureSpec { capture, spec }))
    }
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}
