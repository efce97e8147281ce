use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::Stream;
use tokio::net::{UnixListener, UnixStream};

use super::{UnixListenOptions, file::OwnFile, peer};
use crate::{
    accept_errors::AcceptErrors,
    address::{AddressError, UnixAddr},
    conn::{Conn, Origin},
    endpoint::{Endpoint, LocalAddr},
    listen::{BindError, accept_retry::AcceptRetry},
};

/// Listens on a Unix socket: the stream of the accepted connections.
///
/// The stream is as that of [`Listen`](crate::Listen): it has no end, and outlives errors that pass,
/// such as `EMFILE`. [`Info::unix`](crate::Info::unix) holds the client's credentials; `peer` and
/// `local` are `None`.
///
/// **A Unix socket has no reset.** A connection that is aborted is closed, and its peer reads an end of
/// stream, as of one that has ended well. Only a peer whose own bytes lie unread reads `ECONNRESET`,
/// behind all that was sent to it. So a peer that has to tell a whole stream from one that was cut needs
/// an end within the stream: that of TLS, of a frame, of its own protocol.
///
/// When it is dropped, it stops listening, and removes its path if the path is still its own.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), couplet_endpoint::BoxError> {
/// use couplet_endpoint::{UnixDial, UnixListen};
/// use futures::TryStreamExt;
///
/// # let path = std::env::temp_dir().join(format!("couplet-doc-{}", std::process::id()));
/// let mut listen = UnixListen::options().mode(0o600).bind(path.to_str().expect("UTF-8")).await?;
/// let server = UnixDial::new(listen.addr().clone()).connect().await?;
/// let client = listen.try_next().await?.expect("it has no end");
/// assert_eq!(client.info.unix().expect("a Unix socket").pid, Some(std::process::id()));
/// drop(listen);
/// assert!(!path.exists());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UnixListen {
    /// First, so that the path is removed before the socket is closed: in between, the path of a socket
    /// on which no program listens would be another program's to replace.
    file: Option<Arc<OwnFile>>,
    listener: UnixListener,
    addr: Arc<UnixAddr>,
    retry: AcceptRetry,
}

/// A listening Unix socket and its path, to be taken over: [`UnixListen::socket`],
/// [`UnixListenOptions::adopt`]. The path is removed with the last owner.
#[derive(Debug)]
pub struct UnixListenSocket {
    pub(super) file: Option<Arc<OwnFile>>,
    pub(super) listener: std::os::unix::net::UnixListener,
    pub(super) addr: UnixAddr,
}

// ===== impl UnixListen =====

impl UnixListen {
    /// Listens with the default [`options`](Self::options).
    ///
    /// # Errors
    ///
    /// As [`UnixListenOptions::bind`], which says more.
    pub async fn bind<A>(addr: A) -> Result<Self, BindError>
    where
        A: TryInto<UnixAddr, Error: Into<AddressError>>,
    {
        Self::options().bind(addr).await
    }

    /// Options, to be set before [`bind`](UnixListenOptions::bind).
    pub const fn options() -> UnixListenOptions {
        UnixListenOptions::new()
    }

    /// The name that it listens on.
    pub fn addr(&self) -> &UnixAddr {
        &self.addr
    }

    /// The socket, duplicated: it shares the accept queue, and keeps it and the path when this listener is
    /// dropped.
    ///
    /// # Errors
    ///
    /// Without descriptors (`EMFILE`).
    pub fn socket(&self) -> io::Result<UnixListenSocket> {
        use std::os::fd::AsFd;

        Ok(UnixListenSocket {
            file: self.file.clone(),
            listener: self.listener.as_fd().try_clone_to_owned()?.into(),
            addr: self.addr().clone(),
        })
    }

    pub(super) fn new(
        listener: std::os::unix::net::UnixListener,
        addr: UnixAddr,
        file: Option<Arc<OwnFile>>,
    ) -> io::Result<Self> {
        Ok(Self {
            file,
            listener: UnixListener::from_std(listener)?,
            addr: Arc::new(addr),
            retry: AcceptRetry::default(),
        })
    }
}

impl Stream for UnixListen {
    type Item = io::Result<Conn<UnixStream>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self {
            listener,
            addr,
            retry,
            ..
        } = &mut *self;
        let accept = |cx: &mut Context<'_>| {
            let (io, _) = ready!(listener.poll_accept(cx))?;
            let peer = peer(&io, addr)?;
            let mut conn = Conn::new(io, Origin::Accepted);
            conn.info.extensions.insert(peer);
            Poll::Ready(Ok(conn))
        };
        retry.poll(cx, &**addr, accept).map(Some)
    }
}

impl Endpoint for UnixListen {
    type Io = UnixStream;
    type Error = io::Error;

    fn local_addr(&self) -> Option<LocalAddr> {
        Some(self.addr().clone().into())
    }

    fn accept_errors(&self) -> Option<AcceptErrors> {
        Some(self.retry.errors.clone())
    }
}

// ===== impl UnixListenSocket =====

impl std::os::fd::AsFd for UnixListenSocket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl UnixListenSocket {
    /// A socket that another program has opened, systemd for example. Its path is that program's, and
    /// stays when the socket is closed.
    ///
    /// # Errors
    ///
    /// Where the socket has no name.
    pub fn of(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        let name = socket2::SockRef::from(&listener).local_addr()?;
        let path = name
            .as_pathname()
            .and_then(|path| UnixAddr::path(path).ok());
        let name = name.as_abstract_namespace();
        let name = path.or_else(|| UnixAddr::abstract_name(name?).ok());
        let unnamed =
            || io::Error::new(io::ErrorKind::InvalidInput, "a Unix socket without a name");
        Ok(Self {
            file: None,
            listener,
            addr: name.ok_or_else(unnamed)?,
        })
    }

    /// The same with its path, which is another process's for now, and stays. Once it is this one's,
    /// [`leave_path`](Self::leave_path) says so, in both.
    ///
    /// # Errors
    ///
    /// Where nothing is at the path.
    pub fn with_path(self) -> io::Result<Self> {
        let file = self.addr.as_path().map(OwnFile::of).transpose()?;
        if let Some(file) = &file {
            file.leave(true);
        }
        let file = file.map(Arc::new);
        Ok(Self { file, ..self })
    }

    /// Whether the path stays when its last owner in this process is dropped: another process has taken the
    /// socket over. It is removed by default.
    pub fn leave_path(&self, is_left: bool) {
        if let Some(file) = &self.file {
            file.leave(is_left);
        }
    }

    /// Whether the path is removed by this process, or by another one that it is left to.
    pub fn has_path(&self) -> bool {
        self.file.is_some()
    }

    /// The name that it listens on.
    pub fn addr(&self) -> &UnixAddr {
        &self.addr
    }

    /// The same once more.
    ///
    /// # Errors
    ///
    /// Without descriptors (`EMFILE`).
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            file: self.file.clone(),
            listener: self.listener.try_clone()?,
            addr: self.addr.clone(),
        })
    }
}
