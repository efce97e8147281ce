//! Wrong command lines: values that are missing or impossible, and words that a tool does not know.

use crate::habits::Row;

pub(crate) const IMPOSSIBLE: &[Row] = &[
    (
        &["listen:1,frame=lines,max-conns=5", "dial:h:1"],
        &[
            "`max-conns` stands behind `frame`",
            "`frame` as the last option",
        ],
    ),
    (&["listen:1,sniff=3", "dial:h:1"], &["needs a unit", "`3s`"]),
    (
        &["listen:1,keep-alive=60", "dial:h:1"],
        &["`60` does not say how to probe", "60s/10s/5"],
    ),
    (
        &["listen:1,proxy-protocol", "dial:h:1"],
        &[
            "side A",
            "`proxy-protocol` needs a value",
            "`proxy-protocol=MODE`: PROXY headers: on listen require or accept them",
        ],
    ),
    (
        &["listen:1,attempts.delay=5s", "dial:h:1"],
        &[
            "a setting of `attempts`, which is missing before it",
            "`attempts=NUMBER/TIME,attempts.delay=…`",
        ],
    ),
    (
        &["listen:9000:8000", "dial:h:1"],
        &["side A", "`9000` is not a host", "a number alone is a port"],
    ),
    (
        &["listen:1", "dial:h:1,last-answer=2d"],
        &["side B", "`2d` is too long", "`1d` at most, or `never`"],
    ),
    (
        &["listen:1", "dial:h:1,keep=8,each,via=socks5://p:1"],
        &[
            "side B",
            "`via` does not go with `each`",
            "leave one of the two out",
        ],
    ),
    (
        &["listen:1", "dial:h:1", "--bandwidth=up:10MB/s"],
        &["`up` is not a direction", "`a-to-b` or `b-to-a`"],
    ),
    (
        &["explain", "no-such.toml"],
        &["`no-such.toml` can't be read", "a file such as"],
    ),
    (
        &["ctl"],
        &["`couplet ctl` needs a subcommand", "`status`, `pairs`"],
    ),
    (&["ctl", "cut"], &["no pair is chosen", "`--older=1h`"]),
    (
        &["listen:1", "dial:h:1", "--fault-seed=3"],
        &[
            "`--fault=[DIRECTION:]FAULT` is missing",
            "`couplet … --fault=latency:200ms`",
        ],
    ),
    (
        &["listen:1", "dial:h:1", "--bandwidth=0/s"],
        &["a size must be more than 0", "`a-to-b:10MiB/s`"],
    ),
    (
        &["man", "extra"],
        &["`extra` is one word too many", "as in `couplet man`"],
    ),
    (
        &["check", "FOLDER"],
        &["no file of the folder ends in `.toml`", "`couplet.toml`"],
    ),
    (
        &["ctl", "cut", "1", "--older=1h"],
        &["by their numbers and by a filter", "leave one of them out"],
    ),
    (
        &["ctl", "pairs", "--sort=size"],
        &["`size` is not a value of `--sort`", "`age`, `rate`"],
    ),
    (
        &["ctl", "log", "loud"],
        &["`loud` is not a value of `LEVEL`", "`warn`, `info`"],
    ),
    (
        &["ctl", "faults", "relay", "maybe"],
        &["`maybe` is not a value of `on|off`", "`on` or `off`"],
    ),
    (
        &["listen:1", "dial:h:1,rendezvous=k,rendezvous.redirect=h:0"],
        &["`h:0` names no relays", "`*.example.org`"],
    ),
    (
        &[
            "listen:1",
            "dial:unix:/s,rendezvous=k,rendezvous.redirect=h",
        ],
        &[
            "no other relay can be dialled in place of",
            "`dial:HOST:PORT`",
        ],
    ),
    (
        &[
            "listen:1",
            "listen:2",
            "--engine=redis://h",
            "--cluster=listen:3",
            "--cluster-secret=@FOLDER/secret",
        ],
        &[
            "`--engine` joins clients of the same queue, and none is named",
            "`--queue=NAME`",
        ],
    ),
    (
        &[
            "listen:1",
            "dial:h:2",
            "--queue=q",
            "--engine=redis://h",
            "--cluster=listen:3",
            "--cluster-secret=@FOLDER/secret",
        ],
        &["a side is dialled for the other", "`couplet rendezvous`"],
    ),
    (
        &[
            "listen:1",
            "listen:2",
            "--queue=q",
            "--engine=redis://h",
            "--cluster=listen:3",
            "--cluster-secret=@FOLDER/secret",
            "--public-addr=h:1",
        ],
        &["`--public-addr` would do nothing", "leave it out"],
    ),
    (
        &[
            "rendezvous",
            "listen:*:4000",
            "--engine=redis://h",
            "--cluster=listen:127.0.0.1:4000",
            "--cluster-secret=@FOLDER/secret",
        ],
        &[
            "--cluster: `listen:127.0.0.1:4000` is taken: side A is `listen:*:4000`",
            "another address",
        ],
    ),
    (
        &[
            "listen:1",
            "listen:2",
            "--queue=q",
            "--engine=redis://h",
            "--cluster=listen:2",
            "--cluster-secret=@FOLDER/secret",
        ],
        &["--cluster: `listen:localhost:2` is taken: side B is"],
    ),
    (
        &["listen:*:9180", "dial:h:1", "--admin=9180"],
        &["--admin: `listen:localhost:9180` is taken: side A is `listen:*:9180`"],
    ),
    (
        &["listen:*:9000", "listen:127.0.0.1:9000"],
        &[
            "side B",
            "`listen:127.0.0.1:9000` is taken: side A is `listen:*:9000`",
        ],
    ),
];
