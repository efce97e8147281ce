//! Wrong command lines of people that know other programs, or forget a word.

/// The words of a command line; in them FOLDER is a directory with files. Then parts of the message.
pub(crate) type Row = (&'static [&'static str], &'static [&'static str]);

/// What people type that know other programs, and what they forget.
pub(crate) const HABITS: &[Row] = &[
    (
        &["listen:1", "tcp:localhost:22"],
        &["side B", "`tcp` is not a kind", "`dial:localhost:22`"],
    ),
    (
        &["TCP-LISTEN:9000,fork", "TCP:h:1"],
        &["side A", "`TCP-LISTEN` is not a kind", "`listen:9000`"],
    ),
    (
        &["listen:1", "ssh://h:22"],
        &["side B", "a URL is not an address", "`dial:h:22`"],
    ),
    (
        &["-", "dial:h:1"],
        &["side A", "`-` is not a kind", "`stdio`"],
    ),
    (
        &["listen", "9000", "dial", "h:22"],
        &["a blank separates `listen`", "a colon: `listen:9000`"],
    ),
    (
        &["listen:::9000", "dial:h:1"],
        &["side A", "goes in brackets", "`listen:[::]:9000`"],
    ),
    (
        &["listen:1", "dial:h:1,tls=ca.pem"],
        &[
            "side B",
            "`ca.pem` is a file",
            "has the server's name",
            "`tls,tls.ca=ca.pem`",
        ],
    ),
    (
        &["listen:1", "dial:h:1,connect-timeout=0"],
        &["side B", "more than 0", "`500ms`"],
    ),
    (&["help"], &["`help` is not a side", "`couplet --help`"]),
    (
        &["version"],
        &["`version` is not a side", "`couplet --version`"],
    ),
    (
        &["rendezvous"],
        &["`LISTEN` is missing", "`couplet rendezvous listen:*:4000`"],
    ),
    (
        &["rendezvous", "listen:1", "listen:2"],
        &[
            "`listen:2` is one word too many",
            "`couplet rendezvous LISTEN`",
        ],
    ),
    (
        &["rendezvous", "listen:1", "--engine=redis://h"],
        &[
            "`--cluster=SIDE` and `--cluster-secret=@FILE` are missing",
            "`--engine=redis://HOST:6379/0 --cluster=listen:10.0.0.1:4001 --cluster-secret=",
        ],
    ),
    (
        &["rendezvous", "listen:1", "--engine=localhost"],
        &[
            "--engine",
            "has no scheme",
            "`--engine=redis://HOST:6379/0`",
        ],
    ),
    (&["keygen"], &["`FILE` is missing", "`couplet keygen FILE`"]),
    (
        &["keygen", "--kind=noize", "FOLDER/new"],
        &[
            "`noize` is not a value of `--kind`",
            "did you mean `noise`?",
        ],
    ),
    (
        &["token"],
        &[
            "`--secret=@FILE`, `--key=NAME` and `--expires=TIME` are missing",
            "`couplet token --secret=@FILE --key=NAME --expires=1h`",
        ],
    ),
    (
        &["run"],
        &["`FILE|DIR` is missing", "`couplet run couplet.toml`"],
    ),
    (
        &["completions"],
        &["`SHELL` is missing", "`couplet completions bash`"],
    ),
    (
        &["explain"],
        &["no side is given", "`couplet explain listen:9000 dial:"],
    ),
    (
        &["ctl", "puase", "a"],
        &[
            "`puase` is not a subcommand of `couplet ctl`",
            "did you mean `pause`?",
        ],
    ),
    (
        &["ctl", "cut", "abc"],
        &["`abc` is not a number", "a whole number"],
    ),
    (
        &["listen:1", "dial:h:1", "--idle-timeout"],
        &[
            "`--idle-timeout` needs a value",
            "`--idle-timeout=TIME`",
            "`30s`",
        ],
    ),
    (
        &["listen:1", "dial:h:1", "--quota="],
        &[
            "`--quota` needs a value",
            "`--quota=[DIRECTION:]SIZE`",
            "`4KiB`",
        ],
    ),
    (
        &["listen:1", "dial:h:1", "--log-format"],
        &["`--log-format` needs a value", "`text` or `json`"],
    ),
    (
        &["listen:1", "dial:h:1", "--idletimeout=5s"],
        &[
            "`--idletimeout` is not a flag",
            "did you mean `--idle-timeout`?",
        ],
    ),
    (
        &["listen:1", "dial:h:1", "--bogus"],
        &["`--bogus` is not a flag of `couplet`", "`couplet --help`"],
    ),
    (
        &["listen:1", "dial:h:1", "-k"],
        &["`-k` is not a flag", "`couplet --help`"],
    ),
    (
        &["listen:1", "dial:h:1", "--once", "--reconnect"],
        &["`--once` and `--reconnect` contradict", "one of them"],
    ),
    (
        &["listen:1", "dial:h:1", "--max-pairs=many"],
        &["--max-pairs=many", "`many` is not a number", "1, or more"],
    ),
    (
        &["listen:1", "dial:h:1", "--threads=0"],
        &["`0` is not a number of threads", "from 1 to 1024"],
    ),
    (
        &["listen:1", "dial:h:1", "--name=My Relay"],
        &[
            "`My Relay` is not the name of a relay",
            "a lower-case letter",
        ],
    ),
];
