//! Wrong command lines, each with what the message names: the thing, what is wrong with it, and the
//! remedy.

use std::fs;

use couplet_tests::Couplet;

use crate::{
    habits::{HABITS, Row},
    impossible::IMPOSSIBLE,
};

const ADDRESSES: &[Row] = &[
    (
        &["lisen:9000", "dial:h:1"],
        &[
            "side A",
            "`lisen` is not a kind of side",
            "did you mean `listen:9000`?",
        ],
    ),
    (
        &["listen:1", "dail:h:22"],
        &["side B", "`dail`", "did you mean `dial:h:22`?"],
    ),
    (&["listen:9000", "dial:"], &["side B", "dial:", "HOST:PORT"]),
    (
        &["listen:9000", "dial:example.org"],
        &["side B", "port", "dial:example.org:PORT"],
    ),
    (
        &["listen:70000", "dial:h:1"],
        &["side A", "70000", "from 0 to 65535"],
    ),
    (&["listen:1", "dial:h:70000"], &["side B", "70000", "65535"]),
    (
        &["listen:[::1:9000", "dial:h:1"],
        &[
            "side A",
            "the bracket is not closed",
            "`listen:[IPV6]:PORT`",
        ],
    ),
    (
        &["listen:[::1]9000", "dial:h:1"],
        &["side A", "[::1]9000", "PORT"],
    ),
    (
        &["listen:9000", "listen:9000"],
        &[
            "both sides are `listen:localhost:9000`",
            "two ports",
            "couplet rendezvous",
        ],
    ),
    (
        &["listen:1", "dial:h:1", "dial:h:2"],
        &["two sides", "`dial:h:2` is one too many", "`couplet A B`"],
    ),
    (
        &["unix:/run/a.sock", "dial:h:1"],
        &[
            "side A",
            "`listen:` or `dial:` is missing",
            "`listen:unix:/run/a.sock`",
        ],
    ),
    (
        &["listen:1", "dial:/run/a.sock"],
        &[
            "side B",
            "a Unix socket needs `unix:`",
            "`dial:unix:/run/a.sock`",
        ],
    ),
    (
        &["listen:unix:", "dial:h:1"],
        &["side A", "a Unix socket needs a name", "`unix:/PATH`"],
    ),
    (
        &["listen:unix:/run/", "dial:h:1"],
        &["side A", "a directory is not a socket"],
    ),
    (
        &["listen:unix:/a", "listen:unix:/a"],
        &["both sides are `listen:unix:/a`", "two paths"],
    ),
    (
        &["listen:unix:/a,keep-alive=off", "dial:h:1"],
        &["`keep-alive` is for TCP", "a listening Unix socket has"],
    ),
    (
        &["listen:1", "dial:unix:/a,source=127.0.0.1"],
        &["`source` is for TCP", "a dialled Unix socket has"],
    ),
    (
        &["listen:unix:/a,attempts=1/1m", "dial:h:1"],
        &["`attempts` is for TCP", "counts by address"],
    ),
    (
        &["listen:1,mode=0600", "dial:h:1"],
        &[
            "`mode` is for a listening Unix socket",
            "a listening side has",
        ],
    ),
    (
        &["listen:1", "dial:unix:/a,user=root"],
        &["`user` is for a listening Unix socket"],
    ),
    (
        &["listen:unix:/a,mode=888", "dial:h:1"],
        &["`888` is not a mode", "`660`"],
    ),
    (
        &["listen:unix:/a,group=no-such-group", "dial:h:1"],
        &["`no-such-group` is not a group of this machine"],
    ),
    (
        &["listen:unix:@a,mode=0600", "dial:h:1"],
        &[
            "an abstract name has no owner and no permissions",
            "allow=uid:NUMBER",
        ],
    ),
    (
        &["listen:unix:/a,allow=uid:root", "dial:h:1"],
        &["`uid:root` is not a user's number", "`uid:1000`"],
    ),
    (
        &["listen:unix:/a", "dial:unix:/b", "--keep-alive=off"],
        &["--keep-alive would do nothing here", "no side is TCP"],
    ),
    (
        &["listen:unix:/a,proxy-protocol=require", "dial:h:1"],
        &[
            "needs the networks of the proxies",
            "proxy-protocol.from=uid:NUMBER",
        ],
    ),
    (&["stdio", "stdio"], &["both sides are `stdio`"]),
    (
        &["stdio,keep=3", "dial:h:1"],
        &["`keep` is for a socket", "`stdio` has"],
    ),
    (
        &["stdio,mode=0600", "dial:h:1"],
        &["`mode` is for a listening Unix socket"],
    ),
    (
        &["stdio", "dial:h:1", "--access-log=-"],
        &["standard output is a side here", "a file"],
    ),
    (
        &["stdio", "dial:h:1", "--reconnect"],
        &[
            "--reconnect would do nothing here",
            "`stdio` is one connection",
        ],
    ),
    (
        &["stdio", "listen:1", "--max-pairs=2"],
        &["--max-pairs would do nothing here"],
    ),
    (&["stdio:", "dial:h:1"], &["side A", "is missing"]),
    (
        &["listen:1", "https://example.org/"],
        &["side B", "URL", "HOST:PORT"],
    ),
];

const SUBCOMMANDS: &[Row] = &[
    (
        &["rendevous", "listen:4000"],
        &["`rendevous`", "did you mean `couplet rendezvous`?"],
    ),
    (
        &["explane", "listen:1", "listen:2"],
        &["`explane`", "did you mean `couplet explain`?"],
    ),
    (
        &["keygne", "FOLDER/new"],
        &["`keygne`", "did you mean `couplet keygen`?"],
    ),
    (
        &["completion"],
        &["`completion`", "did you mean `couplet completions`?"],
    ),
    (
        &["rendezvous", "dial:h:1"],
        &[
            "a rendezvous listens",
            "`dial:h:1` dials",
            "`listen:[HOST:]PORT`",
        ],
    ),
];

const FLAGS: &[Row] = &[
    (
        &["listen:1", "dial:h:1", "--idle-timeout=1M"],
        &[
            "--idle-timeout",
            "`M` is not a unit of time",
            "`1m` for minutes",
        ],
    ),
    (
        &["listen:1", "dial:h:1", "--idle-timeout=30"],
        &["--idle-timeout", "needs a unit", "`30s`"],
    ),
    (
        &["listen:1", "dial:h:1", "-idle-timeout=30s"],
        &["`-idle-timeout` has one hyphen", "`--idle-timeout=30s`"],
    ),
    (
        &["listen:1", "dial:h:1", "-once"],
        &["`-once` has one hyphen", "`--once`"],
    ),
    (
        &["listen:1", "dial:h:1", "--token=@f"],
        &[
            "`--token` is not a flag, but an option of a side",
            "`listen:9000,token=@FILE`",
        ],
    ),
    (
        &["listen:1", "dial:h:1", "--tls"],
        &[
            "`--tls` is not a flag, but an option of a side",
            "`listen:9000,tls",
        ],
    ),
    (
        &["listen:1", "dial:h:1", "--max-conns", "3"],
        &["`--max-conns` is not a flag", "max-conns=NUMBER"],
    ),
    (
        &["listen:1", "dial:h:1", "--quota=100"],
        &["--quota", "needs a unit", "`100MiB`"],
    ),
    (
        &["listen:1", "dial:h:1", "--quota=10Mb"],
        &["--quota", "`b` is bits", "`10MB`"],
    ),
    (
        &["listen:1", "dial:h:1", "--bandwidth=10MiB"],
        &["--bandwidth", "not a bandwidth", "`10MiB/s`"],
    ),
    (
        &["listen:1", "dial:h:1", "--fault=latncy:1s"],
        &[
            "--fault",
            "`latncy` is not a fault",
            "did you mean `latency`?",
        ],
    ),
    (
        &["listen:1", "dial:h:1", "--log-format=jsno"],
        &["jsno", "--log-format", "json"],
    ),
    (
        &["listen:1", "dial:h:1", "--once", "--once"],
        &["`--once` is given twice", "once"],
    ),
];

const OPTIONS: &[Row] = &[
    (
        &["listen:1,", "allow=10.0.0.0/8", "dial:h:1"],
        &[
            "a blank separates `allow` from its side",
            "leave it out",
            "`listen:1,allow",
        ],
    ),
    (
        &["listen:1", ",deny=10.0.0.0/8", "dial:h:1"],
        &["a blank separates `deny`", "`listen:1,deny"],
    ),
    (
        &["listen:1,idle-timeout=5m", "dial:h:1"],
        &[
            "`idle-timeout` is not an option of a side, but a flag",
            "`--idle-timeout`",
        ],
    ),
    (
        &["listen:1,--max-conns=5", "dial:h:1"],
        &["side A", "`max-conns`, without blanks or hyphens"],
    ),
    (
        &["listen:1,max-con=5", "dial:h:1"],
        &["`max-con` is not an option", "did you mean `max-conns`?"],
    ),
    (
        &["listen:1,reuse-port,reuse-port", "dial:h:1"],
        &["`reuse-port` is given twice", "once"],
    ),
    (
        &["listen:1,source=::1", "dial:h:1"],
        &["`source` is for a dialled side", "a listening side has"],
    ),
    (
        &["listen:1", "dial:h:1,max-conns=5"],
        &[
            "side B",
            "`max-conns` is for a listening side",
            "a dialled side has",
        ],
    ),
    (
        &["listen:1,allow=FOLDER/networks", "dial:h:1"],
        &["FOLDER/networks` is a file", "`@FOLDER/networks`"],
    ),
    (
        &["listen:1,allow=10.0.0.7/8", "dial:h:1"],
        &[
            "`10.0.0.7/8` is an address within a network",
            "`10.0.0.0/8`",
        ],
    ),
    (
        &["listen:1,deny=@FOLDER", "dial:h:1"],
        &["FOLDER", "directory", "a network a line"],
    ),
    (
        &["listen:1,deny=@FOLDER/nothing", "dial:h:1"],
        &["FOLDER/nothing", "No such file", "a network a line"],
    ),
    (
        &["listen:1,token=@FOLDER/empty", "dial:h:1"],
        &["FOLDER/empty", "empty", "couplet keygen"],
    ),
    (
        &["listen:1,token=@FOLDER", "dial:h:1"],
        &["`FOLDER` can't be read", "directory", "token=@FILE"],
    ),
    (
        &["listen:1,challenge=@FOLDER/networks", "dial:h:1"],
        &["FOLDER/networks", "line 1", "couplet keygen"],
    ),
    (
        &["listen:1,max-conns=5,max-conns.wiat=3s", "dial:h:1"],
        &[
            "`wiat` is not a setting of `max-conns`",
            "did you mean `max-conns.wait`?",
        ],
    ),
    (
        &["listen:1,max-conns=5,max-conns.queue=3", "dial:h:1"],
        &["`max-conns.queue` does nothing without `max-conns.wait`"],
    ),
    (
        &["listen:1,tls=FOLDER/nothing", "dial:h:1"],
        &["FOLDER/nothing", "No such file", "PEM"],
    ),
    (
        &["listen:1,tls=x,tls.unknown-name=rejekt", "dial:h:1"],
        &["`tls.unknown-name` must be `default` or `refuse`"],
    ),
    (
        &["listen:1", "dial:h:1,tls,tls.close-notify=optinal"],
        &["`tls.close-notify` must be", "did you mean `optional`?"],
    ),
    (
        &["listen:1,proxy-protocol=requre", "dial:h:1"],
        &["`requre` is not a mode", "did you mean `require`?"],
    ),
    (
        &["listen:1,proxy-protocol=v2", "dial:h:1"],
        &["`v2` is for a dialled side", "`require` or `accept`"],
    ),
    (
        &["listen:1,proxy-protocol=require", "dial:h:1"],
        &[
            "needs the networks of the proxies",
            "proxy-protocol.from=10.0.0.0/8",
        ],
    ),
    (
        &["listen:1,compress=zst", "dial:h:1"],
        &["`zst` is not a compression", "did you mean `zstd`?"],
    ),
    (
        &["listen:1,sniff", "dial:h:1,route=@FOLDER/routes"],
        &[
            "FOLDER/routes: line 2, column 1",
            "`tsl` is not a pattern",
            "did you mean `tls`?",
        ],
    ),
];

#[test]
fn every_message_names_the_thing_the_reason_and_the_remedy() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().to_str().unwrap();
    for (name, text) in [
        ("networks", "10.0.0.0/8\n"),
        ("empty", ""),
        ("secret", "0123456789abcdef\n"),
        ("routes", "ssh h:22\ntsl h:443\n"),
    ] {
        fs::write(scratch.path().join(name), text).unwrap();
    }
    let rows = [ADDRESSES, SUBCOMMANDS, FLAGS, OPTIONS, HABITS, IMPOSSIBLE].concat();
    let mut wrong = Vec::new();
    for (words, parts) in rows {
        let words: Vec<_> = words
            .iter()
            .map(|word| word.replace("FOLDER", folder))
            .collect();
        let finished = Couplet::run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let parts = parts.iter().map(|part| part.replace("FOLDER", folder));
        let missing: Vec<_> = parts.filter(|part| !finished.log.contains(part)).collect();
        if finished.status != 2 || !missing.is_empty() {
            wrong.push(format!("{words:?} lacks {missing:?}: {finished}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// A secret that was given wrongly stands in no message: it may end in the log of a service.
#[test]
fn no_message_repeats_a_secret() {
    for words in [
        &["listen:1,token=hunter2", "dial:h:1"][..],
        &["listen:1,signed-token=hunter2", "dial:h:1"],
        &["listen:1,challenge=hunter2", "dial:h:1"],
        &["listen:1,noise=psk:hunter2", "dial:h:1"],
        &["listen:1,noise=hunter2", "dial:h:1"],
        &["listen:1,tokn=hunter2", "dial:h:1"],
        &["listen:1", "dial:h:1,rendezvous=hunter2,rate=3"],
        &["listen:1", "dial:h:1,rendezvous=hunter2,rendezvous=hunter2"],
        &["listen:1", "dial:h:1,rendezvous=k,rendezvous.token=hunter2"],
        &["listen:1", "dial:h:1,rendezvous.token=hunter2"],
        &["listen:1", "dial:h:1,rendezvous=hunter2,rendezvous.wait=3"],
        &["listen:1,", "token=hunter2", "dial:h:1"],
        &["listen:1", "dial:h:1", "--token=hunter2"],
        &["listen:1", "dial:h:1", "-token=hunter2"],
        &["rendezvous", "listen:1", "--tokens=hunter2"],
        &["token", "--secret=hunter2", "--key=k", "--expires=1h"],
    ] {
        let finished = Couplet::run(words);
        assert_ne!(finished.status, 0, "{words:?}: {finished}");
        assert!(!finished.log.contains("hunter2"), "{words:?}: {finished}");
    }
}

/// A secret that would be sent before TLS begins is a mistake, unless `in-clear` is set.
#[test]
fn a_secret_is_not_sent_in_clear() {
    let scratch = tempfile::tempdir().unwrap();
    let secret = scratch.path().join("secret");
    fs::write(&secret, "0123456789abcdef0123456789abcdef\n").unwrap();
    let run = |side: &str, other: &str| {
        let side = side.replace("SECRET", secret.to_str().unwrap());
        Couplet::run(&["explain", &side, other])
    };
    for (side, other) in [
        ("dial:h:1,token=@SECRET,tls", "listen:1"),
        ("dial:h:1,rendezvous=@SECRET,tls", "listen:1"),
        ("listen:1,token=@SECRET,noise=psk:@SECRET", "dial:h:1"),
        ("listen:1,token=@SECRET,tls=cert.pem", "dial:h:1"),
    ] {
        run(side, other)
            .with(2)
            .said("is sent in the clear")
            .said("first, then");
    }
    run("dial:h:1,tls,token=@SECRET", "listen:1").ok();
    run(
        "listen:1,token=@SECRET,token.in-clear=allow,noise=psk:@SECRET",
        "dial:h:1",
    )
    .ok();
    run("listen:1,token=@SECRET,token.in-clear=allow", "dial:h:1")
        .with(2)
        .said("does nothing here");
    run(
        "listen:1,token=@SECRET,token.in-clear=yes,noise=psk:@SECRET",
        "dial:h:1",
    )
    .with(2)
    .said("`allow`");
}
