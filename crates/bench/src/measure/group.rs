use std::{
    fs, io,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    time::Duration,
};

use anyhow::Context;
use rustix::{
    param::clock_ticks_per_second,
    process::{Pid, Signal, kill_process_group},
};

use super::proc_stat::{kilobytes, schedstat, stat};

/// A program in a process group of its own, with whatever it forks: killed when dropped.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Child,
}

/// What a group has used, or holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time, since its start.
    pub(crate) cpu: Duration,
    /// Resident bytes. What processes share counts in each.
    pub(crate) resident: u64,
    pub(crate) descriptors: usize,
}

// ===== impl Group =====

impl Group {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let leader = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("{} could not be started", program(command)))?;
        Ok(Self { leader })
    }

    /// Has it ended by itself?
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.leader.try_wait()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn finish(mut self) -> anyhow::Result<ExitStatus> {
        if let Some(leader) = self.pid() {
            kill_process_group(leader, Signal::TERM)?;
        }
        Ok(self.leader.wait()?)
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.leader.id()).ok().and_then(Pid::from_raw)
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        let mut usage = Usage::default();
        let mut processes = 0;
        for process in fs::read_dir("/proc")? {
            let process = process?;
            let pid = process.file_name();
            if !pid.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
                continue;
            }
            // A process may end at any time.
            if let Some(one) = usage_of(process.path(), self.leader.id()) {
                usage.cpu += one.cpu;
                usage.resident += one.resident;
                usage.descriptors += one.descriptors;
                processes += 1;
            }
        }
        anyhow::ensure!(processes > 0, "it is gone");
        Ok(usage)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.pid() {
            let _ = kill_process_group(leader, Signal::KILL);
        }
        let _ = self.leader.wait();
    }
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// What a process has used, if it belongs to the group.
fn usage_of(process: PathBuf, group: u32) -> Option<Usage> {
    let read = |name: &str| fs::read_to_string(process.join(name)).ok();
    let stat = stat(&read("stat")?)?;
    if stat.group != group {
        return None;
    }
    let resident = read("smaps_rollup")
        .and_then(|text| kilobytes(&text, "Rss"))
        .or_else(|| kilobytes(&read("status")?, "VmRSS"))
        .unwrap_or(0);
    let threads = fs::read_dir(process.join("task")).ok()?;
    let threads = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        schedstat(&text)
    });
    Some(Usage {
        cpu: exact(ticks(stat.own), threads.sum()) + ticks(stat.children),
        resident,
        descriptors: fs::read_dir(process.join("fd")).map_or(0, Iterator::count),
    })
}

fn ticks(ticks: u64) -> Duration {
    Duration::from_secs(1) * u32::try_from(ticks).unwrap_or(u32::MAX)
        / u32::try_from(clock_ticks_per_second()).unwrap_or(100)
}

/// Ticks know all threads there ever were, but are coarse; the scheduler is exact, but has
/// forgotten the threads that ended. So the latter is to be believed where no thread has.
fn exact(ticked: Duration, threads: Duration) -> Duration {
    const ROUNDED_OFF: Duration = Duration::from_millis(25);
    match ticked.abs_diff(threads) <= ROUNDED_OFF {
        true => threads,
        false => ticked,
    }
}

#[cfg(test)]
mod tests {
    use std::{process::Stdio, thread::sleep};

    use super::*;

    #[test]
    fn the_scheduler_is_believed_while_it_knows_all_threads() {
        let millis = Duration::from_millis;
        assert_eq!(exact(millis(100), millis(107)), millis(107));
        assert_eq!(exact(millis(100), millis(40)), millis(100));
    }

    #[test]
    fn the_whole_group_is_measured_and_killed() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "while :; do :; done & sleep 60"])
            .stdin(Stdio::null());
        let group = Group::start(&mut command).unwrap();
        while group.usage().unwrap().cpu < Duration::from_millis(50) {
            sleep(Duration::from_millis(5));
        }
        let usage = group.usage().unwrap();
        assert!(usage.resident > 0 && usage.descriptors > 0);

        let id = i32::try_from(group.leader.id()).unwrap();
        drop(group);
        let id = Pid::from_raw(id).unwrap();
        // What was forked is left to init, which may take a moment to see that it is dead.
        while kill_process_group(id, Signal::KILL).is_ok() {
            sleep(Duration::from_millis(5));
        }
    }
}
