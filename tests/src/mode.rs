use std::{
    cell::Cell,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixListener,
    path::PathBuf,
};

use tempfile::TempDir;

use crate::{
    Certificate, Couplet,
    net::{accept, connect, dial, listen, listens_no_more, unix},
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
    /// Where the Unix sockets are, or the certificates.
    _scratch: Option<TempDir>,
    /// What speaks QUIC in place of the test.
    _helpers: Vec<Couplet>,
}

/// What the sides of a rig are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Over {
    Tcp,
    Unix,
    Quic,
}

thread_local! {
    /// What the test of this thread uses.
    static OVER: Cell<Over> = const { Cell::new(Over::Tcp) };
}

/// Runs a test whose [`Rig`]s have Unix sockets at both ends.
///
/// The test handles them as [`TcpStream`]s, which is right for what any socket can do: read, write,
/// peek, shut down, wait with a bound.
pub fn over_unix(test: impl FnOnce()) {
    OVER.set(Over::Unix);
    test();
}

/// Runs a test whose [`Rig`]s have QUIC at both ends. The test handles TCP: a second command at each end speaks
/// QUIC for it, so what is seen there has gone through three of them.
pub fn over_quic(test: impl FnOnce()) {
    OVER.set(Over::Quic);
    test();
}

/// The test's end of a side.
#[derive(Debug)]
enum End {
    /// The command listens here.
    Connect(SocketAddr),
    /// The command dials this.
    Accept(TcpListener),
    /// The command listens on this path.
    ConnectUnix(PathBuf),
    /// The command dials this path.
    AcceptUnix(UnixListener),
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

/// The same, and four tests more, over Unix sockets.
#[macro_export]
macro_rules! in_every_mode_and_over_unix {
    ($($test:ident)*) => {
        $crate::in_every_mode! { $($test)* }

        mod unix {
            $(mod $test {
                use $crate::{Mode, over_unix};

                #[test]
                fn listen_listen() {
                    over_unix(|| super::super::$test(Mode::ListenListen));
                }

                #[test]
                fn listen_dial() {
                    over_unix(|| super::super::$test(Mode::ListenDial));
                }

                #[test]
                fn dial_listen() {
                    over_unix(|| super::super::$test(Mode::DialListen));
                }

                #[test]
                fn dial_dial() {
                    over_unix(|| super::super::$test(Mode::DialDial));
                }
            })*
        }
    };
}

/// The same, over QUIC alone.
#[macro_export]
macro_rules! in_every_mode_over_quic {
    ($($test:ident)*) => {
        mod quic {
            $(mod $test {
                use $crate::{Mode, over_quic};

                #[test]
                fn listen_listen() {
                    over_quic(|| super::super::$test(Mode::ListenListen));
                }

                #[test]
                fn listen_dial() {
                    over_quic(|| super::super::$test(Mode::ListenDial));
                }

                #[test]
                fn dial_listen() {
                    over_quic(|| super::super::$test(Mode::DialListen));
                }

                #[test]
                fn dial_dial() {
                    over_quic(|| super::super::$test(Mode::DialDial));
                }
            })*
        }
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
        match OVER.get() {
            Over::Tcp => {}
            Over::Unix => return Self::over_unix([a_dials, b_dials], options),
            Over::Quic => return Self::over_quic([a_dials, b_dials], options),
        }
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
        Self {
            couplet,
            a,
            b,
            _scratch: None,
            _helpers: Vec::new(),
        }
    }

    fn over_quic(dials: [bool; 2], options: &[&str]) -> Self {
        let certificate = Certificate::new();
        let mut helpers = Vec::new();
        // A helper that is dialled is there first.
        let targets = dials.map(|dials| {
            dials.then(|| {
                let target = listen();
                let helper = Couplet::start(&[&certificate.listens(), &dial(&target)]);
                let side = certificate.dials(helper.quic_port('A'));
                helpers.push(helper);
                (side, target)
            })
        });
        let side = |target: &Option<(String, TcpListener)>| match target {
            Some((side, _)) => side.clone(),
            None => certificate.listens(),
        };
        let sides = [side(&targets[0]), side(&targets[1])];
        let couplet = Couplet::start(&[&[&*sides[0], &*sides[1]], options].concat());
        let mut ends = targets
            .into_iter()
            .zip(['A', 'B'])
            .map(|(target, side)| match target {
                Some((_, target)) => End::Accept(target),
                None => {
                    let helper = certificate.dials(couplet.quic_port(side));
                    let helper = Couplet::start(&["listen:0", &helper]);
                    let address = helper.address('A');
                    helpers.push(helper);
                    End::Connect(address)
                }
            });
        let (a, b) = (ends.next().unwrap(), ends.next().unwrap());
        drop(ends);
        Self {
            couplet,
            a,
            b,
            _scratch: Some(certificate.folder),
            _helpers: helpers,
        }
    }

    fn over_unix(dials: [bool; 2], options: &[&str]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let [a, b] = [("a", dials[0]), ("b", dials[1])].map(|(name, dials)| {
            let path = scratch.path().join(name);
            match dials {
                true => (
                    format!("dial:unix:{}", path.display()),
                    End::AcceptUnix(unix::listen(&path)),
                ),
                false => (
                    format!("listen:unix:{}", path.display()),
                    End::ConnectUnix(path),
                ),
            }
        });
        Self {
            couplet: Couplet::start(&[&[&*a.0, &*b.0], options].concat()),
            a: a.1,
            b: b.1,
            _scratch: Some(scratch),
            _helpers: Vec::new(),
        }
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
            _ => None,
        });
        target.expect("it dials a side")
    }

    /// Where the command listens.
    pub fn listening(&self) -> impl Iterator<Item = SocketAddr> {
        [&self.a, &self.b].into_iter().filter_map(|end| match end {
            End::Connect(address) => Some(*address),
            _ => None,
        })
    }

    /// Waits until the command listens no more, wherever it did.
    #[track_caller]
    pub fn listens_no_more(&self) {
        for end in [&self.a, &self.b] {
            match end {
                End::Connect(address) => listens_no_more(*address),
                End::ConnectUnix(path) => unix::listens_no_more(path),
                End::Accept(_) | End::AcceptUnix(_) => {}
            }
        }
    }
}

// ===== impl End =====

impl End {
    fn comes(&self) -> Option<TcpStream> {
        match self {
            Self::Connect(address) => Some(connect(*address)),
            Self::ConnectUnix(path) => Some(unix::connect(path)),
            Self::Accept(_) | Self::AcceptUnix(_) => None,
        }
    }

    #[track_caller]
    fn is_come_to(&self) -> TcpStream {
        match self {
            Self::Connect(_) | Self::ConnectUnix(_) => unreachable!("the test has come to it"),
            Self::Accept(listener) => accept(listener),
            Self::AcceptUnix(listener) => unix::accept(listener),
        }
    }
}
