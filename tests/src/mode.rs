use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::{
    Couplet,
    net::{accept, connect, dial, listen},
};

/// One of the four modes: how A and B come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `listen:… listen:…`
    ListenListen,
    /// `listen:… dial:…`
    ListenDial,
    /// `dial:… listen:…`
    DialListen,
    /// `dial:… dial:…`
    DialDial,
}

/// The command in a mode, and the test at both its ends.
#[derive(Debug)]
pub struct Rig {
    /// The command.
    pub couplet: Couplet,
    a: End,
    b: End,
}

/// The test's end of a side.
#[derive(Debug)]
enum End {
    /// The command listens here.
    Connect(SocketAddr),
    /// The command dials this.
    Accept(TcpListener),
}

/// Makes of each function, which takes a [`Mode`], four tests.
#[macro_export]
macro_rules! in_every_mode {
    ($($test:ident)*) => {
        $(mod $test {
            use $crate::Mode;

            #[test]
            fn listen_listen() {
                super::$test(Mode::ListenListen);
            }

            #[test]
            fn listen_dial() {
                super::$test(Mode::ListenDial);
            }

            #[test]
            fn dial_listen() {
                super::$test(Mode::DialListen);
            }

            #[test]
            fn dial_dial() {
                super::$test(Mode::DialDial);
            }
        })*
    };
}

// ===== impl Rig =====

impl Rig {
    /// Starts the command in this mode with these options.
    pub fn new(mode: Mode, options: &[&str]) -> Self {
        let (a_dials, b_dials) = match mode {
            Mode::ListenListen => (false, false),
            Mode::ListenDial => (false, true),
            Mode::DialListen => (true, false),
            Mode::DialDial => (true, true),
        };
        let target = |dials: bool| dials.then(listen);
        let (a, b) = (target(a_dials), target(b_dials));
        let side = |target: &Option<TcpListener>| match target {
            Some(target) => dial(target),
            None => "listen:0".into(),
        };
        let couplet = Couplet::start(&[&[&*side(&a), &*side(&b)], options].concat());
        let end = |side, target| match target {
            Some(target) => End::Accept(target),
            None => End::Connect(couplet.address(side)),
        };
        let (a, b) = (end('A', a), end('B', b));
        Self { couplet, a, b }
    }

    /// A pair: the test's end of A, and that of B.
    #[track_caller]
    pub fn pair(&self) -> (TcpStream, TcpStream) {
        let (a, b) = (self.a.comes(), self.b.comes());
        let a = a.unwrap_or_else(|| self.a.is_come_to());
        let b = b.unwrap_or_else(|| self.b.is_come_to());
        (a, b)
    }

    /// The listener that the command dials, where it dials one.
    pub fn target(&self) -> &TcpListener {
        let mut ends = [&self.b, &self.a].into_iter();
        let target = ends.find_map(|end| match end {
            End::Accept(target) => Some(target),
            End::Connect(_) => None,
        });
        target.expect("it dials a side")
    }

    /// Where the command listens.
    pub fn listening(&self) -> impl Iterator<Item = SocketAddr> {
        [&self.a, &self.b].into_iter().filter_map(|end| match end {
            End::Connect(address) => Some(*address),
            End::Accept(_) => None,
        })
    }
}

// ===== impl End =====

impl End {
    fn comes(&self) -> Option<TcpStream> {
        match self {
            Self::Connect(address) => Some(connect(*address)),
            Self::Accept(_) => None,
        }
    }

    #[track_caller]
    fn is_come_to(&self) -> TcpStream {
        match self {
            Self::Connect(_) => unreachable!("the test has come to it"),
            Self::Accept(listener) => accept(listener),
        }
    }
}
