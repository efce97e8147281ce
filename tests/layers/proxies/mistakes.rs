//! Command lines with a proxy that can not be.

use couplet_tests::Couplet;

use super::file;

#[test]
fn what_can_not_be_is_told_at_the_start() {
    let scratch = tempfile::tempdir().unwrap();
    let users = file(&scratch, "users", "me:hunter22\n");
    let empty = file(&scratch, "empty", "# nobody\n");
    let password = file(&scratch, "password", "hunter22\n");
    let open = "would be an open proxy";
    for (words, parts) in [
        (
            vec!["listen:*:0,socks5", "dial:asked"],
            vec![open, "socks5.users=@FILE"],
        ),
        (
            vec!["listen:*:0,connect", "dial:asked,allow=10.0.0.0/8"],
            vec![open, "connect.users"],
        ),
        (vec!["listen:192.0.2.1:0,socks5", "dial:asked"], vec![open]),
        (
            vec!["listen:0,socks5", "dial:h:1"],
            vec!["`dial:asked` on the other side"],
        ),
        (
            vec!["listen:0", "dial:asked"],
            vec!["no client asks", "listen:PORT,socks5"],
        ),
        (vec!["dial:asked", "dial:h:1"], vec!["no client asks"]),
        (
            vec!["listen:0,socks5", "dial:asked,keep=2"],
            vec!["`keep` would dial before"],
        ),
        (
            vec!["listen:0,socks5,connect", "dial:asked"],
            vec!["`connect` stands behind `socks5`", "another side"],
        ),
        (
            vec!["listen:0,socks5,token=@x", "dial:asked"],
            vec!["`token` first, then `socks5`"],
        ),
        (vec!["rendezvous", "listen:0,socks5"], vec!["dial:asked"]),
        (
            vec!["listen:0,socks5,socks5.users=hunter22", "dial:asked"],
            vec!["command line", "@FILE"],
        ),
        (
            vec!["listen:0,via=socks5://h:1", "dial:h:1"],
            vec!["dialled side"],
        ),
        (
            vec!["listen:0", "dial:h:1,via=h:1"],
            vec!["not the URL of a proxy", "socks5://"],
        ),
        (
            vec!["listen:0", "dial:h:1,via=socks4://h:1"],
            vec!["SOCKS5"],
        ),
        (
            vec!["listen:0", "dial:h:1,via=htp://h:1"],
            vec!["did you mean `http`"],
        ),
        (vec!["listen:0", "dial:h:1,via=socks5://h"], vec!["port"]),
        (
            vec!["listen:0", "dial:h:1,via=socks5://me@h:1"],
            vec!["needs a password"],
        ),
        (
            vec!["listen:0", "dial:h:1,via=socks5://me:hunter22@h:1"],
            vec!["command line", "via.password=@FILE"],
        ),
        (
            vec!["listen:0", "dial:h:1,via=http://h:1,via.ca=x"],
            vec!["https://"],
        ),
        (
            vec!["listen:0", "dial:h:1,via=http://h:1,allow=10.0.0.0/8"],
            vec!["the proxy resolves `h`"],
        ),
    ] {
        let told = Couplet::run(&words).with(2).log;
        for part in parts {
            assert!(told.contains(part), "{words:?}: {told}");
        }
        assert!(!told.contains("hunter22"), "{words:?}: {told}");
    }
    let told = Couplet::run(&[
        &format!("listen:0,socks5,socks5.users=@{empty}"),
        "dial:asked",
    ]);
    told.with(2).said("no user, a line is `USER:PASSWORD`");
    let told = Couplet::run(&[
        "listen:0",
        &format!("dial:h:1,via=http://h:1,via.password=@{password}"),
    ]);
    told.with(2).said("of no user");
    // These may be.
    for side in [
        format!("listen:*:0,socks5,socks5.users=@{users}"),
        "listen:*:0,allow=10.0.0.0/8,connect".to_owned(),
        "listen:0,connect".to_owned(),
        "listen:[::1]:0,max-conns=3,socks5".to_owned(),
    ] {
        Couplet::run(&["explain", &side, "dial:asked"])
            .ok()
            .said("dial:asked");
    }
}
