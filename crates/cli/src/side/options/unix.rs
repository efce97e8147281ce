//! `mode=…`, `user=…`, `group=…`: permissions and owner of a Unix socket.

use super::{Does, On, SideOption, Value};
use crate::{mistake::Mistake, side::Word};

pub(super) static MODE: SideOption = SideOption {
    name: "mode",
    on: On::ListenUnix,
    value: Value::Needed("OCTAL"),
    help: "permissions of the socket's path, as 0660 [default: what the umask leaves]",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        endpoint.path.mode = Some(given.needed()?.parse(mode)?);
        path_only(endpoint.is_abstract(), given.needed()?)
    }),
};

pub(super) static USER: SideOption = SideOption {
    name: "user",
    on: On::ListenUnix,
    value: Value::Needed("NAME|UID"),
    help: "owner of the socket's path [default: the process's user]",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        let user = given.needed()?;
        endpoint.path.user = Some(number(user, "user", uid)?);
        path_only(endpoint.is_abstract(), user)
    }),
};

pub(super) static GROUP: SideOption = SideOption {
    name: "group",
    on: On::ListenUnix,
    value: Value::Needed("NAME|GID"),
    help: "group of the socket's path [default: the process's group]",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        let group = given.needed()?;
        endpoint.path.group = Some(number(group, "group", gid)?);
        path_only(endpoint.is_abstract(), group)
    }),
};

fn mode(text: &str) -> Result<u32, Mistake> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| digits);
    mode.filter(|mode| *mode <= 0o777).ok_or_else(|| {
        let message = format!("`{text}` is not a mode");
        Mistake::new(message, "three octal digits, like `660`, see chmod(1)")
    })
}

fn path_only(is_abstract: bool, word: Word<'_>) -> Result<(), Mistake> {
    match is_abstract {
        true => {
            let message = "an abstract name has no owner and no permissions";
            Err(word.wrong(
                message,
                "`unix:/PATH`, or `allow=uid:NUMBER` to choose clients",
            ))
        }
        false => Ok(()),
    }
}

/// A number, or what the system knows under that name.
fn number(word: Word<'_>, kind: &str, by_name: fn(&str) -> Option<u32>) -> Result<u32, Mistake> {
    let number = word.text.parse().ok();
    number.or_else(|| by_name(word.text)).ok_or_else(|| {
        let message = format!("`{}` is not a {kind} of this machine", word.text);
        word.wrong(message, "a name that the system knows, or a number")
    })
}

#[cfg(unix)]
fn uid(name: &str) -> Option<u32> {
    let user = nix::unistd::User::from_name(name).ok()??;
    Some(user.uid.as_raw())
}

#[cfg(unix)]
fn gid(name: &str) -> Option<u32> {
    let group = nix::unistd::Group::from_name(name).ok()??;
    Some(group.gid.as_raw())
}

#[cfg(not(unix))]
fn uid(_: &str) -> Option<u32> {
    None
}

#[cfg(not(unix))]
fn gid(_: &str) -> Option<u32> {
    None
}
