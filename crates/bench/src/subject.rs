//! The tables: what each measures, and of which relays.

use clap::ValueEnum;

use crate::{
    columns::{self, Amount, Column},
    relays,
};

/// What a table is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// All kinds of work, in the clear
    Relays,
    /// Clients that speak TLS, before a backend that does not
    Tls,
    /// Requests, connections and joins beside 100, 1,000 and 9,000 idle pairs
    Growth,
    /// Couplet with ten layers, and without
    Layers,
    /// Many pairs over one connection, and over one each, both in TLS
    Mux,
}

// ===== impl Subject =====

impl Subject {
    pub(crate) fn columns(self, amount: Amount) -> Vec<Column> {
        match self {
            Self::Relays => columns::relays(amount),
            Self::Tls => columns::tls(amount),
            Self::Growth => columns::growth(amount),
            Self::Layers => columns::layers(amount),
            Self::Mux => columns::mux(amount),
        }
    }

    /// The relays by their names.
    pub(crate) fn relays(self) -> &'static [&'static str] {
        match self {
            Self::Relays => &relays::PLAIN,
            Self::Tls => &relays::TLS,
            Self::Growth => &relays::GROWTH,
            Self::Layers => &relays::LAYERS,
            Self::Mux => &relays::MUX,
        }
    }

    /// What its files are called.
    pub(crate) fn file(self, veth: bool) -> String {
        let of = match self {
            Self::Relays => "",
            Self::Tls => "-tls",
            Self::Growth => "-growth",
            Self::Layers => "-layers",
            Self::Mux => "-mux",
        };
        format!("performance{of}{}", if veth { "-veth" } else { "" })
    }

    /// What is compared, as the subject of a sentence.
    pub(crate) fn compared(self) -> &'static str {
        match self {
            Self::Relays | Self::Tls | Self::Growth => "Couplet and other relays",
            Self::Layers => "Couplet with ten layers and Couplet without them",
            Self::Mux => "Two tunnels of two Couplets",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Relays => "Performance",
            Self::Tls => "Performance in TLS",
            Self::Growth => "Performance beside idle pairs",
            Self::Layers => "What layers cost",
            Self::Mux => "Many pairs over one connection",
        }
    }
}
