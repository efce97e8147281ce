//! The process's own families: those of Linux have their standard names.

use super::family::{Family, Kind, Value};
use crate::{Admin, reload::Told};

/// What is known of the process at one moment.
pub(super) struct Process {
    pub(super) reloads: Option<Told>,
    /// The lines that each log has lost.
    dropped: Vec<(&'static str, u64)>,
    #[cfg(target_os = "linux")]
    stat: Option<Stat>,
}

// ===== impl Process =====

impl Process {
    pub(super) fn now(admin: &Admin) -> Self {
        let program = admin.0.program.get();
        Self {
            reloads: admin.0.reloads.known(),
            dropped: program.map_or_else(Vec::new, |program| program.log_dropped()),
            #[cfg(target_os = "linux")]
            stat: Stat::read(),
        }
    }
}

pub(super) const FAMILIES: &[Family<Process>] = &[
    Family {
        name: "couplet_log_dropped_total",
        kind: Kind::Counter,
        help: "Lines that a log has lost, because its reader was too slow or its file could not be written",
        read: |process, tell| {
            for (log, lines) in &process.dropped {
                tell(&[("log", log)], Value::Count(*lines))?;
            }
            Ok(())
        },
    },
    #[cfg(target_os = "linux")]
    Family {
        name: "couplet_pipes",
        kind: Kind::Gauge,
        help: "Pipes that bytes are spliced through, the empty ones included",
        read: |_, tell| {
            let open = couplet_connector::relay::open_pipes();
            tell(&[], Value::Gauge(open))
        },
    },
    #[cfg(target_os = "linux")]
    Family {
        name: "process_start_time_seconds",
        kind: Kind::Gauge,
        help: "When the process started, since 1970-01-01T00:00Z",
        read: |process, tell| match process.stat.as_ref().and_then(Stat::started) {
            Some(started) => tell(&[], Value::Measure(started)),
            None => Ok(()),
        },
    },
    #[cfg(target_os = "linux")]
    Family {
        name: "process_cpu_seconds_total",
        kind: Kind::Counter,
        help: "CPU time of the process, in user space and in the kernel",
        read: |process, tell| match &process.stat {
            Some(stat) => tell(&[], Value::Seconds(stat.cpu())),
            None => Ok(()),
        },
    },
    #[cfg(target_os = "linux")]
    Family {
        name: "process_resident_memory_bytes",
        kind: Kind::Gauge,
        help: "Memory of the process that is in RAM (RSS)",
        read: |process, tell| match &process.stat {
            Some(stat) => tell(&[], Value::Measure(stat.resident())),
            None => Ok(()),
        },
    },
    #[cfg(target_os = "linux")]
    Family {
        name: "process_open_fds",
        kind: Kind::Gauge,
        help: "Open file descriptors",
        read: |_, tell| match open_fds() {
            Some(open) => tell(&[], Value::Gauge(open)),
            None => Ok(()),
        },
    },
    #[cfg(target_os = "linux")]
    Family {
        name: "process_max_fds",
        kind: Kind::Gauge,
        help: "How many file descriptors may be open (RLIMIT_NOFILE)",
        read: |_, tell| {
            use rustix::process::{Resource, getrlimit};

            match getrlimit(Resource::Nofile).current {
                Some(most) => tell(&[], Value::Gauge(most)),
                None => Ok(()),
            }
        },
    },
];

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
