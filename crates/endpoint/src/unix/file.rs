//! The path of a listening socket: what stood there before, its permissions, and its removal.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use tokio::time::sleep;

use super::socket;

/// How long another program may hold the directory's lock before we go on without: it is needed for
/// two system calls, and must not be a way to hold us up.
const LOCK: Duration = Duration::from_secs(1);

/// How often the lock is tried for.
const LOCK_POLL: Duration = Duration::from_millis(10);

/// What a path is to have, where that is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

/// A path that is ours, as the file that it was then. Dropped, it is removed, if it is still that one, and
/// unless it is to be left to another process.
#[derive(Debug)]
pub(super) struct OwnFile {
    is_left: AtomicBool,
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// Locks the directory of a path, so that of two programs that find a stale socket there, one replaces
/// it, and the other finds the first one's. Leaves no file behind. `None` where that can't be done.
pub(super) async fn lock_directory(path: &Path) -> Option<File> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = File::open(directory).ok()?;
    for _ in 0..LOCK.as_millis() / LOCK_POLL.as_millis() {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(directory),
            Err(rustix::io::Errno::WOULDBLOCK) => sleep(LOCK_POLL).await,
            Err(_) => return None,
        }
    }
    None
}

/// Removes a socket on which no program listens. Fails where something else is there.
pub(super) fn clear_stale(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        let kind = match found.file_type() {
            kind if kind.is_dir() => "a directory",
            kind if kind.is_symlink() => "a symbolic link",
            kind if kind.is_file() => "a file",
            _ => "a device or a pipe",
        };
        let text = format!("{kind} is there");
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match socket()?.connect(&socket2::SockAddr::unix(path)?) {
        // No socket has this name any more.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        // A full queue belongs to a listener, and a socket of another type to a program.
        Ok(()) | Err(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// The most that the path which this socket will be bound to may permit: Linux makes it so at bind(2).
pub(super) fn restrict(socket: &impl AsFd, mode: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::fchmod(socket, Mode::from_raw_mode(mode))?;
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, mode);
    Ok(())
}

// ===== impl Owner =====

impl Owner {
    pub(super) const fn is_default(self) -> bool {
        self.mode.is_none() && self.uid.is_none() && self.gid.is_none()
    }
}

// ===== impl OwnFile =====

impl OwnFile {
    /// The file that has just been made.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let made = fs::symlink_metadata(path)?;
        Ok(Self {
            is_left: AtomicBool::new(false),
            path: std::path::absolute(path)?,
            device: made.dev(),
            inode: made.ino(),
        })
    }

    /// Sets what is said. The owner first: changing the owner may take permissions away.
    pub(super) fn set(&self, owner: Owner) -> io::Result<()> {
        if owner.is_default() {
            return Ok(());
        }
        let (_open, path) = self.pinned()?;
        if owner.uid.is_some() || owner.gid.is_some() {
            std::os::unix::fs::chown(&path, owner.uid, owner.gid)?;
        }
        match owner.mode {
            Some(mode) => fs::set_permissions(&path, Permissions::from_mode(mode)),
            None => Ok(()),
        }
    }

    /// A path that means the file itself, whatever stands at its path by now.
    #[cfg(target_os = "linux")]
    fn pinned(&self) -> io::Result<(impl AsFd, PathBuf)> {
        use std::os::fd::AsRawFd;

        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = rustix::fs::open(&self.path, flags, Mode::empty())?;
        let is = rustix::fs::fstat(&open)?;
        if (is.st_dev, is.st_ino) != (self.device, self.inode) {
            let text = "another program has replaced the socket";
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        let path = format!("/proc/self/fd/{}", open.as_raw_fd()).into();
        Ok((open, path))
    }

    #[cfg(not(target_os = "linux"))]
    fn pinned(&self) -> io::Result<((), PathBuf)> {
        let _ = (Mode::empty(), OFlags::empty());
        Ok(((), self.path.clone()))
    }

    /// Whether it stays when this is dropped.
    pub(super) fn leave(&self, is_left: bool) {
        self.is_left.store(is_left, Ordering::Relaxed);
    }

    fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|is| (is.dev(), is.ino()) == (self.device, self.inode))
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if !self.is_left.load(Ordering::Relaxed) && self.is_ours() {
            // Where it can't be removed, the next program that wants it finds it stale.
            let _ = fs::remove_file(&self.path);
        }
    }
}
