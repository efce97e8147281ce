//! A file that is written line by line, and can be opened anew when somebody has moved it.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;

use crate::hangup::OnHangup;

/// Where lines go: a file, or standard output for `-`. Clones share it.
///
/// Nothing is opened, and so nothing can be written, before [`open`](Self::open).
#[derive(Clone, Debug)]
pub(crate) struct LogFile {
    path: Arc<Path>,
    to: Arc<Mutex<To>>,
}

#[derive(Debug)]
enum To {
    Nowhere,
    Stdout(io::Stdout),
    File(File),
}

// ===== impl LogFile =====

impl LogFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path: path.into(),
            to: Arc::new(Mutex::new(To::Nowhere)),
        }
    }

    /// Opens it, or opens it anew; if it can't be, what was open stays so.
    pub(crate) fn open(&self) -> anyhow::Result<()> {
        let to = match self.is_stdout() {
            true => To::Stdout(io::stdout()),
            false => {
                let file = OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(&self.path);
                To::File(file.with_context(|| format!("{self} can't be opened"))?)
            }
        };
        *self.to.lock().unwrap_or_else(PoisonError::into_inner) = to;
        Ok(())
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

    fn is_stdout(&self) -> bool {
        &*self.path == Path::new("-")
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.to.lock().unwrap_or_else(PoisonError::into_inner) {
            To::Nowhere => Err(io::Error::other("it is not open")),
            To::Stdout(stdout) => stdout.write(bytes),
            To::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}
