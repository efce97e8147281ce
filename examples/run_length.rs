//! A wire format of your own on side B: a run of equal bytes is sent as its length and the byte.
//! `docs/write-a-layer.md` explains it.
//!
//! ```sh
//! ncat --listen 127.0.0.1 8000 | xxd                               # the server
//! cargo run -p couplet-examples --example run_length               # in a second terminal
//! ncat 127.0.0.1 9000                                              # in a third
//! ```

use std::env;

use couplet_connector::{
    BoxError, Connector, Dial, Listen, Side,
    layers::{CodecLayer, Transform},
};
use tokio_util::bytes::{Buf, BufMut, BytesMut};

/// Writes each run of equal bytes as its length, 1 to 255, and the byte. A length of 0 is the end.
#[derive(Debug, Default)]
struct Pack {
    length: u8,
    byte: u8,
}

impl Pack {
    fn end_run(&mut self, wire: &mut BytesMut) {
        if self.length > 0 {
            wire.put_slice(&[self.length, self.byte]);
            self.length = 0;
        }
    }
}

impl Transform for Pack {
    fn transform(&mut self, plain: &mut BytesMut, wire: &mut BytesMut) -> Result<(), BoxError> {
        for byte in plain.split() {
            if byte != self.byte || self.length == u8::MAX {
                self.end_run(wire);
            }
            self.byte = byte;
            self.length += 1;
        }
        Ok(())
    }

    fn flush(&mut self, wire: &mut BytesMut) -> Result<(), BoxError> {
        self.end_run(wire);
        Ok(())
    }

    fn finish(&mut self, _: &mut BytesMut, wire: &mut BytesMut) -> Result<(), BoxError> {
        self.end_run(wire);
        wire.put_u8(0);
        Ok(())
    }
}

/// Reads what [`Pack`] writes.
#[derive(Debug, Default)]
struct Unpack {
    ended: bool,
}

impl Transform for Unpack {
    fn transform(&mut self, wire: &mut BytesMut, plain: &mut BytesMut) -> Result<(), BoxError> {
        while plain.len() < 64 * 1024 {
            match wire[..] {
                [] => break,
                _ if self.ended => return Err("bytes behind the end mark".into()),
                [0, ..] => {
                    self.ended = true;
                    wire.advance(1);
                }
                [_] => break,
                [length, byte, ..] => {
                    plain.put_bytes(byte, length.into());
                    wire.advance(2);
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut BytesMut, _: &mut BytesMut) -> Result<(), BoxError> {
        match self.ended {
            true => Ok(()),
            false => Err("stream without an end mark: the connection was cut".into()),
        }
    }
}

fn run_length() -> CodecLayer {
    CodecLayer::transforms(Unpack::default, Pack::default)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let mut arg = |default: &str| args.next().unwrap_or_else(|| default.into());
    let listen = Listen::bind(&*arg("127.0.0.1:9000")).await?;
    let dial = Dial::to(&arg("127.0.0.1:8000"))?;

    let connector = Connector::listen_dial(listen, dial)
        .layer_b(run_length())
        .start();

    println!("A listens on {}", connector.local_addr(Side::A)?);
    Ok(connector.done().await?)
}

#[cfg(test)]
mod tests {
    use couplet_conformance::Report;

    use super::*;

    #[test]
    fn a_run_is_two_bytes() {
        let (mut plain, mut wire) = (BytesMut::from("aaab"), BytesMut::new());
        let mut pack = Pack::default();
        pack.transform(&mut plain, &mut wire).unwrap();
        pack.finish(&mut plain, &mut wire).unwrap();
        assert_eq!(&wire[..], b"\x03a\x01b\0");
    }

    #[test]
    fn the_run_length_layer_conforms() -> Result<(), Report> {
        couplet_conformance::side(run_length())
            .peer(run_length())
            .has_end()
            .check()
    }
}
