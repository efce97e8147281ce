//! `couplet explain`: the same arguments, and the stacks they make.

use couplet_tests::Couplet;

fn explain(args: &[&str]) -> String {
    Couplet::run(&[&["explain"], args].concat()).ok().log
}

#[test]
fn explain_prints_every_setting_and_its_source() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("secret");
    std::fs::write(&file, "hunter2\n").unwrap();
    let a = format!("listen:9000,user-timeout=5s,token=@{}", file.display());
    let explained = explain(&[
        &a,
        "dial:localhost:22,source=127.0.0.1",
        "--handshake-timeout=3s",
        "--idle-timeout=1h",
        "--log-traffic=hex",
        "--threads=2",
    ]);
    let expected = format!(
        "side A: listen:localhost:9000
  sockets           keep-alive 60s/10s/5 (default), ack-timeout 50s (default), user-timeout 5s (side)
  token             file {} (side), handshake-timeout 3s (flag), max-handshakes 1024 (default)
side B: dial:localhost:22
  sockets           keep-alive 60s/10s/5 (default), ack-timeout 50s (default), user-timeout never (default), connect-timeout 10s (default), source 127.0.0.1 (side)
pairing
  dial-for          max-waiting 1024 (default)
pair
  log-traffic       format hex (flag)
  idle-timeout      time 1h (flag)
  relay             half-close-timeout 1m (default)
threads
  2
run
  settings          threads 2 (flag), drain-timeout 30s (default)
bytes
  A to B: by copy, because of log-traffic
  B to A: by copy, because of log-traffic
",
        file.display()
    );
    assert_eq!(explained, expected.trim_end());
    assert!(!explained.contains("hunter2"));
}

/// Whatever was said is there, and what was not where it is in effect.
#[test]
fn explain_leaves_out_no_option() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let secrets = file("secrets", "main: 0123456789abcdef\n");
    let networks = file("networks", "10.0.0.0/8\n");
    let routes = file("routes", "ssh refuse\n");
    let a = [
        "listen:9000,reuse-port,keep-alive=9s/8s/7,allow=@",
        &networks,
        ",deny=10.0.0.0/8,rate-per-addr=9/s,rate-per-addr.wait=9s,max-per-addr=3,max-conns=9,\
         max-conns.wait=8s,max-conns.queue=7,proxy-protocol=accept,proxy-protocol.wait=1s,\
         proxy-protocol.from=@",
        &networks,
        ",sniff=2s,attempts=9/m,attempts.delay=4s,signed-token=@",
        &secrets,
        ",signed-token.key=demo,compress=zstd:3,frame=lines,frame.max=9KiB",
    ];
    let b = format!(
        "dial:localhost:22,connect-timeout=3s,route=@{routes},tls=name.test,tls.alpn=h2,\
         tls.pin=sha256//{}A=,tls.close-notify=optional",
        "A".repeat(42)
    );
    let explained = explain(&[
        &a.concat(),
        &b,
        "--max-pairs=9",
        "--exit-when-idle=1h",
        "--drain-timeout=9s",
        "--max-lifetime=2h",
        "--half-close-timeout=9s",
        "--user-timeout=9s",
        "--fault=latency:1s",
        "--fault-seed=3",
        "--quota=1GiB",
        "--bandwidth-total=a-to-b:1MiB/s",
        "--access-log=-",
        "--access-log-format=json",
        "--capture=/tmp/x",
        "--capture-roll=1MiB",
        "--capture-limit=1kB",
        "--log-traffic",
        "--log-traffic-limit=1kB",
    ]);
    for part in [
        "reuse-port on (side)",
        "keep-alive 9s/8s/7 (side)",
        "user-timeout 9s (flag)",
        &format!("allow             file {networks} (side)"),
        "deny              networks 10.0.0.0/8 (side)",
        "rate-per-addr     limit 9/s (side), wait 9s (side), queue 1024 (default)",
        "max-per-addr      limit 3 (side), over refuse (default)",
        "max-conns         limit 9 (side), wait 8s (side), queue 7 (side)",
        &format!(
            "proxy-protocol    headers accept (side), from @{networks} (side), wait 1s (side)"
        ),
        "sniff             wait 2s (side)",
        "attempts          limit 9/m (side), delay 4s (side)",
        &format!(
            "signed-token      file {secrets} (side), handshake-timeout 10s (default), max-handshakes 1024 (default), key demo (side)"
        ),
        "compress          format zstd (side), window 8.0 MiB (default), level 3 (side)",
        "connect-timeout 3s (side)",
        &format!("route {routes} (side)"),
        "tls               name name.test (side)",
        "alpn h2 (side), pin sha256//AA",
        "close-notify optional (side)",
        "access-log        path - (flag), format json (flag)",
        "capture           file /tmp/x (flag)",
        "roll 1.0 MiB (flag)",
        "log-traffic       format text (flag), limit",
        "fault             both ways latency:1s (flag), seed 3 (flag)",
        "bandwidth-total   a-to-b 1.0 MiB/s (flag)",
        "quota             both ways 1.0 GiB (flag)",
        "frame             a lines (side), b lines (default), a-max 9.0 KiB (side)",
        "max-lifetime      time 2h (flag)",
        "half-close-timeout 9s (flag)",
        "threads auto (default), drain-timeout 9s (flag), max-pairs 9 (flag), exit-when-idle 1h (flag)",
    ] {
        assert!(explained.contains(part), "no `{part}`: {explained}");
    }
}

#[test]
fn explain_prints_the_threads() {
    let proxy = ["listen:9000", "dial:localhost:22"];
    let with = |args: &[&str]| explain(&[&proxy, args].concat());
    assert!(with(&["--threads=3"]).contains("threads\n  3\n"));
    assert!(with(&["--threads=1"]).contains("threads\n  1\n"));
    assert!(with(&["--once"]).contains("threads\n  1\n"));
}

#[test]
#[cfg(target_os = "linux")]
fn explain_prints_how_bytes_move() {
    let spliced = explain(&["listen:9000", "dial:localhost:22"]);
    assert!(
        spliced.contains("A to B: by splice where much moves\n"),
        "{spliced}"
    );
    let waiting = explain(&["listen:9000", "listen:9001"]);
    assert!(waiting.contains("A to B: by splice where much moves, once what was read ahead"));
}

#[test]
fn explain_prints_the_same_mistakes_as_the_relay() {
    Couplet::run(&["explain", "listen:9000,tokn=@f", "listen:9001"])
        .with(2)
        .said("did you mean `token`?");
    Couplet::run(&["explain", "listen:9000"])
        .with(2)
        .said("<B>");
}

#[test]
fn explain_relays_nothing() {
    let taken = couplet_tests::net::listen();
    let a = format!("listen:{}", taken.local_addr().unwrap());
    explain(&[&a, "dial:localhost:22"]);
}

/// The settings of a node, of a rendezvous and of a queue.
#[test]
fn explain_tells_how_clients_of_other_nodes_are_met() {
    let scratch = tempfile::tempdir().unwrap();
    let secret = scratch.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef\n").unwrap();
    let secret = format!("--cluster-secret=@{}", secret.display());
    let node = [
        "--engine=redis://h",
        "--engine=redis+sentinel://h/main",
        "--cluster=listen:127.0.0.1:4001,allow=10.0.0.0/8",
        &secret,
        "--node-addr=a.test:4001",
        "--node-name=a",
        "--lease=30s",
        "--cluster-ready=0",
    ];
    let of_node = "engine redis://h:6379/0 redis+sentinel://h:26379/main/0 (flag), node-addr a.test:4001 (flag), ";
    let rest = "node-name a (flag), lease 30s (flag), cluster-ready 0 (flag)";
    let explained = explain(
        &[
            &["rendezvous", "listen:4000", "--public-addr=p.test:4000"],
            &node[..],
        ]
        .concat(),
    );
    assert!(
        explained.contains(&format!("{of_node}public-addr p.test:4000 (flag), {rest}")),
        "{explained}"
    );
    let explained_queue =
        explain(&[&["listen:9000", "listen:8000", "--queue=jobs"], &node[..]].concat());
    assert!(
        explained_queue.contains(&format!("{of_node}{rest}")),
        "{explained_queue}"
    );
    assert!(
        explained_queue.contains("queue jobs (flag)"),
        "{explained_queue}"
    );
    for explained in [explained, explained_queue] {
        assert!(
            explained.contains("cluster: listen:127.0.0.1:4001"),
            "{explained}"
        );
        assert!(
            explained.contains("allow             networks 10.0.0.0/8 (side)"),
            "{explained}"
        );
        assert!(!explained.contains("0123456789abcdef"));
    }
}
