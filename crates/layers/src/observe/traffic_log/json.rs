//! Reads and ends as JSON.

use std::str;

use couplet_endpoint::Side;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::hex;

/// One record.
pub(super) struct Entry<'a> {
    pub(super) time: String,
    pub(super) session: u64,
    pub(super) from: Side,
    pub(super) what: What<'a>,
}

pub(super) enum What<'a> {
    Data {
        offset: u64,
        length: usize,
        bytes: &'a [u8],
    },
    End {
        total: u64,
        how: String,
    },
}

// ===== impl Entry =====

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &self.time)?;
        map.serialize_entry("session", &self.session)?;
        map.serialize_entry("from", &self.from.to_string())?;
        match &self.what {
            What::Data {
                offset,
                length,
                bytes,
            } => {
                map.serialize_entry("offset", offset)?;
                map.serialize_entry("length", length)?;
                let (name, shown) = shown(bytes);
                map.serialize_entry(name, &shown)?;
            }
            What::End { total, how } => {
                map.serialize_entry("total", total)?;
                map.serialize_entry("end", how)?;
            }
        }
        map.end()
    }
}

/// `text` where the bytes are UTF-8, else `hex`; both can be read back.
pub(super) fn shown(bytes: &[u8]) -> (&'static str, String) {
    match str::from_utf8(bytes) {
        Ok(text) => ("text", text.to_owned()),
        Err(_) => (
            "hex",
            bytes.iter().flat_map(|&byte| hex::digits(byte)).collect(),
        ),
    }
}
