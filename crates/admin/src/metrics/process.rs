//! The process's own families, by their standard names. Linux alone tells them.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

#[cfg(not(target_os = "linux"))]
pub(super) fn encode(_: &mut DescriptorEncoder<'_>) -> fmt::Result {
    Ok(())
}

#[cfg(target_os = "linux")]
pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    use prometheus_client::{encoding::NoLabelSet, metrics::MetricType};

    let stat = Stat::read();
    let gauges = [
        (
            "process_start_time_seconds",
            "When the process started, since 1970-01-01T00:00Z",
            stat.as_ref().and_then(Stat::started),
        ),
        (
            "process_resident_memory_bytes",
            "Memory of the process that is in RAM (RSS)",
            stat.as_ref().map(Stat::resident),
        ),
        (
            "process_open_fds",
            "Open file descriptors",
            open_fds().map(|fds| fds as f64),
        ),
        (
            "process_max_fds",
            "How many file descriptors may be open (RLIMIT_NOFILE)",
            rustix::process::getrlimit(rustix::process::Resource::Nofile)
                .current
                .map(|most| most as f64),
        ),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            encoder
                .encode_descriptor(name, help, None, MetricType::Gauge)?
                .encode_gauge(&value)?;
        }
    }
    if let Some(stat) = stat {
        let help = "CPU time of the process, in user space and in the kernel";
        encoder
            .encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&stat.cpu(), None)?;
    }
    Ok(())
}

/// How many descriptors are open. Linux 6.2 and newer tell without a list.
#[cfg(target_os = "linux")]
pub(crate) fn open_fds() -> Option<u64> {
    let folder = "/proc/self/fd";
    match std::fs::metadata(folder).ok()?.len() {
        0 => Some(std::fs::read_dir(folder).ok()?.count() as u64),
        open => Some(open),
    }
}

/// proc_pid_stat(5).
#[cfg(target_os = "linux")]
struct Stat(Vec<u64>);

#[cfg(target_os = "linux")]
impl Stat {
    fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // Behind the name, which may hold anything, and from field 4 on.
        let fields = stat.rsplit(')').next()?.split_ascii_whitespace().skip(1);
        let fields: Vec<_> = fields.map(|field| field.parse().unwrap_or(0)).collect();
        (fields.len() > 20).then_some(Self(fields))
    }

    /// As the manual numbers it.
    fn field(&self, number: usize) -> u64 {
        self.0[number - 4]
    }

    fn cpu(&self) -> f64 {
        (self.field(14) + self.field(15)) as f64 / ticks()
    }

    fn resident(&self) -> f64 {
        self.field(24) as f64 * rustix::param::page_size() as f64
    }

    fn started(&self) -> Option<f64> {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
        Some(boot.trim().parse::<f64>().ok()? + self.field(22) as f64 / ticks())
    }
}

#[cfg(target_os = "linux")]
fn ticks() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells() {
        let stat = Stat::read().unwrap();
        let now = std::time::SystemTime::now();
        let now = now
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        let started = stat.started().unwrap();
        assert!(
            started <= now + 1.0 && started > now - 86_400.0,
            "{started}"
        );
        assert!(stat.resident() > 1e6);
        assert!(open_fds().unwrap() >= 3);
    }
}
