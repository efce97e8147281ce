//! What a hypervisor shows the host of a virtual machine.

use std::{
    io::{Read, Write, copy},
    net::{Shutdown, SocketAddr, TcpStream},
    os::unix::net::UnixListener,
    path::Path,
    thread,
};

/// A connection that asks for this port of the machine gets one with the program that listens there, as Firecracker
/// has it: `CONNECT PORT`, `OK PORT`. One that asks for another is closed.
pub fn hypervisor(path: &Path, port: u32, program: SocketAddr) {
    let listener = UnixListener::bind(path).unwrap();
    let wanted = format!("CONNECT {port}");
    thread::spawn(move || {
        while let Ok((mut host, _)) = listener.accept() {
            let mut asked = Vec::new();
            let mut byte = [0];
            while host.read_exact(&mut byte).is_ok() && byte[0] != b'\n' {
                asked.push(byte[0]);
            }
            if asked != wanted.as_bytes() {
                continue;
            }
            let guest = TcpStream::connect(program).unwrap();
            host.write_all(b"OK 1073741824\n").unwrap();
            let (mut from, mut to) = (guest.try_clone().unwrap(), host.try_clone().unwrap());
            thread::spawn(move || {
                let _ = copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
            let (mut from, mut to) = (host, guest);
            thread::spawn(move || {
                let _ = copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    });
}
