use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use super::setting::Setting;

/// What is behind the relay.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) addr: SocketAddr,
    open: Arc<AtomicUsize>,
}

/// A connection to the backend, while it is counted.
struct Open(Arc<AtomicUsize>);

// ===== impl Backend =====

impl Backend {
    /// Serves each connection so, until that returns. A relay that was looked for, and a client
    /// that is content, end it with an error: that is fine.
    pub(super) fn start<S, F>(setting: &Setting, serve: S) -> io::Result<Self>
    where
        S: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = setting.listen()?;
        let addr = listener.local_addr()?;
        let open = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&open);
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let open = Open::new(&counter);
                        let serving = serve(stream);
                        tokio::spawn(async move {
                            let _ = serving.await;
                            drop(open);
                        });
                    }
                    Err(error) => {
                        eprintln!("the backend can't accept: {error}");
                        sleep(Duration::from_millis(10)).await;
                    }
                }
            }
        });
        Ok(Self { addr, open })
    }

    /// Waits until this many connections are open. The driver ends a process that waits too long.
    pub(super) async fn open(&self, connections: usize) {
        while self.open.load(Ordering::Relaxed) != connections {
            sleep(Duration::from_millis(2)).await;
        }
    }
}

// ===== impl Open =====

impl Open {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

// ===== both ends =====

/// Answers each request of that size with as much, once all of it is there.
pub(super) async fn answer(mut stream: TcpStream, size: usize) -> io::Result<()> {
    let mut message = vec![0; size];
    loop {
        stream.read_exact(&mut message).await?;
        stream.write_all(&message).await?;
    }
}

/// Asks, and waits for all of the answer.
pub(super) async fn ask<S>(stream: &mut S, message: &mut [u8]) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(message).await?;
    stream.flush().await?;
    stream.read_exact(message).await?;
    Ok(())
}
