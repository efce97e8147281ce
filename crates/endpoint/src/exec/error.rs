use std::{error::Error, fmt, io, sync::Arc};

/// A program could not be started. The source is the system's [`io::Error`], if there is one.
#[derive(Debug)]
pub struct ExecError {
    program: Arc<str>,
    error: io::Error,
}

// ===== impl ExecError =====

impl ExecError {
    pub(super) fn new(program: Arc<str>, error: io::Error) -> Self {
        Self { program, error }
    }

    /// The program's name or path.
    pub fn program(&self) -> &str {
        &self.program
    }
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot start `{}`", self.program.escape_debug())?;
        f.write_str(match self.error.kind() {
            io::ErrorKind::NotFound if self.program.contains('/') => ", no such program",
            io::ErrorKind::NotFound => ", no such program in PATH",
            io::ErrorKind::PermissionDenied => ", no permission to run it",
            _ => "",
        })
    }
}

impl Error for ExecError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The text above says as much as an error that the system has not given.
        self.error.raw_os_error().map(|_| &self.error as _)
    }
}
