//! What would be right where a file can't be opened for writing.

use std::{io, path::Path};

/// The error with a remedy behind it; `example` is a file that could stand in a folder.
pub(crate) fn with_remedy(error: io::Error, path: &Path, example: &str) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(path);
            format!("make its folder: `mkdir -p {}`", folder.display())
        }
        io::ErrorKind::PermissionDenied => {
            "let the user of this process write there, or name another file".to_owned()
        }
        io::ErrorKind::IsADirectory => {
            format!("name a file in it: `{}`", path.join(example).display())
        }
        io::ErrorKind::NotADirectory => "name a folder, or another path".to_owned(),
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error}: {remedy}"))
}
