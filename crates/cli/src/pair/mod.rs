//! The layers of the pair stack: the flags that ask for each, and what each is.
//!
//! To add one: a file beside this one with its flags and their `specs`, a field in [`PairArgs`], a
//! line in [`PairArgs::specs`] where it stands in the stack, a line in docs/command.md.

mod bandwidth;
mod direction;
mod fault;
#[cfg(test)]
pub(crate) mod testing;
mod traffic_log;

use couplet_connector::PairLayers;

use self::{bandwidth::BandwidthArgs, fault::FaultArgs, traffic_log::TrafficLogArgs};
use crate::{layer_spec::LayerSpec, log::LogFormat, mistake::Mistake};

/// The flags of the pair stack.
#[derive(Debug, clap::Args)]
pub(crate) struct PairArgs {
    #[command(flatten)]
    traffic_log: TrafficLogArgs,

    #[command(flatten)]
    fault: FaultArgs,

    #[command(flatten)]
    bandwidth: BandwidthArgs,
}

/// A layer of the pair stack.
pub(crate) type PairLayerSpec = LayerSpec<PairLayers>;

/// What a layer may have to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PairContext {
    pub(crate) log_format: LogFormat,
    /// Whether A does, and B.
    pub(crate) listens: [bool; 2],
}

// ===== impl PairArgs =====

impl PairArgs {
    /// The layers that the flags ask for, top to bottom.
    ///
    /// Below them stand the idle timeout, the lifetime and the relay.
    pub(crate) fn specs(&self, context: PairContext) -> Result<Vec<PairLayerSpec>, Mistake> {
        let mut specs: Vec<_> = self.traffic_log.spec(context).into_iter().collect();
        specs.extend(self.fault.specs());
        specs.extend(self.bandwidth.specs(context)?);
        Ok(specs)
    }

    /// A word too many that is the value of one of the flags here: how it is joined to it.
    pub(crate) fn joined_value(&self, word: &str) -> Option<Mistake> {
        self.traffic_log.joined_value(word)
    }
}
