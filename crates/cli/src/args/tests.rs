use std::collections::HashSet;

use super::*;
use crate::side;

fn plan(args: &[&str]) -> Result<Plan, String> {
    let args = Args::try_parse_from([&["couplet"], args].concat());
    let plan = args.map_err(|error| error.to_string())?.relay.plan();
    plan.map_err(|mistake| mistake.to_string())
}

#[test]
fn the_definition_is_sound() {
    Args::command().debug_assert();
}

#[test]
fn a_flag_in_place_of_an_option_is_recognised() {
    let command = Args::command();
    let flags = command.get_arguments().filter_map(clap::Arg::get_long);
    let flags = flags.filter(|flag| !["help", "version"].contains(flag));
    let flags: HashSet<_> = flags.filter(|flag| !side::is_option(flag)).collect();
    assert_eq!(flags, side::FLAGS.iter().copied().collect());
}

#[test]
fn a_flag_without_effect_is_refused() {
    for (args, flag) in [
        (
            &["listen:1", "listen:2", "--connect-timeout=1s"][..],
            "--connect-timeout",
        ),
        (
            &["listen:1", "listen:2", "--handshake-timeout=1s"],
            "--handshake-timeout",
        ),
        (
            &["listen:1", "dial:h:2", "--wait-timeout=1s"],
            "--wait-timeout",
        ),
        (
            &["dial:h:1", "listen:2", "--wait-timeout=1s"],
            "--wait-timeout",
        ),
        (
            &["listen:1", "listen:2", "--max-handshakes=9"],
            "--max-handshakes",
        ),
        (
            &["dial:h:1", "dial:h:2", "--max-waiting=3"],
            "--max-waiting",
        ),
        (&["dial:h:1", "dial:h:2", "--max-pairs=3"], "--max-pairs"),
        (
            &[
                "listen:1",
                "dial:h:2,connect-timeout=1s",
                "--connect-timeout=2s",
            ],
            "--connect-timeout",
        ),
        (
            &[
                "listen:1,keep-alive=off",
                "dial:h:2,keep-alive=off",
                "--keep-alive=off",
            ],
            "--keep-alive",
        ),
        (
            &[
                "listen:1,user-timeout=1s",
                "dial:h:2,user-timeout=1s",
                "--user-timeout=2s",
            ],
            "--user-timeout",
        ),
        (&["dial:h:1", "dial:h:2", "--once"], "--once"),
        (&["dial:h:1", "dial:h:2", "--threads=2"], "--threads"),
        (
            &["listen:1", "dial:h:2", "--once", "--threads=2"],
            "--threads",
        ),
        (&["listen:1", "dial:h:2", "--reconnect"], "--reconnect"),
        (&["dial:h:1", "dial:h:2", "--reconnect", "--once"], "--once"),
        (
            &["listen:1", "listen:2", "--once", "--max-pairs=2"],
            "--once",
        ),
        (&["listen:1", "listen:2", "-q", "-v"], "--quiet"),
        (&["listen:1", "listen:2", "listen:3"], "`listen:3`"),
        (
            &["listen:1", "listen:2", "--log-traffic", "hex"],
            "--log-traffic=hex",
        ),
    ] {
        let error = plan(args).unwrap_err();
        assert!(error.contains(flag), "{args:?}: {error}");
    }
    assert!(plan(&["dial:h:1", "listen:2", "--once", "--wait-timeout=1s"]).is_ok());
    assert!(plan(&["dial:h:1", "dial:h:2", "--reconnect"]).is_ok());
    assert!(plan(&["dial:h:1", "dial:h:2", "--threads=1"]).is_ok());
    assert!(
        plan(&[
            "dial:h:1,connect-timeout=1s",
            "dial:h:2",
            "--connect-timeout=2s"
        ])
        .is_ok()
    );
}

#[test]
fn a_sides_own_option_wins_over_the_flag() {
    let plan = plan(&[
        "listen:1,user-timeout=5s",
        "listen:2,keep-alive=off,ack-timeout=off",
        "--ack-timeout=20s",
        "--user-timeout=7s",
        "--keep-alive=1s/2s/3",
    ])
    .unwrap();
    let settings = |side: &SideSpec| {
        let settings = side.endpoint.settings(plan.endpoint_flags);
        settings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        settings(plan.sides.get(Side::A)),
        [
            "keep-alive 1s/2s/3 (flag)",
            "ack-timeout 20s (flag)",
            "user-timeout 5s (side)"
        ]
    );
    assert_eq!(
        settings(plan.sides.get(Side::B)),
        [
            "keep-alive off (side)",
            "ack-timeout never (side)",
            "user-timeout 7s (flag)"
        ]
    );
}
