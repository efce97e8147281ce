//! The environment of a program.

use std::{
    env,
    ffi::OsString,
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use rustix::fs::Access;

use crate::conn::Info;

/// Of the client that it is started for.
pub(super) fn of(client: &Info) -> Vec<(OsString, OsString)> {
    let mut all = Vec::new();
    for (what, addr) in [("PEER", client.peer), ("SOCK", client.local)] {
        if let Some(addr) = addr {
            all.push((format!("SOCAT_{what}ADDR").into(), ip(addr).into()));
            let port = addr.port().to_string();
            all.push((format!("SOCAT_{what}PORT").into(), port.into()));
        }
    }
    if let Some(unix) = client.unix()
        && let Some(path) = unix.socket.as_path()
    {
        all.push(("SOCAT_SOCKADDR".into(), path.into()));
    }
    all
}

/// As socat writes it.
fn ip(addr: SocketAddr) -> String {
    match addr.ip().to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let groups = ip.segments().map(|group| format!("{group:04x}"));
            format!("[{}]", groups.join(":"))
        }
    }
}

/// Looks for a program as execvp(3) does.
pub(super) fn find(program: &str) -> io::Result<()> {
    let runs = |path: &Path| {
        rustix::fs::access(path, Access::EXEC_OK)?;
        match path.is_dir() {
            true => Err(io::ErrorKind::PermissionDenied.into()),
            false => Ok(()),
        }
    };
    if program.contains('/') {
        return runs(Path::new(program));
    }
    let path = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let mut found = Err(io::ErrorKind::NotFound.into());
    for folder in env::split_paths(&path) {
        let path: PathBuf = folder.join(program);
        match runs(&path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => found = Err(error),
            Err(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::{Origin, UnixPeer};

    fn shown(client: &Info) -> Vec<String> {
        let all = of(client).into_iter();
        all.map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect()
    }

    #[test]
    fn a_client_is_told_in_socats_words() {
        let mut client = Info::new(Origin::Accepted);
        assert!(shown(&client).is_empty());
        client.peer = Some("[::ffff:192.0.2.1]:7".parse().unwrap());
        client.local = Some("[2001:db8::1]:80".parse().unwrap());
        assert_eq!(
            shown(&client),
            [
                "SOCAT_PEERADDR=192.0.2.1",
                "SOCAT_PEERPORT=7",
                "SOCAT_SOCKADDR=[2001:0db8:0000:0000:0000:0000:0000:0001]",
                "SOCAT_SOCKPORT=80",
            ]
        );
        let mut client = Info::new(Origin::Accepted);
        let socket: crate::UnixAddr = "/run/a".parse().unwrap();
        client.extensions.insert(UnixPeer::new(socket, 0, 0, None));
        assert_eq!(shown(&client), ["SOCAT_SOCKADDR=/run/a"]);
    }

    #[test]
    fn a_program_is_found_by_name_or_path() {
        find("sh").unwrap();
        find("/bin/sh").unwrap();
        for missing in ["no-such-program", "/bin/no-such-program"] {
            assert_eq!(find(missing).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        for unfit in ["/etc/passwd", "/bin"] {
            let error = find(unfit).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{unfit}");
        }
    }
}
