use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Relay, To, backend};
use crate::built::Built;

pub(super) const NAME: &str = "by-hand";

/// This package's `relay-by-hand`.
#[derive(Debug)]
pub(super) struct ByHand {
    program: PathBuf,
}

// ===== impl ByHand =====

impl ByHand {
    pub(super) fn new(built: &Built) -> Self {
        Self {
            program: built.by_hand.clone(),
        }
    }
}

impl Relay for ByHand {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "by hand"
    }

    fn about(&self) -> String {
        "a minimal relay: tokio's `copy_bidirectional` in 30 lines, multi-threaded".to_owned()
    }

    fn command(&self, listen: SocketAddr, to: To, _: &Path) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.program);
        command
            .arg(listen.to_string())
            .arg(backend(to)?.to_string());
        Ok(command)
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.program.clone()]
    }
}
