use clap::Subcommand;

use super::setting::Setting;

/// What the generator does: a fixed amount, so that what it costs a relay can be divided by it.
#[derive(Clone, Copy, Debug, PartialEq, Subcommand)]
pub(crate) enum Work {
    /// Each connection moves this many bytes to the backend, and this many back at the same time.
    Exchange {
        connections: usize,
        up: u64,
        down: u64,
    },
    /// Each connection sends this many requests, one after the other, and is answered as much.
    Request {
        connections: usize,
        size: usize,
        requests: usize,
    },
    /// This many clients in parallel each make this many connections, one after the other: connect,
    /// one echo, close.
    Connect { parallel: usize, connections: usize },
    /// This many clients in parallel each make this many pairs of a connection to either listener.
    Pairing { parallel: usize, pairs: usize },
    /// This many pairs are held open, after some of them have moved this many bytes.
    Idle {
        pairs: usize,
        movers: usize,
        bytes: u64,
    },
    /// In this many pairs the client sends as much as goes, and the backend reads nothing.
    Stuck { pairs: usize },
}

// ===== impl Work =====

impl Work {
    /// As the command line of the generator.
    pub(crate) fn args(self) -> Vec<String> {
        let (name, numbers) = match self {
            Self::Exchange {
                connections,
                up,
                down,
            } => ("exchange", vec![connections as u64, up, down]),
            Self::Request {
                connections,
                size,
                requests,
            } => (
                "request",
                vec![connections as u64, size as u64, requests as u64],
            ),
            Self::Connect {
                parallel,
                connections,
            } => ("connect", vec![parallel as u64, connections as u64]),
            Self::Pairing { parallel, pairs } => ("pairing", vec![parallel as u64, pairs as u64]),
            Self::Idle {
                pairs,
                movers,
                bytes,
            } => ("idle", vec![pairs as u64, movers as u64, bytes]),
            Self::Stuck { pairs } => ("stuck", vec![pairs as u64]),
        };
        let numbers = numbers.iter().map(u64::to_string);
        [name.to_owned()].into_iter().chain(numbers).collect()
    }

    /// How many descriptors the generator needs: both ends of each connection are its own.
    pub(crate) fn descriptors(self, setting: &Setting) -> u64 {
        let connections = match self {
            Self::Exchange { connections, .. } | Self::Request { connections, .. } => connections,
            Self::Connect { parallel, .. } | Self::Pairing { parallel, .. } => 4 * parallel,
            Self::Idle { pairs, .. } | Self::Stuck { pairs } => pairs,
        };
        2 * (connections + setting.beside) as u64 + 200
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Args {
        #[command(subcommand)]
        work: Work,
    }

    #[test]
    fn work_is_the_same_after_a_trip_through_the_command_line() {
        for work in [
            Work::Exchange {
                connections: 1,
                up: 1 << 40,
                down: 3,
            },
            Work::Request {
                connections: 4,
                size: 5,
                requests: 6,
            },
            Work::Connect {
                parallel: 7,
                connections: 8,
            },
            Work::Pairing {
                parallel: 9,
                pairs: 10,
            },
            Work::Idle {
                pairs: 11,
                movers: 12,
                bytes: 13,
            },
            Work::Stuck { pairs: 14 },
        ] {
            let args = [vec!["load".to_owned()], work.args()].concat();
            assert_eq!(Args::parse_from(args).work, work);
        }
    }
}
