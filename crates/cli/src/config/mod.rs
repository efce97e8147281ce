//! A file that describes relays: what the command line says, as tables.
//!
//! Each key is a flag, each value a word of the command line, so that both are read by the same parser:
//! no key exists in one form alone. All mistakes are told, each with its place.

mod addresses;
mod flags;
mod place;
mod process;
mod read;
mod round_trip;
mod routes;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use self::round_trip::round_trip;
pub(crate) use self::{
    table::Kind,
    write::{command_line, write},
};

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use self::{read::read, text::Text};
use crate::{
    args::RelayArgs,
    mistake::{Mistake, Mistakes},
    plan::Plan,
    side::SideWords,
};

/// What a file describes, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// What is not of one relay: its flags are those at the top of the file.
    pub(crate) process: RelayArgs,
    /// The same as words, by key.
    pub(crate) process_words: BTreeMap<String, Vec<String>>,
    /// In the order of the file.
    pub(crate) relays: Vec<RelayConfig>,
}

/// A relay of a file.
#[derive(Debug)]
pub(crate) struct RelayConfig {
    pub(crate) name: String,
    pub(crate) words: RelayWords,
    pub(crate) plan: Plan,
}

/// A relay as the words of a command line. Two that are equal are the same relay.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RelayWords {
    pub(crate) kind: Kind,
    /// Sorted by name; those of one name in their order.
    pub(crate) flags: Vec<String>,
    pub(crate) a: SideWords,
    pub(crate) b: Option<SideWords>,
}

/// Where a configuration is: a file, or the `*.toml` of a folder.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// What relative paths start from.
    folder: PathBuf,
    /// Beside the folder; `None`: all files there.
    file: Option<PathBuf>,
    /// As it was given.
    given: PathBuf,
}

// ===== impl Source =====

impl Source {
    /// The file or folder of this name; the working directory may change later.
    pub(crate) fn new(given: &Path) -> Result<Self, Mistake> {
        let wrong = |error: std::io::Error| {
            Mistake::new(
                format!("`{}` can't be read: {error}", given.display()),
                "a file such as `/etc/couplet/couplet.toml`, or a folder of `*.toml`",
            )
        };
        let metadata = fs::metadata(given).map_err(wrong)?;
        let path = std::path::absolute(given).map_err(wrong)?;
        let given = given.to_owned();
        if metadata.is_dir() {
            let (folder, file) = (path, None);
            return Ok(Self {
                folder,
                file,
                given,
            });
        }
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let file = path.file_name().map(PathBuf::from);
        Ok(Self {
            folder,
            file,
            given,
        })
    }

    /// Reads and checks all of it. From now on the working directory is the folder of the file, from which
    /// relative paths start.
    pub(crate) fn load(&self) -> Result<Config, Mistakes> {
        let texts = self.texts()?;
        read(&texts)
    }

    /// Checks a text as if it were the file, and changes nothing.
    #[cfg(feature = "admin")]
    pub(crate) fn check(text: String) -> Result<(), Mistakes> {
        let text = Text::of_bytes("configuration", text.into_bytes());
        read(&[text.map_err(|mistake| vec![mistake])?]).map(drop)
    }

    fn texts(&self) -> Result<Vec<Text>, Mistakes> {
        let in_folder = |error: std::io::Error| {
            let message = format!("`{}` can't be read: {error}", self.given.display());
            vec![Mistake::new(message, "a folder that this user can read")]
        };
        env::set_current_dir(&self.folder).map_err(in_folder)?;
        let files = match &self.file {
            Some(file) => vec![file.clone()],
            None => {
                let mut files = Vec::new();
                for entry in fs::read_dir(".").map_err(in_folder)? {
                    let name = PathBuf::from(entry.map_err(in_folder)?.file_name());
                    let is_hidden = name.as_os_str().as_encoded_bytes().starts_with(b".");
                    if !is_hidden && name.extension().is_some_and(|end| end == "toml") {
                        files.push(name);
                    }
                }
                files.sort();
                files
            }
        };
        let (mut texts, mut wrong) = (Vec::new(), Mistakes::new());
        for file in &files {
            match Text::read(file) {
                Ok(text) => texts.push(text),
                Err(mistake) => wrong.push(mistake),
            }
        }
        match wrong.is_empty() {
            true => Ok(texts),
            false => Err(wrong),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.given.display().fmt(f)
    }
}

/// How many mistakes there are, in words.
pub(crate) fn count(mistakes: &Mistakes) -> String {
    match mistakes.len() {
        1 => "1 mistake".to_owned(),
        count => format!("{count} mistakes"),
    }
}
