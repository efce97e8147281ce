//! A file that is written line by line, and can be opened anew when somebody has moved it.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;

use crate::{hangup::OnHangup, outlet::Outlet};

/// Where lines go: a file, or standard output for `-`. Clones share it.
///
/// Nothing is opened, and so nothing is written, before [`open`](Self::open).
#[derive(Clone, Debug)]
pub(crate) struct LogFile {
    path: Arc<Path>,
    lines: Outlet,
}

// ===== impl LogFile =====

impl LogFile {
    /// It is called so where it is told that it is incomplete.
    pub(crate) fn new(name: &'static str, path: PathBuf) -> Self {
        Self {
            path: path.into(),
            lines: Outlet::new(name),
        }
    }

    /// Opens it, or opens it anew; if it can't be, what was open stays so.
    pub(crate) fn open(&self) -> anyhow::Result<()> {
        let opened = match &*self.path == Path::new("-") {
            true => self.lines.open(io::stdout()),
            false => self.open_file().and_then(|file| self.lines.open(file)),
        };
        opened.with_context(|| format!("{self} can't be opened"))
    }

    /// Opens it anew at each SIGHUP, for whoever moves it away.
    pub(crate) fn on_hangup(&self) -> OnHangup {
        let file = self.clone();
        OnHangup::new(move || {
            file.open()?;
            tracing::info!(path = %file, "opened anew");
            Ok(())
        })
    }

    /// What is written to it.
    pub(crate) fn lines(&self) -> Outlet {
        self.lines.clone()
    }

    fn open_file(&self) -> io::Result<File> {
        OpenOptions::new()
            .append(true)
            .create(true)
            // To write alone would wait for a reader, see fifo(7).
            .read(is_fifo(&self.path))
            .open(&self.path)
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
