//! docs/command.md has every flag and option of the help, and the splice costs that the layers
//! document are those that `explain` prints.

use std::fs;

use couplet_tests::Couplet;

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn every_flag_and_option_is_in_the_docs() {
    let docs = read("docs/command.md");
    let mut checked = 0;
    for args in [&["--help"][..], &["rendezvous", "--help"]] {
        let help = Couplet::run(args).ok().log;
        let (flags, notes) = help.split_once("A side is").unwrap();
        let flags = flags
            .lines()
            .filter_map(|line| line.trim_start().split_once("--"));
        for (before, flag) in flags.filter(|(before, _)| before.len() < 5) {
            let name = flag.split(['=', ' ', '[', '.']).next().unwrap();
            if ["help", "version"].contains(&name) {
                continue;
            }
            let there = ['`', '=', ' ', '[']
                .iter()
                .any(|end| docs.contains(&format!("`--{name}{end}")));
            assert!(there, "docs/command.md has no --{name} ({before})");
            checked += 1;
        }
        let options = notes.split_once("Options of a side:").unwrap().1;
        let options = options.split_once("Examples:").unwrap().0;
        for line in options
            .lines()
            .filter(|line| line.starts_with("  ") && !line.starts_with("     "))
        {
            let name = line.trim_start().split(['=', ' ', '[']).next().unwrap();
            let there = match line.starts_with("    ") {
                false => docs.contains(&format!("`{name}")),
                true => docs.contains(name),
            };
            assert!(there, "docs/command.md has no `{name}`");
            checked += 1;
        }
    }
    assert!(checked > 100, "only {checked} were found in the help");
}

/// What the tables of layers and of protocols say of a layer's cost.
fn cost(table: &str, layer: &str) -> String {
    let name = format!("`{layer}`");
    let rows = table.lines().filter(|line| line.starts_with("//! | "));
    let mut rows = rows.map(|row| row.trim_end_matches(" |").rsplit_once(" | ").unwrap());
    let row = rows.find(|row| row.0.split(" | ").nth(1).unwrap().contains(&name));
    row.unwrap_or_else(|| panic!("no row for {layer}"))
        .1
        .to_owned()
}

#[test]
fn splice_costs_what_the_layers_document() {
    let table = read("crates/layers/src/lib.rs") + &read("crates/protocols/src/lib.rs");
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    for (name, text) in [
        ("secret", "0123456789abcdef0123456789abcdef\n"),
        ("keyring", "new: 0123456789abcdef0123456789abcdef\n"),
    ] {
        fs::write(file(name), text).unwrap();
    }
    let key = Couplet::run(&["keygen", &file("key")]).ok().log;
    fs::write(file("known"), format!("{} laptop\n", key.trim())).unwrap();
    let check = |side: &str, flag: Option<&str>, layer: &str| {
        let other = match side.starts_with("dial") {
            true => "listen:2",
            false => "dial:h:2",
        };
        let side = side.replace("FOLDER", scratch.path().to_str().unwrap());
        let args = ["explain", &side, other].into_iter().chain(flag);
        let explained = Couplet::run(&args.collect::<Vec<_>>()).ok().log;
        let way = |way: &str| {
            let mut lines = explained.lines();
            lines
                .find_map(|line| line.trim().strip_prefix(way))
                .unwrap()
                .to_owned()
        };
        let (cost, said) = (cost(&table, layer), [way("A to B: "), way("B to A: ")]);
        let copied = |way: &String| way.starts_with("by copy");
        let ahead = |way: &String| way.contains("once what was read ahead");
        let agrees = match [&said[0], &said[1]] {
            [a, b] if copied(a) && copied(b) => cost.starts_with("in "),
            [a, b] if copied(a) && !copied(b) => {
                cost.starts_with("in its direction") || cost == "from the peer"
            }
            [a, _] if ahead(a) => cost.starts_with("until what was read ahead"),
            _ => cost == "no",
        };
        assert!(
            agrees,
            "{side} {flag:?}: {layer} costs splice: {cost}; explained is {said:?}"
        );
    };
    for (side, layer) in [
        ("listen:1,allow=10.0.0.0/8", "AccessLayer"),
        ("listen:1,max-conns=9", "ConnLimitLayer"),
        ("listen:1,rate=9/s", "ConnRateLayer"),
        ("listen:1,attempts=9/10m", "AttemptsLayer"),
        ("listen:1,sniff", "Sniff"),
        (
            "listen:1,proxy-protocol=require,proxy-protocol.from=10.0.0.0/8",
            "ExpectProxyHeader",
        ),
        ("dial:h:1,proxy-protocol=v2", "SendProxyHeader"),
        (
            "dial:h:1,tls=h,tls.pin=sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "TlsConnect",
        ),
        ("listen:1,ws=/relay", "WsAccept"),
        ("dial:h:1,ws=/relay", "WsConnect"),
        ("listen:1,noise=psk:@FOLDER/secret", "NoiseResponder"),
        ("dial:h:1,noise=psk:@FOLDER/secret", "NoiseInitiator"),
        ("listen:1,token=@FOLDER/secret", "ExpectToken"),
        ("dial:h:1,token=@FOLDER/secret", "SendToken"),
        ("listen:1,signed-token=@FOLDER/keyring", "ExpectSignedToken"),
        ("listen:1,challenge=@FOLDER/known", "Challenge"),
        ("dial:h:1,rendezvous=@FOLDER/secret", "Meet"),
        ("listen:1,compress=zstd", "Zstd"),
        ("listen:1,compress=lz4", "Lz4"),
    ] {
        check(side, None, layer);
    }
    for (flag, layer) in [
        ("--log-traffic", "TrafficLogLayer"),
        ("--capture=/nowhere", "CaptureLayer"),
        ("--bandwidth=9MiB/s", "BandwidthLayer"),
        ("--quota=9MiB", "QuotaLayer"),
        ("--fault=blackhole", "FaultLayer"),
        ("--fault=a-to-b:blackhole", "FaultLayer"),
    ] {
        check("listen:1", Some(flag), layer);
    }
}
