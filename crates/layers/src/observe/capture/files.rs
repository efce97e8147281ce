//! The files of a capture: the file for each packet.

use std::{
    collections::{HashMap, hash_map::Entry},
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use couplet_pairing::SessionId;

use super::{message::Message, pcapng};

/// The open files.
#[derive(Debug)]
pub(super) enum Files {
    /// A named pipe that is not open yet, because opening it waits for a reader: see fifo(7).
    Pipe(PathBuf),
    /// All packets go to one file, or pipe, or writer.
    One(PcapFile),
    /// All packets go to one file until that would grow beyond `roll` bytes, then to the next.
    Rolling {
        path: PathBuf,
        roll: u64,
        number: u64,
        file: PcapFile,
    },
    /// The packets of each session go to a file of their own.
    Many {
        directory: PathBuf,
        files: HashMap<SessionId, PcapFile>,
    },
}

/// A file that begins with a pcapng header.
pub(super) struct PcapFile {
    to: BufWriter<Box<dyn Write + Send>>,
    size: u64,
}

// ===== impl Files =====

impl Files {
    /// Opens a named pipe: blocks until a program reads from the pipe.
    pub(super) fn open_pipe(&mut self) -> io::Result<()> {
        if let Self::Pipe(path) = self {
            tracing::info!(path = %path.display(), "the capture waits for a reader of the named pipe");
            let pipe = OpenOptions::new().write(true).open(path)?;
            *self = Self::One(PcapFile::begin(Box::new(pipe))?);
        }
        Ok(())
    }

    pub(super) fn write(&mut self, message: Message) -> io::Result<()> {
        match message {
            Message::Packets {
                session,
                begun,
                blocks,
            } => self.file(session, begun, blocks.len())?.write(&blocks),
            Message::End(session) => match self {
                Self::Many { files, .. } => files
                    .remove(&session)
                    .map_or(Ok(()), |mut file| file.to.flush()),
                _ => Ok(()),
            },
        }
    }

    /// The file for `len` bytes of this session.
    fn file(
        &mut self,
        session: SessionId,
        begun: SystemTime,
        bytes: usize,
    ) -> io::Result<&mut PcapFile> {
        match self {
            Self::Pipe(_) => Err(io::ErrorKind::NotConnected.into()),
            Self::One(file) => Ok(file),
            Self::Rolling {
                path,
                roll,
                number,
                file,
            } => {
                if !file.is_empty() && file.size.saturating_add(bytes as u64) > *roll {
                    file.to.flush()?;
                    *number += 1;
                    *file = PcapFile::replace(&numbered(path, *number))?;
                }
                Ok(file)
            }
            Self::Many { directory, files } => match files.entry(session) {
                Entry::Occupied(file) => Ok(file.into_mut()),
                Entry::Vacant(free) => {
                    let path = directory.join(name(session, begun));
                    Ok(free.insert(PcapFile::create_new(&path)?))
                }
            },
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Pipe(_) => Ok(()),
            Self::One(file) | Self::Rolling { file, .. } => file.to.flush(),
            Self::Many { files, .. } => files.values_mut().try_for_each(|file| file.to.flush()),
        }
    }
}

/// `trace-2.pcapng`, for the second of `trace.pcapng`.
fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = OsString::from(path.file_stem().unwrap_or_default());
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// `20261123T091502.000123Z-7.pcapng`: no two sessions have the same name, nor two runs.
fn name(session: SessionId, begun: SystemTime) -> String {
    let time = begun.max(SystemTime::UNIX_EPOCH);
    let time = humantime::format_rfc3339_micros(time).to_string();
    format!("{}-{session}.pcapng", time.replace(['-', ':'], ""))
}

// ===== impl PcapFile =====

impl PcapFile {
    pub(super) fn begin(to: Box<dyn Write + Send>) -> io::Result<Self> {
        let mut file = Self {
            to: BufWriter::new(to),
            size: 0,
        };
        file.write(&pcapng::header())?;
        Ok(file)
    }

    /// Replaces the file, if there is one.
    pub(super) fn replace(path: &Path) -> io::Result<Self> {
        Self::open(path, OpenOptions::new().create(true).truncate(true))
    }

    /// Fails if there is a file.
    fn create_new(path: &Path) -> io::Result<Self> {
        Self::open(path, OpenOptions::new().create_new(true))
    }

    /// Only the owner may read the traffic.
    fn open(path: &Path, options: &mut OpenOptions) -> io::Result<Self> {
        options.write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
        let file = options.open(path)?;
        #[cfg(unix)]
        make_private(&file)?;
        Self::begin(Box::new(file))
    }

    fn write(&mut self, blocks: &[u8]) -> io::Result<()> {
        self.to.write_all(blocks)?;
        self.size += blocks.len() as u64;
        Ok(())
    }

    /// Whether the file has only its header.
    fn is_empty(&self) -> bool {
        self.size == pcapng::header().len() as u64
    }
}

/// A replaced file may have been readable by others. A device or a pipe keeps no bytes, and stays as it
/// is.
#[cfg(unix)]
fn make_private(file: &File) -> io::Result<()> {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    match file.metadata()?.is_file() {
        true => file.set_permissions(Permissions::from_mode(0o600)),
        false => Ok(()),
    }
}

impl std::fmt::Debug for PcapFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PcapFile")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
