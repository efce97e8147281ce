use std::{
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::{TcpListener, TcpSocket};

/// How the clients come to the relay, what waits beside them, and where the backend is.
#[derive(Clone, Debug, PartialEq, clap::Args)]
pub(crate) struct Setting {
    /// Clients speak TLS, and trust this CA.
    #[arg(long)]
    pub(crate) ca: Option<PathBuf>,
    /// No client resumes a session of TLS.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// This many pairs are open and idle meanwhile.
    #[arg(long, default_value_t = 0)]
    pub(crate) beside: usize,
    /// The backend's address.
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST.into())]
    pub(crate) backend: IpAddr,
    /// The file of the backend's network namespace, if that is another.
    #[arg(long)]
    pub(crate) namespace: Option<PathBuf>,
}

// ===== impl Setting =====

impl Setting {
    /// As the command line of the generator.
    pub(crate) fn args(&self) -> Vec<String> {
        let mut args = vec![
            format!("--beside={}", self.beside),
            format!("--backend={}", self.backend),
        ];
        if self.fresh {
            args.push("--fresh".to_owned());
        }
        let files = [("ca", &self.ca), ("namespace", &self.namespace)];
        for (name, file) in files {
            args.extend(
                file.as_ref()
                    .map(|file| format!("--{name}={}", file.display())),
            );
        }
        args
    }

    /// Listens where the backend is.
    pub(super) fn listen(&self) -> io::Result<TcpListener> {
        let socket = match &self.namespace {
            None => TcpSocket::new_v4(),
            Some(namespace) => {
                let namespace = File::open(namespace)?;
                // A socket stays where it was made. The thread that went there ends.
                let made = thread::spawn(move || {
                    let network = Some(LinkNameSpaceType::Network);
                    move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), network)?;
                    TcpSocket::new_v4()
                });
                made.join()
                    .unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
            }
        }?;
        socket.set_nodelay(true)?; // which accepted connections inherit
        socket.bind((self.backend, 0).into())?;
        socket.listen(4096)
    }
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            ca: None,
            fresh: false,
            beside: 0,
            backend: Ipv4Addr::LOCALHOST.into(),
            namespace: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        setting: Setting,
    }

    #[test]
    fn a_setting_is_the_same_after_a_trip_through_the_command_line() {
        let all = Setting {
            ca: Some("/tmp/ca.pem".into()),
            fresh: true,
            beside: 7,
            backend: Ipv4Addr::new(198, 18, 0, 6).into(),
            namespace: Some("/run/netns/s".into()),
        };
        for setting in [Setting::default(), all] {
            let args = [vec!["load".to_owned()], setting.args()].concat();
            assert_eq!(Args::parse_from(args).setting, setting);
        }
    }
}
