//! The target of a capture: a file, a directory, a writer.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use super::files::{Files, PcapFile};

/// The target of a capture.
#[derive(derive_more::Debug)]
pub(super) enum Target {
    /// One file, or at `roll` bytes the next.
    File { path: PathBuf, roll: Option<u64> },
    /// A directory with one file a pair.
    Directory(PathBuf),
    /// A writer, until it is taken.
    Writer(#[debug(skip)] Mutex<Option<Box<dyn io::Write + Send>>>),
}

// ===== impl Target =====

impl Target {
    /// Opens the file, unless opening would block: a named pipe is opened by the thread that writes.
    pub(super) fn open(&self) -> io::Result<Files> {
        match self {
            Self::File { path, roll } if roll.is_some() && is_special(path) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a capture that goes on in new files needs a regular file",
            )),
            Self::File { path, .. } if is_fifo(path) => Ok(Files::Pipe(path.clone())),
            Self::File { path, roll } => Ok(Files::Rolling {
                path: path.clone(),
                roll: roll.unwrap_or(u64::MAX),
                number: 1,
                file: PcapFile::replace(path)?,
            }),
            Self::Directory(path) => match std::fs::metadata(path)?.is_dir() {
                true => Ok(Files::Many {
                    directory: path.clone(),
                    files: HashMap::new(),
                }),
                false => Err(io::ErrorKind::NotADirectory.into()),
            },
            Self::Writer(writer) => {
                let writer = writer.lock().ok().and_then(|mut writer| writer.take());
                let writer =
                    writer.ok_or_else(|| io::Error::other("the writer was taken before"))?;
                Ok(Files::One(PcapFile::begin(writer)?))
            }
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } | Self::Directory(path) => Some(path),
            Self::Writer(_) => None,
        }
    }
}

/// Whether the path is something else than a regular file.
fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file())
}

#[cfg(unix)]
fn is_fifo(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;

    path.metadata()
        .is_ok_and(|found| found.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_fifo(_: &Path) -> bool {
    false
}
