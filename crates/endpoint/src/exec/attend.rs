//! Attends a program until it and its process group have ended.

use std::{pin::pin, process::Child, time::Duration};

use futures::future::{Either, select};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process_group, test_kill_process_group, waitid,
};
#[cfg(target_os = "linux")]
use rustix::process::{PidfdFlags, pidfd_open};
#[cfg(target_os = "linux")]
use tokio::io::Interest;
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep, timeout},
};

#[cfg(target_os = "linux")]
use crate::polled::async_fd;
use crate::{
    conn::{Exit, Program},
    relay_name::RelayName,
};

/// How long a program whose connection is at its end may take to exit, and how long after `SIGTERM`.
const GRACE: Duration = Duration::from_secs(5);

/// How often it is looked for processes that can't be waited for.
const LOOK: Duration = Duration::from_millis(50);

/// The connection's hold on its program. Dropped, it has the process group end.
#[derive(Debug)]
pub(super) struct Attendant {
    group: Pid,
    is_cut: bool,
    /// Its drop says that the connection is gone.
    gone: Option<oneshot::Sender<Cut>>,
}

/// The group has been sent `SIGTERM`.
#[derive(Debug)]
struct Cut;

// ===== impl Attendant =====

impl Attendant {
    pub(super) fn of(child: Child, program: Program, told: watch::Sender<Option<Exit>>) -> Self {
        let group = Pid::from_child(&child);
        let (gone, connection) = oneshot::channel();
        let attending = attend(child, program, told, connection);
        tokio::spawn(RelayName::current().scope(attending));
        Self {
            group,
            is_cut: false,
            gone: Some(gone),
        }
    }

    /// The coming drop leaves the program no time.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        // The number is still the group's: the task reaps its leader after it has heard of this.
        if self.is_cut
            && kill_process_group(self.group, Signal::TERM).is_ok()
            && let Some(gone) = self.gone.take()
        {
            let _ = gone.send(Cut);
        }
    }
}

/// Until the group has ended.
async fn attend(
    mut child: Child,
    program: Program,
    told: watch::Sender<Option<Exit>>,
    mut connection: oneshot::Receiver<Cut>,
) {
    let group = Pid::from_child(&child);
    let mut ended = pin!(async {
        let exit = exit_of(group).await;
        let (program, pid) = (program.name(), program.pid());
        tracing::debug!(program, pid, %exit, "program ended");
        told.send_replace(Some(exit));
    });
    let mut has_ended = false;
    let cut = match select(&mut connection, &mut ended).await {
        Either::Left((cut, _)) => cut,
        Either::Right(_) => {
            has_ended = true;
            connection.await
        }
    };
    if cut.is_err() {
        if !has_ended {
            has_ended = timeout(GRACE, &mut ended).await.is_ok();
        }
        let _ = kill_process_group(group, Signal::TERM);
    }
    if !has_ended && timeout(GRACE, &mut ended).await.is_err() {
        let _ = kill_process_group(group, Signal::KILL);
        ended.await;
    }
    // Returns at once: it has ended.
    let _ = child.wait();
    end_group(group).await;
}

/// Ends what is left of a group that has been sent `SIGTERM`. Its leader is reaped, so that its number is
/// another's once the last process has ended; but not so soon after, as the system goes through all numbers
/// before it takes one again.
async fn end_group(group: Pid) {
    let is_left = || test_kill_process_group(group).is_ok();
    let begin = Instant::now();
    while is_left() {
        if begin.elapsed() >= GRACE {
            let _ = kill_process_group(group, Signal::KILL);
            break;
        }
        sleep(LOOK).await;
    }
}

/// How a process ends, once it does. It stays there, to be reaped.
async fn exit_of(process: Pid) -> Exit {
    #[cfg(target_os = "linux")]
    if let Ok(fd) = pidfd_open(process, PidfdFlags::NONBLOCK)
        && let Ok(fd) = async_fd(fd, Interest::READABLE)
    {
        let _ = fd.readable().await;
    }
    loop {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(process), options) {
            Ok(Some(status)) => {
                return match (status.exit_status(), status.terminating_signal()) {
                    (_, Some(signal)) => Exit::Signal(signal),
                    (status, None) => Exit::Status(status.unwrap_or(-1)),
                };
            }
            Ok(None) => sleep(LOOK).await,
            // It was reaped by another part of this process.
            Err(_) => return Exit::Status(-1),
        }
    }
}
