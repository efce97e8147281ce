//! `--take-over`: one process gets the listening sockets of another, with the clients in their accept
//! queues, while both run.
//!
//! The process that runs [offers](Offer) its sockets at a Unix socket; the new one [takes](Taken) them there:
//!
//! | new process | | process that runs |
//! |---|---|---|
//! | connects | → | is it the same user? |
//! | | ← | the sockets, and what each is for |
//! | reads its file, binds what is new, starts: both accept | | |
//! | "running" | → | stops accepting; its pairs go on |
//! | | ← | "left" |
//!
//! Where the connection ends before "running", whatever the reason, the process that runs goes on as if
//! nothing had been.

mod item;
mod message;
mod offer;
mod taken;

pub(super) use self::{
    item::{Items, Role, leave_path},
    offer::{Offer, Taker},
    taken::Taken,
};

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::mistake::Mistake;

/// The form of the messages.
const VERSION: u64 = 1;

const RUNNING: &str = "running";
const LEFT: &str = "left";

/// How long each step may take that has nothing to wait for.
const STEP: Duration = Duration::from_secs(10);

/// How long the new process may take to start.
const START: Duration = Duration::from_secs(120);

/// Where it is done: at the path that is given, else in the folder that systemd has made for the service.
pub(super) fn path(given: Option<&Path>) -> Result<PathBuf, Mistake> {
    let needs = |why: String| Mistake::new(why, "`--take-over=PATH`").about("--take-over");
    let path = match given {
        Some(given) => given.to_owned(),
        None => {
            let folder = env::var("RUNTIME_DIRECTORY").map_err(|_| {
                needs(
                    "there is no RUNTIME_DIRECTORY, which systemd sets, for the socket".to_owned(),
                )
            })?;
            let first = folder.split(':').next().unwrap_or_default();
            Path::new(first).join("take-over.sock")
        }
    };
    // The working directory becomes that of the file.
    std::path::absolute(&path).map_err(|error| needs(format!("`{}`: {error}", path.display())))
}
