//! `streams=…` and `window=…`: the bounds of a side over QUIC.

use super::{Does, On, SideOption, Value};
use crate::{
    mistake::Mistake,
    units::{count, size},
};

pub(super) static STREAMS: SideOption = SideOption {
    name: "streams",
    on: On::Either,
    value: Value::Needed("NUMBER"),
    help: "of QUIC: at most this many streams over one connection of UDP; beyond that a dial opens another [default: 100]",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        let streams = given.needed()?;
        endpoint.quic.streams = Some(streams.parse(|text| {
            let count = count(text)?;
            u32::try_from(count.get()).map_err(|_| {
                Mistake::new(
                    format!("`{text}` are too many streams"),
                    "at most 4294967295",
                )
            })
        })?);
        Ok(())
    }),
};

pub(super) static WINDOW: SideOption = SideOption {
    name: "window",
    on: On::Either,
    value: Value::Needed("SIZE"),
    help: "of QUIC: how many bytes a peer may send ahead of a stream's reader [default: 256KiB]",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        let window = given.needed()?;
        endpoint.quic.window = Some(window.parse(|text| {
            let size = size(text)?.as_u64();
            u32::try_from(size).map_err(|_| {
                let message = format!("a window of `{text}` is too large");
                Mistake::new(message, "less than 4GiB; 256KiB is the default")
            })
        })?);
        Ok(())
    }),
};
