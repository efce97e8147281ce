//! Listening sockets that the process was started with: `listen:systemd:NAME`, sd_listen_fds(3).

use std::{io, sync::OnceLock};

use anyhow::{Context, bail};
use couplet_connector::endpoint::{Address, SocketName};

use crate::{incoming::Kept, mistake::alternatives};

/// They stay open to the end of the process: a relay may let go of them, and another one take them.
static PASSED: OnceLock<Vec<Passed>> = OnceLock::new();

/// A socket with its name.
#[derive(Debug)]
struct Passed {
    name: String,
    /// Or why it can't be listened on.
    socket: Result<Kept, String>,
}

/// Takes them from the environment, for this process alone. To be called before there are threads.
pub(crate) fn take() {
    let passed = from_env();
    if !passed.is_empty() {
        let _ = PASSED.set(passed);
    }
}

/// Those of a process before, where systemd has passed none to this one.
#[cfg(unix)]
pub(crate) fn inherit(sockets: Vec<(String, Kept)>) {
    let passed = sockets.into_iter().map(|(name, socket)| Passed {
        name,
        socket: Ok(socket),
    });
    let _ = PASSED.set(passed.collect());
}

/// All of them with their names, duplicated.
#[cfg(unix)]
pub(crate) fn duplicated() -> io::Result<Vec<(String, Kept)>> {
    let all = all().iter();
    let usable = all.filter_map(|passed| Some((&passed.name, passed.socket.as_ref().ok()?)));
    usable
        .map(|(name, socket)| Ok((name.clone(), socket.try_clone()?)))
        .collect()
}

/// The sockets of this name, to be adopted.
pub(crate) fn open(name: &SocketName) -> anyhow::Result<Kept> {
    let passed = all().iter().filter(|passed| passed.name == name.as_str());
    let mut sockets = Vec::new();
    for passed in passed {
        match &passed.socket {
            Ok(socket) => sockets.push(socket.try_clone()?),
            Err(why) => bail!("the socket `{name}` of systemd is {why}"),
        }
    }
    match sockets.len() {
        0 => bail!("{}", not_passed(name)),
        1 => Ok(sockets.remove(0)),
        _ => tcp(sockets).with_context(|| {
            format!(
                "systemd passes several sockets as `{name}`, and not all are TCP: a name for each"
            )
        }),
    }
}

/// Fails where there is a socket at which no client would ever be served.
pub(crate) fn refuse_unused<'a>(
    addresses: impl Iterator<Item = &'a Address>,
) -> anyhow::Result<()> {
    let used = addresses.filter_map(|address| match address {
        Address::ListenSystemd(name) => Some(name.as_str()),
        _ => None,
    });
    let used: Vec<_> = used.collect();
    match all().iter().find(|passed| !used.contains(&&*passed.name)) {
        None => Ok(()),
        Some(Passed { name, .. }) => bail!(
            "systemd passes the socket `{name}`, which no side uses: a side `listen:systemd:{name}`, or no such socket"
        ),
    }
}

fn all() -> &'static [Passed] {
    PASSED.get().map_or(&[], Vec::as_slice)
}

fn not_passed(name: &SocketName) -> String {
    let mut names: Vec<_> = all().iter().map(|passed| &*passed.name).collect();
    names.dedup();
    match &names[..] {
        [] => format!(
            "no socket `{name}`: systemd has passed none; start the process by its socket unit, or with systemd-socket-activate"
        ),
        names => format!(
            "no socket `{name}` among those that systemd has passed: {}",
            alternatives(names)
        ),
    }
}

/// All of them as those of one listener.
fn tcp(sockets: Vec<Kept>) -> Option<Kept> {
    let mut all = Vec::new();
    for socket in sockets {
        match socket {
            Kept::Tcp(sockets) => all.extend(sockets),
            _ => return None,
        }
    }
    Some(Kept::Tcp(all))
}

#[cfg(unix)]
fn from_env() -> Vec<Passed> {
    use std::env;

    // They are another process's, which has passed its environment on to this one.
    if env::var("LISTEN_PID").ok() != Some(std::process::id().to_string()) {
        return Vec::new();
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<_> = names.split(':').filter(|name| !name.is_empty()).collect();
    let mut sockets = listenfd::ListenFd::from_env();
    let numbers = 0..sockets.len();
    numbers
        .map(|number| Passed {
            // As systemd's own functions name it.
            name: (*names.get(number).unwrap_or(&"unknown")).to_owned(),
            socket: socket(&mut sockets, number),
        })
        .collect()
}

#[cfg(unix)]
fn socket(sockets: &mut listenfd::ListenFd, number: usize) -> Result<Kept, String> {
    use couplet_connector::endpoint::UnixListenSocket;

    let no_stream = || "no stream socket: `ListenStream=` opens one".to_owned();
    if let Ok(Some(listener)) = sockets.take_tcp_listener(number) {
        listens(&listener)?;
        return Ok(Kept::Tcp(vec![listener]));
    }
    match sockets.take_unix_listener(number) {
        Ok(Some(listener)) => {
            listens(&listener)?;
            let socket = UnixListenSocket::of(listener).map_err(|error| error.to_string())?;
            Ok(Kept::Unix(socket))
        }
        _ => Err(no_stream()),
    }
}

#[cfg(unix)]
fn listens(socket: &impl std::os::fd::AsFd) -> Result<(), String> {
    match rustix::net::sockopt::socket_acceptconn(socket) {
        Ok(true) => Ok(()),
        _ => Err("a connection, and not a socket that listens: `Accept=no`".to_owned()),
    }
}

#[cfg(not(unix))]
fn from_env() -> Vec<Passed> {
    Vec::new()
}
