use super::{read::read, text::Text, *};

fn config(text: &str) -> Result<Config, Mistakes> {
    read(&[Text::of_bytes("a.toml", text.into()).unwrap()])
}

fn wrong(text: &str) -> Vec<String> {
    let mistakes = config(text).unwrap_err();
    mistakes
        .iter()
        .map(|mistake| format!("{mistake:#}"))
        .collect()
}

#[test]
fn a_file_says_what_a_command_line_says() {
    let config = config(
        "drain-timeout = '2m'\n\
         [relay.ssh]\n\
         a = ['listen:*:22', 'max-conns=5', 'rate=3/s']\n\
         b = 'dial:h:22,connect-timeout=3s'\n\
         idle-timeout = '1h'\n\
         bandwidth = ['1MiB/s', 'a-to-b:2MiB/s']\n\
         max-pairs = 7\n\
         [rendezvous.meet]\n\
         a = 'listen:4000'\n\
         silent = true\n\
         max-waiting = 1_0\n",
    );
    let config = config.unwrap();
    let lines = config
        .relays
        .iter()
        .map(|relay| command_line(&relay.name, &relay.words));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "couplet 'listen:*:22,max-conns=5,rate=3/s' dial:h:22,connect-timeout=3s --name=ssh \
             --bandwidth=1MiB/s --bandwidth=a-to-b:2MiB/s --drain-timeout=2m --idle-timeout=1h --max-pairs=7",
            "couplet rendezvous listen:4000 --name=meet --drain-timeout=2m --max-waiting=10 --silent",
        ]
    );
    assert_eq!(
        config.process.common.drain_timeout(),
        Some(std::time::Duration::from_secs(120))
    );
}

#[test]
fn a_default_holds_where_it_has_an_effect_and_nothing_else_is_said() {
    let config = config(
        "[defaults]\n\
         idle-timeout = '1h'\n\
         connect-timeout = '1s'\n\
         max-waiting-per-key = 9\n\
         once = true\n\
         [relay.one]\n\
         a = 'listen:1'\n\
         b = 'dial:h:1'\n\
         [relay.two]\n\
         a = 'listen:2'\n\
         b = 'listen:3'\n\
         idle-timeout = 'never'\n\
         once = false\n\
         [rendezvous.three]\n\
         a = 'listen:4'\n",
    );
    let relays = config.unwrap().relays;
    let flags = relays.iter().map(|relay| relay.words.flags.join(" "));
    assert_eq!(
        flags.collect::<Vec<_>>(),
        [
            "--connect-timeout=1s --idle-timeout=1h --once",
            "--idle-timeout=never",
            "--idle-timeout=1h --max-waiting-per-key=9",
        ]
    );
}

#[test]
fn all_mistakes_are_told_in_the_order_of_the_file_each_at_its_place() {
    let text = "\
threds = 2
log-format = 'xml'
[defaults]
idle-timeout = '30'
[relay.Post]
a = ['listen:*:5432', 'user-timeout=30', 'tokn=hunter2']
b = 'dial:10.0.0.5'
max-pairs = true
silent = true
[relay.same]
a = 'listen:1'
b = 'dial:h:1,token=@/nowhere'
token = '@f'
threads = 3
[relay.same]
[rendezvous.meet]
a = 'dial:h:1'
others = 'refus'
[foo]
x = 1
";
    let expected = [
        "a.toml:1:1: `threds` is not a key of the process\n  threds = 2\n  ^^^^^^\n  tip: did you mean `threads`?",
        "a.toml:2:15: `xml` is not a value of `log-format`\n  log-format = 'xml'\n                ^^^\n  tip: `text` or `json`",
        "a.toml:4:17: a time needs a unit",
        "a.toml:5:8: `Post` is not the name of a relay",
        "a.toml:6:37: a time needs a unit\n  a = ['listen:*:5432', 'user-timeout=30', 'tokn=…']\n                                      ^^",
        "a.toml:6:43: `tokn` is not an option of a side\n  a = ['listen:*:5432', 'user-timeout=30', 'tokn=…']\n                                            ^^^^",
        "a.toml:7:19: a port is missing",
        "a.toml:8:13: `max-pairs` needs a value",
        "a.toml:9:1: `silent` is not a key of a relay",
        "a.toml:12:21: `/nowhere` can't be read",
        "a.toml:13:1: `token` is an option of a side",
        "a.toml:14:1: `threads` belongs to the process, not to a relay",
        "a.toml:15:8: duplicate key",
        "a.toml:17:5: a rendezvous listens, and `dial:h:1` dials",
        "a.toml:18:11: `refus` is not a value of `others`",
        "a.toml:19:2: `[foo]` is not a table of the file",
    ];
    let told = wrong(text);
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}\nis not\n{expected}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    let all = told.concat();
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn what_two_relays_or_two_files_can_not_both_have_is_a_mistake_that_names_both() {
    let told = wrong(
        "[relay.x]\na='listen:*:5'\nb='dial:h:1'\n[relay.y]\na='listen:6'\nb='listen:*:5,keep-alive=off'",
    );
    assert!(
        told[0]
            .starts_with("a.toml:6:3: `listen:*:5` is taken: `x` has `listen:*:5`, at a.toml:1\n"),
        "{told:?}"
    );
    #[cfg(feature = "admin")]
    {
        let told = wrong("admin = 9180\n[relay.x]\na='listen:127.0.0.1:9180'\nb='dial:h:1'");
        assert!(
            told[0].starts_with(
                "a.toml:3:3: `listen:127.0.0.1:9180` is taken: the admin endpoint has `listen:localhost:9180`, at a.toml:1\n"
            ),
            "{told:?}"
        );
    }
    let files = [
        "quiet = true\n[relay.x]\na='listen:1'\nb='dial:h:1'",
        "quiet=true\n[relay.x]\na='listen:2'\nb='dial:h:1'",
    ];
    let files = files.iter().zip(["1.toml", "2.toml"]);
    let files: Vec<_> = files
        .map(|(text, name)| Text::of_bytes(name, text.as_bytes().to_vec()).unwrap())
        .collect();
    let mistakes = read(&files).unwrap_err();
    let told: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    assert!(
        told[0].contains("2.toml:1:1: the process has flags in two files: 1.toml:1"),
        "{told:?}"
    );
    assert!(
        told[1].contains("2.toml:2:8: two relays are called `x`: the other is at 1.toml:2"),
        "{told:?}"
    );
}

#[cfg(all(unix, feature = "meeting"))]
#[test]
fn the_port_of_other_nodes_is_no_side_and_no_other_relay_has_it() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "sixteen or more!").unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    let node = |name: &str, side: &str, cluster: &str| {
        format!(
            "[rendezvous.{name}]\na='{side}'\nengine='redis://h'\ncluster='{cluster}'\ncluster-secret='@{}'\n",
            secret.display()
        )
    };
    let told = wrong(&node(
        "x",
        "listen:*:4000",
        "listen:10.0.0.1:4000,allow=10.0.0.0/8",
    ));
    assert!(
        told[0]
            .starts_with("a.toml:4:9: `listen:10.0.0.1:4000` is taken: side A is `listen:*:4000`"),
        "{told:?}"
    );
    let fine = node("x", "listen:*:4000", "listen:10.0.0.1:4001");
    assert!(config(&fine).is_ok());
    for (side, cluster, place) in [
        ("listen:*:5000", "listen:10.0.0.1:4001", "a.toml:9:9"),
        ("listen:10.0.0.1:4001", "listen:10.0.0.1:5001", "a.toml:7:3"),
    ] {
        let told = wrong(&format!("{fine}{}", node("y", side, cluster)));
        let message = format!(
            "{place}: `listen:10.0.0.1:4001` is taken: `x` has `listen:10.0.0.1:4001`, at a.toml:1\n"
        );
        assert!(told[0].starts_with(&message), "{told:?}");
    }
}

#[test]
fn what_has_no_effect_is_a_mistake() {
    for (text, message) in [
        ("", "no relay is described: nothing would run"),
        ("threads = 2", "no relay is described"),
        (
            "[defaults]\nmax-waiting-per-key = 3\n[relay.x]\na='listen:1'\nb='dial:h:1'",
            "a.toml:2:1: `max-waiting-per-key` would do nothing here",
        ),
        (
            "[relay.x]\na='listen:1'\nb='listen:2'\nconnect-timeout='1s'",
            "a.toml:4:17: --connect-timeout would do nothing here",
        ),
        (
            "[relay.x]\na='listen:1'\nb='dial:h:2'\nonce=true\nmax-pairs=2",
            "a.toml:5:11: `max-pairs` and `once` exclude each other",
        ),
        (
            "[relay.x]\na='listen:1'\nb='dial:h:2'\naccess-log-format='json'",
            "a.toml:4:19: `access-log-format` would do nothing without `access-log`",
        ),
        (
            "[relay.x]\na='listen:1'\nb.tls='dial:h:2'",
            "a.toml:3:1: `b` has no keys of its own",
        ),
        (
            "[relay.x]\na=[]\nb='dial:h:2'",
            "a.toml:2:3: a side is a string, or an array of its parts",
        ),
        ("relay = 1", "a.toml:1:1: `relay` is a table"),
    ] {
        let told = wrong(text);
        let is_told = told.iter().any(|told| told.starts_with(message));
        assert!(is_told, "{text}: {told:?}");
    }
}

#[test]
fn an_array_keeps_a_comma_within_a_part() {
    let told = wrong("[relay.x]\na=['listen:unix:/run/a,b.sock', 'mod=1']\nb='dial:h:1'");
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("a.toml:2:34: `mod` is not an option of a side"),
        "{told:?}"
    );
}

#[test]
fn bytes_that_are_no_utf8_have_a_place_and_a_byte_order_mark_is_fine() {
    let told = Text::of_bytes("a.toml", b"quiet = true\n# \xff".to_vec()).unwrap_err();
    assert!(
        told.to_string()
            .starts_with("a.toml:2:3: the file is not text in UTF-8"),
        "{told}"
    );
    let text = "\u{feff}[relay.x]\r\na='listen:1'\r\nb='dial:h:1'\r\n";
    assert_eq!(config(text).unwrap().relays.len(), 1);
}
