//! `compress=zstd`: the bytes of a side are compressed.

use bytesize::ByteSize;
use couplet_connector::layers::{
    CodecLayer,
    payload::compress::{Lz4, Zstd},
};

use super::{Context, Does, On, SideLayerSpec, SideOption, SideSetting, Value};
use crate::{layer_spec::Source, mistake::Mistake, side::Given, units::size};

pub(super) static COMPRESS: SideOption = SideOption {
    name: "compress",
    on: On::Either,
    value: Value::Needed("zstd|zstd:LEVEL|lz4"),
    help: "compress this side, both ways; the peer needs the same option",
    settings: &[SideSetting {
        name: "window",
        value: "SIZE",
        help: "the largest window that the peer may use; memory of each connection [default: 8MiB]",
        many: false,
    }],
    does: Does::Layer(layer),
};

/// The level where none is given.
const LEVEL: i32 = 1;

/// The library's default.
const WINDOW: ByteSize = ByteSize::mib(8);

/// What this command writes.
const LEAST_WINDOW: ByteSize = ByteSize::kib(64);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Zstd(Option<i32>),
    Lz4,
}

fn layer(given: &Given<'_>, _: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let format = given.needed()?.parse(read)?;
    let (window, window_from) = match given.setting("window") {
        None => (WINDOW, Source::Default),
        Some(value) => (value.parse(window)?, Source::Side),
    };
    let max_window = usize::try_from(window.as_u64()).unwrap_or(usize::MAX);
    let spec = |layer: CodecLayer, name: &str| {
        SideLayerSpec::wrapper("compress", layer)
            .set("format", name, Source::Side)
            .set("window", window, window_from)
    };
    Ok(match format {
        Format::Zstd(level) => {
            let from = match level {
                Some(_) => Source::Side,
                None => Source::Default,
            };
            let level = level.unwrap_or(LEVEL);
            let zstd = Zstd::new().level(level).max_window(max_window);
            spec(zstd.layer(), "zstd").set("level", level, from)
        }
        Format::Lz4 => spec(Lz4::new().max_window(max_window).layer(), "lz4"),
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

fn window(value: &str) -> Result<ByteSize, Mistake> {
    match size(value)? {
        size if size < LEAST_WINDOW => Err(Mistake::new(
            format!("`{value}` is less than the window that couplet writes"),
            "`64KiB` or more",
        )),
        size => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_may_have_a_level() {
        assert_eq!(read("zstd"), Ok(Format::Zstd(None)));
        assert_eq!(read("zstd:19"), Ok(Format::Zstd(Some(19))));
        assert_eq!(read("lz4"), Ok(Format::Lz4));
        for wrong in ["", "gzip", "zstd:", "zstd:0", "zstd:23", "zstd:-1", "lz4:1"] {
            read(wrong).unwrap_err();
        }
    }

    #[test]
    fn a_window_has_a_unit_and_is_not_too_small() {
        assert_eq!(window("128MiB"), Ok(ByteSize::mib(128)));
        for wrong in ["", "0", "8388608", "63KiB", "much"] {
            window(wrong).unwrap_err();
        }
    }
}
