//! `mux`: many connections over one, over any stack, and what becomes of them when it fails.

mod carriers;
mod ends;
mod leave;
mod stacks;

use std::net::{SocketAddr, TcpListener, TcpStream};

use couplet_tests::{
    Couplet,
    net::{accept, connect, dial, listen},
};

/// Two couplets with a carrier between them, and a server behind the far one.
struct Tunnel {
    near: Couplet,
    far: Couplet,
    server: TcpListener,
}

impl Tunnel {
    /// With these options in front of `mux` and behind it.
    fn new(listens: &str, dials: &str) -> Self {
        Self::through(listens, dials, |address| address)
    }

    /// `between`: what is put between them, as the near one dials it.
    fn through(listens: &str, dials: &str, between: impl FnOnce(SocketAddr) -> SocketAddr) -> Self {
        let server = listen();
        let far = Couplet::start(&[&format!("listen:127.0.0.1:0{listens}"), &dial(&server)]);
        let dialled = between(far.address('A'));
        let near = Couplet::start(&["listen:127.0.0.1:0", &format!("dial:{dialled}{dials}")]);
        Self { near, far, server }
    }

    fn pair(&self) -> (TcpStream, TcpStream) {
        let client = connect(self.near.address('A'));
        (client, accept(&self.server))
    }
}
