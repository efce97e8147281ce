//! An example as a process, and what the tests of several examples share.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
};

/// An example at work; it is ended with the test.
pub(super) struct Example {
    pub(super) process: Child,
    said: BufReader<ChildStdout>,
}

impl Example {
    pub(super) fn start(name: &str, args: [&str; 2]) -> Self {
        Self::start_with(name, &args)
    }

    pub(super) fn start_with(name: &str, args: &[&str]) -> Self {
        // Examples lie beside the tests' folder, and `cargo test` has just built them.
        let tests = env::current_exe().unwrap();
        let target = tests.ancestors().nth(2).unwrap();
        let mut process = Command::new(target.join("examples").join(name))
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("the example {name} is not built: {error}"));
        let said = BufReader::new(process.stdout.take().unwrap());
        Self { process, said }
    }

    /// Reads what it says until a line has `part` in it.
    pub(super) fn says(&mut self, part: &str) -> String {
        self.says_up_to(part).pop().unwrap()
    }

    /// What it says up to the line that has `part` in it.
    pub(super) fn says_up_to(&mut self, part: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let read = self.said.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended without a word of {part:?}");
            let found = line.contains(part);
            lines.push(line.trim_end().to_owned());
            if found {
                return lines;
            }
        }
    }

    pub(super) fn connect(&mut self, side: &str) -> TcpStream {
        let line = self.says(&format!("{side} listens on "));
        let address: SocketAddr = line.rsplit(' ').next().unwrap().parse().unwrap();
        TcpStream::connect(address).unwrap()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) const ANY: [&str; 2] = ["127.0.0.1:0", "127.0.0.1:0"];

pub(super) fn rest(stream: &mut TcpStream) -> String {
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    rest
}

/// A refused client is reset: an end of stream would be made up.
pub(super) fn is_reset(stream: &mut TcpStream) {
    assert!(stream.read(&mut [0; 1]).is_err());
}

/// Which of them is reset first, with nothing before.
pub(super) fn first_reset(streams: &[TcpStream]) -> usize {
    let (tell, closed) = mpsc::channel();
    for (number, stream) in streams.iter().enumerate() {
        let (stream, tell) = (stream.try_clone().unwrap(), tell.clone());
        thread::spawn(move || {
            // A reset: the end of a stream would be its partner's.
            if stream.peek(&mut [0]).is_err() {
                tell.send(number).unwrap();
            }
        });
    }
    drop(tell);
    closed.recv().unwrap()
}

/// A TLS ClientHello that asks for this name and nothing else.
pub(super) fn client_hello(name: &str) -> Vec<u8> {
    fn prefixed<const WIDTH: usize>(bytes: &[u8]) -> Vec<u8> {
        let len = bytes.len().to_be_bytes();
        [&len[len.len() - WIDTH..], bytes].concat()
    }
    let entry = [&[0], &*prefixed::<2>(name.as_bytes())].concat();
    let extension = [&[0, 0], &*prefixed::<2>(&prefixed::<2>(&entry))].concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &prefixed::<1>(&[]),
        &prefixed::<2>(&[0x13, 1]),
        &prefixed::<1>(&[0]),
        &prefixed::<2>(&extension),
    ];
    let message = [&[1], &*prefixed::<3>(&body.concat())].concat();
    [&[22, 3, 1], &*prefixed::<2>(&message)].concat()
}
