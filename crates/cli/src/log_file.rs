//! A file that is written line by line, and is opened anew when a log rotation has moved it.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;

use crate::{
    file_error::with_remedy,
    log_writer::{Log, LogWriter},
    reload::OnReload,
};

/// Where lines go: a file, or standard output for `-`. Clones share it.
///
/// Nothing is opened, and so nothing is written, before [`open`](Self::open).
#[derive(Clone, Debug)]
pub(crate) struct LogFile {
    path: Arc<Path>,
    lines: LogWriter,
}

// ===== impl LogFile =====

impl LogFile {
    pub(crate) fn new(log: Log, path: PathBuf) -> Self {
        Self {
            path: path.into(),
            lines: LogWriter::new(log),
        }
    }

    /// Opens the file, or opens it anew; if that fails, the file that was open stays open.
    pub(crate) fn open(&self) -> anyhow::Result<()> {
        let opened = match &*self.path == Path::new("-") {
            true => self.lines.open(io::stdout()),
            false => self.open_file().and_then(|file| self.lines.open(file)),
        };
        opened
            .map_err(|error| with_remedy(error, &self.path, "access.log"))
            .with_context(|| format!("{self} can't be opened"))
    }

    /// Opens the file anew at each SIGHUP, after a log rotation has moved it.
    pub(crate) fn on_reload(&self) -> OnReload {
        let file = self.clone();
        OnReload::new(move || {
            file.open()?;
            tracing::info!(path = %file, "opened anew");
            Ok(())
        })
    }

    /// The writer of its lines.
    pub(crate) fn lines(&self) -> LogWriter {
        self.lines.clone()
    }

    fn open_file(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options
            .append(true)
            .create(true)
            // Opened for writing alone, a named pipe waits for a reader: see fifo(7).
            .read(is_fifo(&self.path));
        // Names and addresses of clients are not for every user of the machine.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
        options.open(&self.path)
    }
}

#[cfg(unix)]
fn is_fifo(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;

    path.metadata().is_ok_and(|it| it.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_fifo(_: &Path) -> bool {
    false
}

impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}
