use std::fs;

use anyhow::Context;

use super::proc_stat::kilobytes;

/// The resident bytes of this process.
pub(crate) fn resident() -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    kilobytes(&text, "VmRSS").context("the system does not say how much memory is resident")
}
