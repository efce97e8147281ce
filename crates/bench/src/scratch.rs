use std::{env, fs, path::PathBuf};

use anyhow::Context;

/// A folder for relays' configurations; removed when dropped.
pub(crate) struct Scratch(pub(crate) PathBuf);

// ===== impl Scratch =====

impl Scratch {
    pub(crate) fn new() -> anyhow::Result<Self> {
        // A folder that is there may hold other things.
        let name = |nth| format!("couplet-bench-{}-{nth}", std::process::id());
        let made = (0..100).map(|nth| {
            let folder = env::temp_dir().join(name(nth));
            fs::create_dir(&folder).map(|()| folder)
        });
        let folder = made.into_iter().find_map(Result::ok);
        folder
            .map(Self)
            .context("a folder for temporary files could not be made")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
