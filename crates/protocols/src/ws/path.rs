use std::str::FromStr;

use super::InvalidWsPath;

/// The longest path.
const LONGEST: usize = 1024;

/// The path of a WebSocket, `/relay`; a query may follow it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, derive_more::Display)]
#[display("{_0}")]
pub struct WsPath(String);

// ===== impl WsPath =====

impl WsPath {
    /// Whether a request is for it. A query counts where the path has one.
    pub(super) fn is_of(&self, target: &str) -> bool {
        let path = match self.0.contains('?') {
            true => target,
            false => target.split('?').next().unwrap_or_default(),
        };
        path == self.0
    }
}

impl FromStr for WsPath {
    type Err = InvalidWsPath;

    fn from_str(path: &str) -> Result<Self, InvalidWsPath> {
        let is_path = path.starts_with('/')
            && path.len() <= LONGEST
            && path
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'#');
        is_path.then(|| Self(path.to_owned())).ok_or(InvalidWsPath)
    }
}
