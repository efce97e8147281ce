//! A program as an endpoint: its ends, its exit, its process group.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

use std::{io, time::Duration};

use couplet_endpoint::{Chain, Conn, Exec, ExecAddr, ExecIo, Exit, Info, Io, Origin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Starts a script of the shell.
fn shell(script: &str) -> Conn<ExecIo> {
    exec(script).start().unwrap()
}

fn exec(script: &str) -> Exec {
    Exec::new(ExecAddr::new("sh", ["-c", script]).unwrap())
}

/// All that it says from now on.
async fn heard(conn: &mut Conn<ExecIo>) -> io::Result<String> {
    let mut heard = String::new();
    conn.io.read_to_string(&mut heard).await?;
    Ok(heard)
}

/// Waits for what has to come.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    waited.unwrap_or_else(|_| panic!("{what}"));
}

fn is_running(pid: &str) -> bool {
    // A zombie has ended.
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_program_hears_the_end_and_its_answer_arrives_with_its_status() {
    let mut conn = shell("sort; exit 3");
    assert!(conn.info.program().unwrap().exit().is_none());
    conn.io.write_all(b"b\na\n").await.unwrap();
    conn.io.shutdown().await.unwrap();
    assert_eq!(heard(&mut conn).await.unwrap(), "a\nb\n");
    let program = conn.info.program().unwrap();
    assert_eq!(program.exit(), Some(Exit::Status(3)));
    assert_eq!(
        (program.name(), conn.info.peer_name().to_string().as_str()),
        ("sh", "exec:sh")
    );
    let error = conn.io.write_all(b"c").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_program_that_a_signal_kills_has_no_end_of_stream() {
    let mut conn = shell("echo some; kill -9 $$");
    let mut some = [0; 5];
    conn.io.read_exact(&mut some).await.unwrap();
    let error = conn.io.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(error.to_string(), "the program was killed by signal 9");
    assert_eq!(conn.info.program().unwrap().exit(), Some(Exit::Signal(9)));
}

#[tokio::test]
async fn a_program_ends_its_stream_and_goes_on_reading() {
    let file = std::env::temp_dir().join(format!("couplet-exec-{}", std::process::id()));
    let mut conn = shell(&format!("exec >&-; cat >'{}'", file.display()));
    assert_eq!(heard(&mut conn).await.unwrap(), "");
    assert_eq!(conn.info.program().unwrap().exit(), None);
    conn.io.write_all(b"late").await.unwrap();
    conn.io.shutdown().await.unwrap();
    until("the program ends", || {
        conn.info.program().unwrap().exit().is_some()
    })
    .await;
    assert_eq!(std::fs::read(&file).unwrap(), b"late");
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_program_that_reads_no_more_is_still_heard() {
    let mut conn = shell("exec <&-; echo last");
    let error = loop {
        if let Err(error) = conn.io.write_all(&[0; 4096]).await {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(heard(&mut conn).await.unwrap(), "last\n");
}

#[tokio::test]
async fn a_program_that_does_not_read_holds_the_writer_up() {
    let mut conn = shell("echo; exec sleep 1000");
    conn.io.read_exact(&mut [0]).await.unwrap();
    let mut written = 0;
    while let Some(n) = futures::FutureExt::now_or_never(conn.io.write(&[0; 4096])) {
        written += n.unwrap();
    }
    assert!(written <= 1 << 20, "{written} bytes are held");
    assert!(conn.io.has_unsent());
    conn.io.abort();
}

#[tokio::test]
async fn an_abort_ends_the_process_group_and_no_process_is_left() {
    let mut conn = shell("sleep 1000 & echo $!; wait");
    let mut child = [0; 16];
    let n = conn.io.read(&mut child).await.unwrap();
    let child = String::from_utf8_lossy(&child[..n]).into_owned();
    assert!(is_running(&child));
    let program = conn.info.program().unwrap().clone();
    conn.io.abort();
    drop(conn);
    until("the program ends", || program.exit().is_some()).await;
    assert_eq!(program.exit(), Some(Exit::Signal(15)));
    until("its child ends", || !is_running(&child)).await;
    let pid = program.pid().to_string();
    let path = format!("/proc/{pid}");
    until("it is reaped", || !std::path::Path::new(&path).exists()).await;
}

/// With a paused clock the grace is over at once.
#[tokio::test(start_paused = true)]
async fn a_program_that_ignores_the_end_and_sigterm_is_killed() {
    let mut conn = shell("trap '' TERM; echo; while :; do sleep 0.01; done");
    conn.io.read_exact(&mut [0]).await.unwrap();
    let program = conn.info.program().unwrap().clone();
    drop(conn);
    while program.exit().is_none() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(program.exit(), Some(Exit::Signal(9)));
}

#[tokio::test]
async fn a_program_has_its_clients_address_and_no_descriptor_of_ours() {
    let ours = std::env::temp_dir().join(format!("couplet-descriptor-{}", std::process::id()));
    let _descriptor = std::fs::File::create(&ours).unwrap();
    let mut client = Info::new(Origin::Accepted);
    client.peer = Some(([192, 0, 2, 1], 7).into());
    let exec = exec("echo $SOCAT_PEERADDR $SOCAT_PEERPORT $MINE; ls -l /proc/$$/fd");
    let mut conn = exec.for_client(&client).env("MINE", "own").start().unwrap();
    let heard = heard(&mut conn).await.unwrap();
    std::fs::remove_file(&ours).unwrap();
    assert!(heard.starts_with("192.0.2.1 7 own\n"), "{heard}");
    assert!(heard.contains(" 1 -> pipe:["), "{heard}");
    assert!(!heard.contains("couplet-descriptor"), "{heard}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    for (program, told) in [
        (
            "no-such-program",
            "cannot start `no-such-program`, no such program in PATH",
        ),
        (
            "/bin/no-such-program",
            "cannot start `/bin/no-such-program`, no such program: ",
        ),
        (
            "/etc/passwd",
            "cannot start `/etc/passwd`, no permission to run it: ",
        ),
    ] {
        let exec = Exec::new(ExecAddr::new(program, []).unwrap());
        for error in [exec.check().unwrap_err(), exec.start().unwrap_err()] {
            let text = Chain(&error).to_string();
            assert!(text.starts_with(told), "{text}");
        }
    }
}
