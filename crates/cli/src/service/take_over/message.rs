//! A text and descriptors, over a Unix socket: `SCM_RIGHTS` of unix(7).

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// How many descriptors go with one byte; Linux permits 253.
const AT_A_TIME: usize = 64;

/// How long a text may be, and how many descriptors there may be.
const MOST_TEXT: u32 = 1 << 20;
const MOST_SOCKETS: u32 = 1 << 16;

pub(super) fn send(
    mut stream: &UnixStream,
    text: &str,
    sockets: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let number = |length: usize| u32::try_from(length).map_err(io::Error::other);
    stream.write_all(&number(text.len())?.to_be_bytes())?;
    stream.write_all(&number(sockets.len())?.to_be_bytes())?;
    stream.write_all(text.as_bytes())?;
    for some in sockets.chunks(AT_A_TIME) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_A_TIME))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        if !rights.push(SendAncillaryMessage::ScmRights(some)) {
            return Err(io::Error::other("no room for the sockets"));
        }
        let byte = [IoSlice::new(b".")];
        sendmsg(stream, &byte, &mut rights, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

pub(super) fn receive(mut stream: &UnixStream) -> io::Result<(String, Vec<OwnedFd>)> {
    let mut number = |most: u32| {
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes)?;
        let number = u32::from_be_bytes(bytes);
        match number <= most {
            true => Ok(number as usize),
            false => Err(wrong("it is longer than can be")),
        }
    };
    let (length, expected) = (number(MOST_TEXT)?, number(MOST_SOCKETS)?);
    let mut text = vec![0; length];
    stream.read_exact(&mut text)?;
    let text = String::from_utf8(text).map_err(|_| wrong("it is no text"))?;
    let mut sockets = Vec::new();
    while sockets.len() < expected {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_A_TIME))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let mut byte = [IoSliceMut::new(&mut byte)];
        let received = recvmsg(stream, &mut byte, &mut rights, FLAGS)?;
        let before = sockets.len();
        for message in rights.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                sockets.extend(some);
            }
        }
        // Without descriptors left in this process, the system drops what does not fit.
        if received.bytes == 0 || sockets.len() == before {
            return Err(wrong("sockets are missing"));
        }
    }
    Ok((text, sockets))
}

#[cfg(target_os = "linux")]
const FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const FLAGS: RecvFlags = RecvFlags::empty();

fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd};

    use super::*;

    #[test]
    fn any_number_of_descriptors_comes_in_its_order() {
        for count in [0, 1, AT_A_TIME, AT_A_TIME + 1, 200] {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let files: Vec<_> = (0..count).map(|_| tempfile::tempfile().unwrap()).collect();
            for (number, mut file) in files.iter().enumerate() {
                file.write_all(&[number as u8]).unwrap();
            }
            let sending = std::thread::spawn(move || {
                let sockets: Vec<_> = files.iter().map(AsFd::as_fd).collect();
                send(&ours, "what they are", &sockets).unwrap();
                send(&ours, "more", &[]).unwrap();
            });
            let (text, sockets) = receive(&theirs).unwrap();
            assert_eq!((text.as_str(), sockets.len()), ("what they are", count));
            for (number, socket) in sockets.into_iter().enumerate() {
                use std::io::Seek;

                let mut file = File::from(socket);
                file.rewind().unwrap();
                let mut read = Vec::new();
                file.read_to_end(&mut read).unwrap();
                assert_eq!(read, [number as u8]);
            }
            assert_eq!(receive(&theirs).unwrap().0, "more");
            sending.join().unwrap();
        }
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for bytes in [
            &b""[..],
            b"\0\0\0\x02",
            &[0xff; 8],
            // One byte of text that is none, without descriptors.
            b"\0\0\0\x01\0\0\0\0\xff",
            // A descriptor that does not come.
            b"\0\0\0\0\0\0\0\x01.",
        ] {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            ours.write_all(bytes).unwrap();
            drop(ours);
            receive(&theirs).unwrap_err();
        }
    }
}
