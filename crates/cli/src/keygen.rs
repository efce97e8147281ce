//! `couplet keygen`: makes a key in a file that is new.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
};

use anyhow::anyhow;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::ValueEnum;
use couplet_protocols::Ed25519Key;
#[cfg(feature = "noise")]
use couplet_protocols::NoiseKey;

use crate::file_error::with_remedy;

#[derive(Debug, clap::Args)]
pub(crate) struct KeygenArgs {
    /// The file to create, readable by its owner only
    file: PathBuf,

    /// The kind of key
    #[arg(long, value_enum, default_value = "ed25519")]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// A private key for challenge=@FILE
    Ed25519,
    /// A private key for noise=kk:@FILE
    #[cfg(feature = "noise")]
    Noise,
    /// A secret line for noise=psk:@FILE and token=@FILE; nothing is printed
    Secret,
}

// ===== impl KeygenArgs =====

impl KeygenArgs {
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let (private, public) = match self.kind {
            Kind::Ed25519 => {
                let key = Ed25519Key::generate()?;
                (key.to_secret_text(), Some(key.public().to_string()))
            }
            #[cfg(feature = "noise")]
            Kind::Noise => {
                let key = NoiseKey::generate()?;
                (key.to_secret_text(), Some(key.public().to_string()))
            }
            Kind::Secret => {
                let mut bytes = [0; 32];
                getrandom::fill(&mut bytes)?;
                (BASE64_URL_SAFE_NO_PAD.encode(bytes), None)
            }
        };
        let file = self.file.display();
        self.write(&private).map_err(|error| match error.kind() {
            // A key that is in use is never overwritten.
            io::ErrorKind::AlreadyExists => {
                anyhow!("`{file}` is there already, and is not overwritten: name a new file")
            }
            _ => {
                let error = with_remedy(error, &self.file, "new.key");
                anyhow!("`{file}` can't be written: {error}")
            }
        })?;
        if let Some(public) = public {
            writeln!(out, "{public}")?;
        }
        Ok(())
    }

    fn write(&self, private: &str) -> io::Result<()> {
        let mut file = self.create()?;
        writeln!(file, "{private}")?;
        file.sync_all()
    }

    fn create(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.file)
    }
}
