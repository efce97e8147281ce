//! What stands in a stack of the command, and what `couplet explain` says of it.

use std::fmt;

use couplet_connector::layers::FaultSwitch;

use crate::reload::OnReload;

/// One layer of a stack: `layers` is the list it is alone in.
#[derive(Clone, Debug)]
pub(crate) struct LayerSpec<L> {
    pub(crate) name: &'static str,
    pub(crate) settings: Vec<Setting>,
    /// On a side: what is read from the peer, what is written to it. On the pair: A to B, B to A.
    pub(crate) bytes: [Bytes; 2],
    pub(crate) layers: L,
    /// What it does at SIGHUP.
    pub(crate) on_reload: Option<OnReload>,
    /// It is a fault, which can be switched.
    pub(crate) switch: Option<FaultSwitch>,
}

/// A setting as it is in effect.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) from: Source,
}

/// Where a setting came from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Source {
    Default,
    Flag,
    Side,
}

/// A value, and where it came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) from: Source,
}

/// What a layer does to the bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bytes {
    /// Nothing: they may be spliced.
    Untouched,
    /// It has read some ahead; once they are delivered, the others may be spliced.
    ReadAhead,
    /// They go through it, so they are copied: why.
    Copied(&'static str),
}

// ===== impl LayerSpec =====

impl<L> LayerSpec<L> {
    pub(crate) const fn new(name: &'static str, layers: L) -> Self {
        Self {
            name,
            settings: Vec::new(),
            bytes: [Bytes::Untouched; 2],
            layers,
            on_reload: None,
            switch: None,
        }
    }

    /// What it does to the bytes of either direction.
    pub(crate) const fn bytes(mut self, bytes: [Bytes; 2]) -> Self {
        self.bytes = bytes;
        self
    }

    /// What it does at SIGHUP.
    pub(crate) fn on_reload(mut self, does: impl Into<Option<OnReload>>) -> Self {
        self.on_reload = does.into();
        self
    }

    /// A setting to be explained.
    pub(crate) fn set(
        mut self,
        name: &'static str,
        value: impl fmt::Display,
        from: Source,
    ) -> Self {
        self.settings.push(Setting::new(name, value, from));
        self
    }
}

// ===== impl Setting =====

impl Setting {
    pub(crate) fn new(name: &'static str, value: impl fmt::Display, from: Source) -> Self {
        Self {
            name,
            value: value.to_string(),
            from,
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.escape_debug();
        write!(f, "{} {value} ({})", self.name, self.from)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Flag => "flag",
            Self::Side => "side",
        })
    }
}

// ===== impl Sourced =====

impl<T> Sourced<T> {
    /// What a flag says, or else the default.
    pub(crate) fn flag(given: Option<T>, default: T) -> Self {
        match given {
            Some(value) => Self {
                value,
                from: Source::Flag,
            },
            None => Self {
                value: default,
                from: Source::Default,
            },
        }
    }

    /// What the side itself says wins.
    pub(crate) fn unless(self, side: Option<T>) -> Self {
        match side {
            Some(value) => Self {
                value,
                from: Source::Side,
            },
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use clap::Parser;
    use couplet_connector::layers::Ed25519Key;

    use super::*;
    use crate::args::Args;

    /// Its table says what each layer costs, as a test there has measured it.
    const LAYERS: &str = include_str!("../../layers/src/lib.rs");

    fn cost(layer: &str) -> &'static str {
        let name = format!("`{layer}`");
        let rows = LAYERS.lines().filter(|line| line.starts_with("//! | "));
        let mut rows = rows.map(|row| row.trim_end_matches(" |").rsplit_once(" | ").unwrap());
        let row = rows.find(|row| row.0.split(" | ").nth(1).unwrap().contains(&name));
        row.unwrap_or_else(|| panic!("no row for {layer}")).1
    }

    /// What the last layer of side A says that this makes; if there is none there, of the pair.
    fn said(a: &str, flag: Option<&str>) -> [Bytes; 2] {
        let b = if a.starts_with("dial") {
            "listen:2"
        } else {
            "dial:h:2"
        };
        let args = ["couplet", a, b].into_iter().chain(flag);
        let plan = Args::try_parse_from(args).unwrap().relay.plan().unwrap();
        match plan
            .sides
            .get(couplet_connector::endpoint::Side::A)
            .layers
            .last()
        {
            Some(spec) => spec.bytes,
            None => plan.pair.last().unwrap().bytes,
        }
    }

    #[track_caller]
    fn assert_agree(said: [Bytes; 2], layer: &str) {
        let cost = cost(layer);
        let same = match said {
            [Bytes::Untouched, Bytes::Untouched] => cost == "no",
            [Bytes::ReadAhead, Bytes::Untouched] => cost.starts_with("until what was read ahead"),
            [Bytes::Copied(_), Bytes::Copied(_)] => cost.starts_with("in "),
            [Bytes::Copied(_), Bytes::Untouched] => cost.starts_with("in its direction"),
            _ => false,
        };
        assert!(same, "{layer} costs splice: {cost}; explained is {said:?}");
    }

    #[test]
    fn what_is_explained_is_what_the_layers_cost() {
        let folder = env::temp_dir().join(format!("couplet-layer-spec-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let key = Ed25519Key::generate().unwrap();
        for (name, text) in [
            ("secret", "0123456789abcdef0123456789abcdef".to_owned()),
            (
                "keyring",
                "new: 0123456789abcdef0123456789abcdef".to_owned(),
            ),
            ("known", format!("{} laptop", key.public())),
        ] {
            fs::write(folder.join(name), text + "\n").unwrap();
        }
        let pin = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        for (side, layer) in [
            ("listen:1,allow=10.0.0.0/8", "AccessLayer"),
            ("listen:1,max-conns=9", "ConnLimitLayer"),
            ("listen:1,max-per-addr=9", "ConnLimitLayer"),
            ("listen:1,rate=9/s", "ConnRateLayer"),
            ("listen:1,rate-per-addr=9/s", "ConnRateLayer"),
            ("listen:1,attempts=9/10m", "AttemptsLayer"),
            ("listen:1,sniff", "Sniff"),
            (
                "listen:1,proxy-protocol=require,proxy-protocol.from=10.0.0.0/8",
                "ExpectProxyHeader",
            ),
            ("dial:h:1,proxy-protocol=v2", "SendProxyHeader"),
            ("dial:h:1,tls=h,tls.pin=sha256//PIN", "TlsConnect"),
            ("listen:1,noise=psk:@FOLDER/secret", "NoiseResponder"),
            ("dial:h:1,noise=psk:@FOLDER/secret", "NoiseInitiator"),
            ("listen:1,token=@FOLDER/secret", "ExpectToken"),
            ("dial:h:1,token=@FOLDER/secret", "SendToken"),
            ("listen:1,signed-token=@FOLDER/keyring", "ExpectSignedToken"),
            ("listen:1,challenge=@FOLDER/known", "Challenge"),
            ("dial:h:1,rendezvous=key", "Meet"),
            ("listen:1,compress=zstd", "Zstd"),
            ("listen:1,compress=lz4", "Lz4"),
        ] {
            let side = side.replace("FOLDER", folder.to_str().unwrap());
            assert_agree(said(&side.replace("PIN", pin), None), layer);
        }
        for (flag, layer) in [
            ("--log-traffic", "TrafficLogLayer"),
            ("--capture=/nowhere", "CaptureLayer"),
            ("--bandwidth=9MiB/s", "BandwidthLayer"),
            ("--bandwidth-per-addr=9MiB/s", "BandwidthLayer"),
            ("--bandwidth-total=9MiB/s", "BandwidthLayer"),
            ("--quota=9MiB", "QuotaLayer"),
            ("--fault=blackhole", "FaultLayer"),
            ("--fault=a-to-b:blackhole", "FaultLayer"),
        ] {
            assert_agree(said("listen:1", Some(flag)), layer);
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
