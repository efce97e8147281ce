//! What is measured.

/// A figure of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    /// Seconds of the relay's CPU a GiB, microseconds a request, …
    Cpu(Unit),
    Rate(Unit),
    /// Microseconds.
    P50,
    P99,
    /// Bytes a pair.
    Resident,
    /// Bytes a pair that are still held when all pairs have been closed.
    Kept,
    DescriptorsPerPair,
    /// Milliseconds of CPU a second.
    IdleCpu,
    /// KiB a pair that the relay and the system take before the client has to wait.
    Taken,
    /// Milliseconds.
    StartUp,
    /// MiB.
    Size,
}

/// What the work is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unit {
    Gib,
    Request,
    Connection,
    Pair,
}

/// What belongs together in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Cpu,
    Held,
    Program,
    Rate,
    Latency,
}

/// Where a metric's value comes from is said once, in `cell.rs`; what it means, here.
impl Metric {
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Cpu(Unit::Gib) => "s/GiB",
            Self::Cpu(Unit::Request) => "µs/request",
            Self::Cpu(Unit::Connection) => "µs/connection",
            Self::Cpu(Unit::Pair) => "µs/pair",
            Self::Rate(Unit::Gib) => "GiB/s",
            Self::Rate(Unit::Request) => "requests/s",
            Self::Rate(Unit::Connection) => "connections/s",
            Self::Rate(Unit::Pair) => "pairs/s",
            Self::P50 => "median, µs",
            Self::P99 => "99th percentile, µs",
            Self::Resident => "bytes/pair",
            Self::Kept => "bytes/pair kept after their end",
            Self::DescriptorsPerPair => "descriptors/pair",
            Self::IdleCpu => "CPU, ms/s",
            Self::Taken => "KiB/pair until the sender waits",
            Self::StartUp => "ms",
            Self::Size => "MiB",
        }
    }

    pub(crate) fn section(self) -> Section {
        match self {
            Self::Cpu(_) => Section::Cpu,
            Self::Rate(_) => Section::Rate,
            Self::P50 | Self::P99 => Section::Latency,
            Self::Resident
            | Self::Kept
            | Self::DescriptorsPerPair
            | Self::IdleCpu
            | Self::Taken => Section::Held,
            Self::StartUp | Self::Size => Section::Program,
        }
    }

    pub(crate) fn better(self) -> Better {
        match self {
            Self::Rate(_) => Better::More,
            // Room for a sender is neither good nor bad.
            Self::Taken => Better::Neither,
            _ => Better::Less,
        }
    }

    /// Is it one of those that the chart shows?
    pub(crate) fn is_charted(self) -> bool {
        matches!(
            self,
            Self::Cpu(_) | Self::P99 | Self::Resident | Self::Kept | Self::StartUp | Self::Size
        )
    }
}

/// Which of two figures is to be preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Less,
    More,
    Neither,
}

// ===== impl Section =====

impl Section {
    pub(crate) const ALL: [Self; 5] = [
        Self::Cpu,
        Self::Held,
        Self::Program,
        Self::Rate,
        Self::Latency,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Cpu => "CPU of the relay",
            Self::Held => "What pairs hold",
            Self::Program => "The program",
            Self::Rate => "Throughput",
            Self::Latency => "Latency",
        }
    }

    /// How far the figures may be trusted.
    pub(crate) fn note(self) -> &'static str {
        match self {
            Self::Cpu => {
                "User and system time of the relay's processes per unit of work. Less is better. \
                 These figures vary least between runs."
            }
            Self::Held => {
                "Resident memory of the relay's processes, minus their memory without pairs. Less \
                 is better."
            }
            Self::Program => {
                "Time from the start until the port accepts connections, and size of the \
                 program's files without shared libraries. Less is better."
            }
            Self::Rate => {
                "More is better. Clients, relay and backend share the cores, so a figure depends \
                 on all three, not on the relay alone."
            }
            Self::Latency => {
                "Latency at the client, at full load. Less is better. The cores are shared here, \
                 too."
            }
        }
    }
}
