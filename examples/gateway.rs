//! A gateway between two protocols: clients send lines of JSON, the server speaks frames with a
//! length, a number and a text. A client whose line is not understood is told why.
//!
//! ```sh
//! ncat --listen --keep-open 127.0.0.1 8000 | xxd                   # in place of a server: shows the frames
//! cargo run -p couplet-examples --example gateway                  # in a second terminal
//! ncat 127.0.0.1 9000                                              # in a third; type a line:
//! {"id": 7, "text": "hello"}
//! ```

use std::env;

use couplet_connector::{
    BoxError, Connector, Dial, Listen, Side,
    layers::{TransformLayer, map_items},
};
use serde_json::{Value, json};
use tokio_util::{
    bytes::{Buf, BufMut, Bytes, BytesMut},
    codec::{LengthDelimitedCodec, LinesCodec},
};

/// The longest line, and the longest frame.
const LONGEST: usize = 64 * 1024;

/// `{"id": 7, "text": "hello"}` as a frame: eight bytes of number, then the text.
fn to_frame(line: String) -> Result<Option<Bytes>, BoxError> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    let message: Value = serde_json::from_str(&line)?;
    let id = message["id"].as_u64().ok_or("`id` must be a number")?;
    let text = message["text"].as_str().ok_or("`text` must be a string")?;
    let mut frame = BytesMut::with_capacity(8 + text.len());
    frame.put_u64(id);
    frame.put_slice(text.as_bytes());
    Ok(Some(frame.freeze()))
}

/// A frame as a line of JSON.
fn to_line(mut frame: BytesMut) -> Result<Option<String>, BoxError> {
    let id = frame.try_get_u64()?;
    let text = str::from_utf8(&frame)?;
    Ok(Some(json!({ "id": id, "text": text }).to_string()))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let mut arg = |default: &str| args.next().unwrap_or_else(|| default.into());
    let lines = || LinesCodec::new_with_max_length(LONGEST);
    let frames = || {
        let mut builder = LengthDelimitedCodec::builder();
        builder.max_frame_length(LONGEST).new_codec()
    };
    let gateway = TransformLayer::new()
        .a_to_b(move || {
            map_items(lines(), to_frame, frames())
                .last_words(|error| format!("{}\n", json!({ "error": error.to_string() })).into())
        })
        .b_to_a(move || map_items(frames(), to_line, lines()));

    let listen = Listen::bind(&*arg("127.0.0.1:9000")).await?;
    let connector = Connector::listen_dial(listen, Dial::to(&arg("127.0.0.1:8000"))?)
        .layer_pair(gateway)
        .start();

    println!("A listens on {}", connector.local_addr(Side::A)?);
    Ok(connector.done().await?)
}
