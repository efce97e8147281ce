//! A listening socket that goes from one process to the next, and what it is for.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

#[cfg(target_os = "linux")]
use couplet_connector::endpoint::VsockListenSocket;
use couplet_connector::endpoint::{Address, UnixAddr, UnixListenSocket};
use serde_json::{Value, json};

use super::VERSION;
use crate::incoming::Kept;

/// What a socket is for. Two that are equal are for the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Role {
    /// A side at this address.
    Side(String),
    /// Sides that name this socket of systemd.
    Systemd(String),
    /// The admin endpoint at this address.
    Admin(String),
    /// The next process.
    TakeOver,
}

/// A socket, or those of one listener.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) role: Role,
    pub(crate) sockets: Kept,
}

/// All of a process.
#[derive(Debug, Default)]
pub(crate) struct Items(Vec<Item>);

// ===== impl Role =====

impl Role {
    /// That of a side; none where it listens at another port each time, or not at all.
    pub(crate) fn of_side(address: &Address) -> Option<Self> {
        match address {
            Address::Listen(addr) if addr.port() == 0 => None,
            Address::Listen(_) => Some(Self::Side(address.to_string())),
            Address::ListenUnix(addr) => Some(Self::Side(whole(addr))),
            Address::ListenVsock(addr) if addr.port() == 0 => None,
            Address::ListenVsock(_) => Some(Self::Side(address.to_string())),
            _ => None,
        }
    }

    /// That of an admin endpoint; none where systemd has passed its socket.
    #[cfg(feature = "admin")]
    pub(crate) fn of_admin(address: &Address) -> Option<Self> {
        match address {
            Address::Listen(_) => Some(Self::Admin(address.to_string())),
            Address::ListenUnix(addr) => Some(Self::Admin(whole(addr))),
            _ => None,
        }
    }

    fn read(role: &str, name: &str) -> Option<Self> {
        let name = name.to_owned();
        Some(match role {
            "side" => Self::Side(name),
            "systemd" => Self::Systemd(name),
            "admin" => Self::Admin(name),
            "take-over" => Self::TakeOver,
            _ => return None,
        })
    }

    fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Side(name) => ("side", name),
            Self::Systemd(name) => ("systemd", name),
            Self::Admin(name) => ("admin", name),
            Self::TakeOver => ("take-over", ""),
        }
    }
}

/// The name of a Unix socket, which does not depend on the working directory.
fn whole(addr: &UnixAddr) -> String {
    let path = addr.as_path().map(std::path::absolute);
    match path {
        Some(Ok(path)) => format!("unix:{}", path.display()),
        _ => addr.to_string(),
    }
}

// ===== impl Items =====

impl Items {
    pub(crate) fn add(&mut self, role: Role, sockets: Kept) {
        match sockets {
            // What routes lead to has no socket.
            Kept::Routes(_) => {}
            // Connections of QUIC are more than a socket.
            #[cfg(feature = "quic")]
            Kept::Quic(_) => {}
            sockets => self.0.push(Item { role, sockets }),
        }
    }

    /// The first that is for this.
    pub(crate) fn take(&mut self, role: &Role) -> Option<Kept> {
        let at = self.0.iter().position(|item| item.role == *role)?;
        Some(self.0.remove(at).sockets)
    }

    /// Those that systemd has passed.
    pub(crate) fn take_systemd(&mut self) -> Vec<(String, Kept)> {
        let mut taken = Vec::new();
        for item in std::mem::take(&mut self.0) {
            match item.role {
                Role::Systemd(name) => taken.push((name, item.sockets)),
                _ => self.0.push(item),
            }
        }
        taken
    }

    /// The paths of Unix sockets are another process's, or this one's.
    pub(crate) fn leave_paths(&self, are_left: bool) {
        for item in &self.0 {
            leave_path(&item.sockets, are_left);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All, as they are told to the next process.
    pub(super) fn message(&self) -> (String, Vec<BorrowedFd<'_>>) {
        let items = self.0.iter().map(|item| {
            let (role, name) = item.role.words();
            let (kind, count, path) = match &item.sockets {
                Kept::Tcp(sockets) => ("tcp", sockets.len(), false),
                Kept::Unix(socket) => ("unix", 1, socket.has_path()),
                #[cfg(target_os = "linux")]
                Kept::Vsock(_) => ("vsock", 1, false),
                Kept::Routes(_) => ("routes", 0, false),
                #[cfg(feature = "quic")]
                Kept::Quic(_) => ("quic", 0, false),
            };
            json!({"for": role, "name": name, "kind": kind, "count": count, "path": path})
        });
        let items: Vec<Value> = items.collect();
        let about = json!({
            "form": VERSION,
            "version": env!("CARGO_PKG_VERSION"),
            "sockets": items,
        });
        let sockets = self.0.iter().flat_map(|item| match &item.sockets {
            Kept::Tcp(sockets) => sockets.iter().map(AsFd::as_fd).collect(),
            Kept::Unix(socket) => vec![socket.as_fd()],
            #[cfg(target_os = "linux")]
            Kept::Vsock(socket) => vec![socket.as_fd()],
            Kept::Routes(_) => Vec::new(),
            #[cfg(feature = "quic")]
            Kept::Quic(_) => Vec::new(),
        });
        (about.to_string(), sockets.collect())
    }

    /// What another process has told.
    pub(super) fn read(text: &str, sockets: Vec<OwnedFd>) -> io::Result<Self> {
        let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let about: Value = serde_json::from_str(text)?;
        if about["form"] != VERSION {
            let version = about["version"].as_str().unwrap_or("?");
            return Err(wrong(format!(
                "the process that runs is of version {version}, which speaks otherwise: restart it"
            )));
        }
        let mut sockets = VecDeque::from(sockets);
        let mut items = Self::default();
        for item in about["sockets"].as_array().into_iter().flatten() {
            let text = |key: &str| item[key].as_str().unwrap_or_default();
            let count = item["count"].as_u64().unwrap_or_default();
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            if count == 0 || count > sockets.len() {
                return Err(wrong("sockets are missing".to_owned()));
            }
            let mut own = sockets.drain(..count);
            let kept = match (text("kind"), own.len()) {
                ("tcp", _) => Kept::Tcp(own.map(Into::into).collect()),
                ("unix", 1) => {
                    let socket = own.next().expect("it is one");
                    let socket = UnixListenSocket::of(socket.into())?;
                    Kept::Unix(match item["path"] == true {
                        true => socket.with_path()?,
                        false => socket,
                    })
                }
                #[cfg(target_os = "linux")]
                ("vsock", 1) => {
                    let socket = own.next().expect("it is one");
                    Kept::Vsock(VsockListenSocket::of(socket)?)
                }
                (kind, _) => return Err(wrong(format!("a socket of the kind `{kind}`"))),
            };
            // What a newer program has beside is not for this one.
            if let Some(role) = Role::read(text("for"), text("name")) {
                items.add(role, kept);
            }
        }
        Ok(items)
    }
}

/// Says whether the path of a Unix socket is another process's.
pub(crate) fn leave_path(sockets: &Kept, is_left: bool) {
    if let Kept::Unix(socket) = sockets {
        socket.leave_path(is_left);
    }
}
