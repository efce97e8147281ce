//! Which file a packet goes to.

use std::{
    collections::{HashMap, hash_map::Entry},
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use couplet_pairing::SessionId;

use super::{pcapng, queue::Message};

/// Where a capture goes.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// To one file; when that has grown to so many bytes, to the next.
    File { path: PathBuf, roll: Option<u64> },
    /// To one file a pair.
    Directory(PathBuf),
}

/// The open files.
#[derive(Debug)]
pub(super) enum Files {
    One {
        path: PathBuf,
        roll: Option<u64>,
        number: u64,
        file: PcapFile,
    },
    Many {
        directory: PathBuf,
        files: HashMap<SessionId, PcapFile>,
    },
}

#[derive(Debug)]
pub(super) struct PcapFile {
    to: BufWriter<File>,
    size: u64,
}

// ===== impl Target =====

impl Target {
    pub(super) fn open(&self) -> io::Result<Files> {
        Ok(match self {
            Self::File { path, roll } => Files::One {
                path: path.clone(),
                roll: *roll,
                number: 1,
                file: PcapFile::create(path, Exists::Replace)?,
            },
            Self::Directory(path) => {
                if !std::fs::metadata(path)?.is_dir() {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
                Files::Many {
                    directory: path.clone(),
                    files: HashMap::new(),
                }
            }
        })
    }
}

// ===== impl Files =====

impl Files {
    pub(super) fn write(&mut self, message: Message) -> io::Result<()> {
        match (self, message) {
            (
                Self::One {
                    path,
                    roll,
                    number,
                    file,
                },
                Message::Packets { blocks, .. },
            ) => {
                if roll.is_some_and(|roll| file.size + blocks.len() as u64 > roll)
                    && !file.is_empty()
                {
                    file.to.flush()?;
                    *number += 1;
                    *file = PcapFile::create(&numbered(path, *number), Exists::Replace)?;
                }
                file.write(&blocks)
            }
            (Self::One { .. }, Message::End(_)) => Ok(()),
            (
                Self::Many { directory, files },
                Message::Packets {
                    session,
                    begun,
                    blocks,
                },
            ) => {
                let file = match files.entry(session) {
                    Entry::Occupied(file) => file.into_mut(),
                    Entry::Vacant(place) => {
                        let path = directory.join(name(session, begun));
                        place.insert(PcapFile::create(&path, Exists::Fail)?)
                    }
                };
                file.write(&blocks)
            }
            (Self::Many { files, .. }, Message::End(session)) => match files.remove(&session) {
                Some(mut file) => file.to.flush(),
                None => Ok(()),
            },
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::One { file, .. } => file.to.flush(),
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

/// `20261123T091502.000123Z-7.pcapng`: no two pairs have the same, those of another run neither.
fn name(session: SessionId, begun: SystemTime) -> String {
    let time = begun.max(SystemTime::UNIX_EPOCH);
    let time = humantime::format_rfc3339_micros(time).to_string();
    format!("{}-{session}.pcapng", time.replace(['-', ':'], ""))
}

// ===== impl PcapFile =====

/// What is to become of a file of that name.
enum Exists {
    Replace,
    Fail,
}

/// One that was there before may have been open to others. A device or a pipe stays as it is: it
/// keeps nothing.
#[cfg(unix)]
fn make_own(file: &File) -> io::Result<()> {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    match file.metadata()?.is_file() {
        true => file.set_permissions(Permissions::from_mode(0o600)),
        false => Ok(()),
    }
}

impl PcapFile {
    fn create(path: &Path, exists: Exists) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true);
        match exists {
            Exists::Replace => options.create(true).truncate(true),
            Exists::Fail => options.create_new(true),
        };
        // What people say to each other is not everybody's business.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        #[cfg(unix)]
        make_own(&file)?;
        let mut file = Self {
            to: BufWriter::new(file),
            size: 0,
        };
        file.write(&pcapng::header())?;
        Ok(file)
    }

    fn write(&mut self, blocks: &[u8]) -> io::Result<()> {
        self.to.write_all(blocks)?;
        self.size += blocks.len() as u64;
        Ok(())
    }

    /// Is there but its header in it?
    fn is_empty(&self) -> bool {
        self.size == pcapng::header().len() as u64
    }
}
