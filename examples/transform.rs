//! Changes bytes: from A to B to capitals with a plain function, from B to A with line numbers by a
//! codec, which changes lengths.
//!
//! ```sh
//! ncat --listen 127.0.0.1 8000                                     # the server
//! cargo run -p couplet-examples --example transform                # in a second terminal
//! ncat 127.0.0.1 9000                                              # in a third
//! ```

use std::env;

use couplet_connector::{
    BoxError, Connector, Dial, Listen, Side,
    layers::{Codec, TransformLayer, map_bytes},
};
use tokio_util::{
    bytes::BytesMut,
    codec::{Encoder, LinesCodec},
};

/// Writes lines with a number before each.
#[derive(Debug, Default)]
struct Numbered(u64);

impl Encoder<String> for Numbered {
    type Error = std::io::Error;

    fn encode(&mut self, line: String, out: &mut BytesMut) -> Result<(), Self::Error> {
        self.0 += 1;
        out.extend_from_slice(format!("{}: {line}\n", self.0).as_bytes());
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let mut arg = |default: &str| args.next().unwrap_or_else(|| default.into());
    // The closures run for each pair.
    let transforms = TransformLayer::new()
        .a_to_b(|| map_bytes(|bytes| bytes.to_ascii_uppercase()))
        .b_to_a(|| Codec::new(LinesCodec::new_with_max_length(4096), Numbered::default()));

    let listen = Listen::bind(&*arg("127.0.0.1:9000")).await?;
    let connector = Connector::listen_dial(listen, Dial::to(&arg("127.0.0.1:8000"))?)
        .layer_pair(transforms)
        .start();

    println!("A listens on {}", connector.local_addr(Side::A)?);
    Ok(connector.done().await?)
}
