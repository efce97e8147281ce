//! `compress=zstd`: what is spoken on the side is compressed.

use couplet_connector::{
    SideLayers,
    layers::{
        CodecLayer,
        payload::compress::{Lz4, Zstd},
    },
};

use super::{Context, Does, On, SideLayerSpec, SideOption, Value};
use crate::{
    layer_spec::{Bytes, LayerSpec, Source},
    mistake::Mistake,
    side::Given,
};

pub(super) static COMPRESS: SideOption = SideOption {
    name: "compress",
    on: On::Either,
    value: Value::Needed("zstd|zstd:LEVEL|lz4"),
    help: "compressed on this side, both ways; the other end does the same",
    settings: &[],
    does: Does::Layer(layer),
};

/// The level where none is given.
const LEVEL: i32 = 1;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Zstd(Option<i32>),
    Lz4,
}

fn layer(given: &Given<'_>, _: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let format = given.needed()?.parse(read)?;
    let spec = |layer: CodecLayer, name: &str| {
        let mut layers = SideLayers::new();
        layers.push(layer);
        LayerSpec::new("compress", layers)
            .bytes([Bytes::Copied("compress changes them"); 2])
            .set("format", name, Source::Side)
    };
    Ok(match format {
        Format::Zstd(level) => {
            let from = match level {
                Some(_) => Source::Side,
                None => Source::Default,
            };
            let level = level.unwrap_or(LEVEL);
            spec(Zstd::new().level(level).layer(), "zstd").set("level", level, from)
        }
        Format::Lz4 => spec(Lz4::new().layer(), "lz4"),
    })
}

fn read(value: &str) -> Result<Format, Mistake> {
    let (name, level) = match value.split_once(':') {
        Some((name, level)) => (name, Some(level)),
        None => (value, None),
    };
    match (name, level) {
        ("zstd", None) => Ok(Format::Zstd(None)),
        ("zstd", Some(level)) => match level.parse() {
            Ok(level @ 1..=22) => Ok(Format::Zstd(Some(level))),
            _ => Err(Mistake::new(
                format!("`{level}` is not a level of zstd"),
                "a number from 1, fast, to 22, small",
            )),
        },
        ("lz4", None) => Ok(Format::Lz4),
        ("lz4", Some(_)) => Err(Mistake::new("lz4 has no levels", "`lz4`")),
        _ => Err(Mistake::unknown(
            format!("`{value}` is not a compression"),
            name,
            &["zstd", "zstd:LEVEL", "lz4"],
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_and_its_level() {
        assert_eq!(read("zstd"), Ok(Format::Zstd(None)));
        assert_eq!(read("zstd:19"), Ok(Format::Zstd(Some(19))));
        assert_eq!(read("lz4"), Ok(Format::Lz4));
        for wrong in ["", "gzip", "zstd:", "zstd:0", "zstd:23", "zstd:-1", "lz4:1"] {
            read(wrong).unwrap_err();
        }
    }
}
