//! `couplet token`: makes a signed token.

use std::{
    io::Write,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use clap::ValueEnum;
use couplet_connector::endpoint::Side;
use couplet_protocols::{Claims, Keyring};

use crate::{mistake::Mistake, side::options::secret, units::duration};

#[derive(Debug, clap::Args)]
pub(crate) struct TokenArgs {
    /// The secrets, one a line: `name: secret`
    #[arg(long, value_name = "@FILE")]
    secret: String,

    /// The session that the token is for
    #[arg(long, value_name = "NAME")]
    key: String,

    /// The side that the token is valid for [default: either]
    #[arg(long, value_enum, ignore_case = true)]
    side: Option<SideName>,

    /// How long the token is valid
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Duration,

    /// The name of the secret that signs the token [default: the first]
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SideName {
    A,
    B,
}

// ===== impl TokenArgs =====

impl TokenArgs {
    /// The secrets of the file.
    pub(crate) fn keyring(&self) -> Result<Keyring, Mistake> {
        secret::parse(&self.secret, "--secret=@FILE")
    }

    pub(crate) fn run(&self, keyring: &Keyring, out: &mut impl Write) -> anyhow::Result<()> {
        let mut claims = Claims::new(&*self.key, SystemTime::now() + self.expires)?;
        if let Some(side) = self.side {
            claims = claims.side(match side {
                SideName::A => Side::A,
                SideName::B => Side::B,
            });
        }
        let token = match &self.id {
            None => keyring.sign(&claims),
            Some(id) => {
                let token = keyring.sign_with(id, &claims);
                token.with_context(|| format!("there is no secret `{}`", id.escape_debug()))?
            }
        };
        writeln!(out, "{}", token.as_str())?;
        Ok(())
    }
}
