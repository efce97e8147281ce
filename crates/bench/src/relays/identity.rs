//! The certificate of the relays, and its key.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::generate_simple_self_signed;

use crate::load::NAME;

/// Where it is.
pub(crate) fn file(folder: &Path) -> PathBuf {
    folder.join("relay.pem")
}

/// Makes one.
pub(crate) fn make(folder: &Path) -> anyhow::Result<()> {
    let made = generate_simple_self_signed([NAME.to_owned()])?;
    let key = made.signing_key.serialize_pem();
    fs::write(file(folder), [made.cert.pem(), key].concat())?;
    Ok(())
}
