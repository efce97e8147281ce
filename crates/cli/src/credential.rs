//! `@cred:NAME`: a file that systemd passes to the service, as `LoadCredential=NAME:PATH` of its unit
//! says: systemd.exec(5).

use std::{borrow::Cow, env, path::Path};

use crate::mistake::Mistake;

const SCHEME: &str = "cred:";

/// The path that is named behind `@`: itself, or where systemd has put the credential.
pub(crate) fn path(named: &str) -> Result<Cow<'_, str>, Mistake> {
    let Some(name) = named.strip_prefix(SCHEME) else {
        return Ok(named.into());
    };
    if name.is_empty() || name.contains('/') {
        return Err(Mistake::new(
            format!("`{name}` is not the name of a credential"),
            "`@cred:NAME`, as `LoadCredential=NAME:PATH` of the unit has it",
        ));
    }
    let folder = env::var("CREDENTIALS_DIRECTORY").map_err(|_| {
        Mistake::new(
            format!("the credential `{name}` was not passed: `CREDENTIALS_DIRECTORY` is not set"),
            format!("`LoadCredential={name}:/PATH` in the systemd unit, or `@FILE`"),
        )
    })?;
    let path = Path::new(&folder).join(name);
    Ok(path.to_string_lossy().into_owned().into())
}

/// The same of a value that is a path without `@`, where `@cred:NAME` is one, too.
#[cfg(feature = "tls")]
pub(crate) fn file(value: &str) -> Result<String, Mistake> {
    match value.strip_prefix('@') {
        Some(named) if named.starts_with(SCHEME) => path(named).map(Cow::into_owned),
        _ => Ok(value.to_owned()),
    }
}
