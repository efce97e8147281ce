use std::{
    fmt,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{LIMIT, until};

/// A program that runs, and what it prints. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: Arc<Log>,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status; 128 and more: the signal that ended it.
    pub status: i32,
    /// All it printed, standard output and standard error.
    pub log: String,
}

/// What a process has printed until now.
#[derive(Debug, Default)]
struct Log {
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct LogState {
    lines: Vec<String>,
    ended: usize,
}

/// Runs a program to its end.
pub fn finish(name: &str, command: &mut Command) -> Finished {
    Process::spawn(name, command).finish()
}

// ===== impl Process =====

impl Process {
    /// Starts it. Its input is empty unless the command says otherwise.
    pub fn spawn(name: &str, command: &mut Command) -> Self {
        Self::spawn_with_input(name, command.stdin(Stdio::null()))
    }

    /// Starts it with the input that the command has.
    pub fn spawn_with_input(name: &str, command: &mut Command) -> Self {
        let mut process = Self::spawn_unread(name, command);
        process.read();
        process
    }

    /// Starts it with the input that the command has, and leaves unread what it prints.
    pub fn spawn_unread(name: &str, command: &mut Command) -> Self {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} can't be started: {error}"));
        Self {
            name: name.into(),
            child,
            log: Arc::default(),
        }
    }

    /// From now on, reads what it prints.
    pub fn read(&mut self) {
        if let (Some(stdout), Some(stderr)) = (self.child.stdout.take(), self.child.stderr.take()) {
            self.log.gather(stdout);
            self.log.gather(stderr);
        }
    }

    /// Waits for a line of which `find` makes something, the first of all there are.
    pub fn find<T>(&self, what: &str, mut find: impl FnMut(&str) -> Option<T>) -> T {
        self.look(what, |lines| lines.iter().find_map(|line| find(line)))
    }

    /// Waits until `look` makes something of the lines.
    pub fn look<T>(&self, what: &str, mut look: impl FnMut(&[String]) -> Option<T>) -> T {
        let start = Instant::now();
        let mut state = self.log.state.lock().unwrap();
        loop {
            if let Some(found) = look(&state.lines) {
                return found;
            }
            let left = LIMIT.saturating_sub(start.elapsed());
            if left.is_zero() || state.ended == 2 {
                drop(state);
                panic!("{}: waited in vain: {what}", self.name);
            }
            state = self.log.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// What it has printed until now.
    pub fn lines(&self) -> Vec<String> {
        self.log.state.lock().unwrap().lines.clone()
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Finished {
        use std::os::unix::process::ExitStatusExt;

        let what = format!("the end of {}", self.name);
        let status = until(&what, || self.child.try_wait().unwrap());
        self.read();
        self.log.wait_for_end();
        Finished {
            status: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
            log: self.lines().join("\n"),
        }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Has it not ended yet?
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// How many ticks (usually 10 ms) of processor time it has used, its own and the system's.
    pub fn ticks(&self) -> u64 {
        // See proc_pid_stat(5); the name in parentheses is the only field that may hold blanks.
        let stat = self.proc("stat");
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let fields: Vec<_> = fields.split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Waits until it uses (nearly) no processor time: one that spins never comes to rest.
    pub fn rest(&self) {
        until(&format!("{} comes to rest", self.name), || {
            let before = self.ticks();
            thread::sleep(std::time::Duration::from_millis(700));
            (self.ticks() - before <= 2).then_some(())
        });
    }

    /// How many bytes of memory it has.
    pub fn memory(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        open.unwrap().count()
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- {} said:", self.name);
            for line in self.lines() {
                eprintln!("{line}");
            }
        }
    }
}

// ===== impl Finished =====

#[expect(
    clippy::return_self_not_must_use,
    reason = "each is a check, and may be the last"
)]
impl Finished {
    /// It must have done what it was asked.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.with(0)
    }

    /// It must have ended with this status.
    #[track_caller]
    pub fn with(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// It must have printed this.
    #[track_caller]
    pub fn said(self, part: &str) -> Self {
        assert!(self.log.contains(part), "it did not say `{part}`: {self}");
        self
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}\n{}", self.status, self.log)
    }
}

// ===== impl Log =====

impl Log {
    fn gather(self: &Arc<Self>, from: impl Read + Send + 'static) {
        let log = Arc::clone(self);
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while matches!(from.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line);
                let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
                log.change(|state| state.lines.push(text));
                line.clear();
            }
            log.change(|state| state.ended += 1);
        });
    }

    fn change(&self, change: impl FnOnce(&mut LogState)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait_for_end(&self) {
        until("the end of what it prints", || {
            (self.state.lock().unwrap().ended == 2).then_some(())
        });
    }
}
