use super::*;
use std::time::Duration;

fn read(input: &str) -> Result<SideSpec, Mistake> {
    let words = SideWords::from(input);
    let read = SideSpec::read(&words, Handshakes::flags(None, None), DialledFor::Other);
    read.map_err(|mut wrong| words.hide_secrets(wrong.remove(0)))
}

fn wrong(input: &str) -> String {
    let error = read(input).unwrap_err();
    format!("{error:#}")
}

#[test]
fn options_follow_the_address() {
    let side = read("dial:[::1]:22,source=::2,connect-timeout=3s,keep-alive=off").unwrap();
    assert_eq!(side.endpoint.address.to_string(), "dial:[::1]:22");
    assert_eq!(side.endpoint.connect_timeout, Some(Duration::from_secs(3)));
    assert_eq!(side.endpoint.source, Some("::2".parse().unwrap()));
    let settings = side.endpoint.settings(EndpointFlags::default());
    assert_eq!(settings[0].to_string(), "keep-alive off (side)");
}

#[test]
fn a_mistake_is_pointed_at() {
    assert_eq!(
        wrong("listen:9000,loud"),
        format!(
            "`loud` is not an option of a side\n  listen:9000,loud\n              ^^^^\n  tip: {}",
            help::all_names()
        )
    );
    assert_eq!(
        wrong("listen:9000,user-timeout=30"),
        "a time needs a unit\n  listen:9000,user-timeout=30\n                           ^^\n  \
         tip: `30s`, `30ms` or `30m`, or `never`"
    );
}

#[test]
fn each_mistake_has_its_own_message() {
    for (input, part) in [
        ("listen:9000,", "missing behind the comma"),
        ("listen:9000,keep-alive", "needs a value"),
        ("listen:9000,reuse-port=yes", "takes no value"),
        ("listen:9000,reuse-port,reuse-port", "twice"),
        ("listen:9000,keep-alive=off,keep-alive=off", "twice"),
        ("listen:9000,connect-timeout=1s", "dialled side"),
        ("dial:h:1,reuse-port", "listening side"),
        ("dial:h:1,source=here", "not an IP address"),
        (
            "dial:127.0.0.1:1,source=::1",
            "127.0.0.1:1 can't be reached",
        ),
        ("dial:h:1,keep=9999999999", "from 1 to 1024"),
        ("dial:h:1,user-timeout=30d", "24 days at most"),
        ("listen:9000,token=secret", "token=@FILE"),
        ("listen:9000,token=@/nowhere", "can't be read"),
        ("listen:9000,reuse-prot", "did you mean `reuse-port`?"),
        ("listen:9000,MAX_CONNS=3", "did you mean `max-conns`?"),
        ("listen:9000, token=@f", "`token`, without blanks"),
        (
            "listen:9000,proxyprotocol=v1",
            "did you mean `proxy-protocol`?",
        ),
        ("listen:9000,token.file=1", "not a setting of `token`"),
        ("listen:9000,tls.key=1", "`tls`, which is missing before it"),
        (
            "listen:9000,allow=10.0.0.0/8,10.1.0.0/16",
            "joined by `+`: `allow=10.0.0.0/8+10.1.0.0/16`",
        ),
        (
            "listen:9000,max-conns=3,keep=2",
            "a listening side has keep-alive",
        ),
        ("listen:9000,rate=10/second", "`10/s`"),
        ("listen:9000,allow=10.0.0.7/8", "write `10.0.0.0/8`"),
        (
            "listen:9000,deny=10.0.0.0/8+here",
            "`here` is not a network",
        ),
        ("listen:9000,allow=@/nowhere", "/nowhere can't be read: No"),
        ("listen:9000,max-conns=0", "1, or more"),
        ("listen:9000,rate=10", "`10/s`"),
        ("listen:9000,rate=10/30", "needs a unit"),
        (
            "listen:9000,max-conns=1,max-conns.queue=2",
            "does nothing without `max-conns.wait`",
        ),
        ("listen:9000,max-conns=1,max-conns.wait=2", "needs a unit"),
        (
            "listen:9000,rate.wait=2s",
            "`rate`, which is missing before it",
        ),
        ("dial:h:1,max-per-addr=1", "listening side"),
        ("listen:9000,tls", "needs a certificate"),
        ("listen:9000,tls=/nowhere", "can't be read"),
        ("listen:9000,tls=/dev/null", "certificate missing"),
        (
            "listen:9000,tls=x,tls.client=want",
            "`tls.client-ca=CA.pem`",
        ),
        ("listen:9000,tls=x,tls.unknown-name=no", "`refuse`"),
        ("listen:9000,tls=x,tls.pin=x", "for a dialled side"),
        ("dial:h:1,tls=a b", "not the name of a server"),
        ("dial:h:1,tls,tls.client-ca=x", "for a listening side"),
        ("dial:h:1,tls,tls.ca=/nowhere", "can't be read"),
        ("dial:h:1,tls,tls.pin=abc", "`sha256//`"),
        ("dial:h:1,tls,tls.key=x", "`tls.key` needs its certificate"),
        ("dial:h:1,tls,tls.close-notify=no", "`optional`"),
        ("listen:9000,\u{1b}[2J", "\\u{1b}"),
    ] {
        let error = wrong(input);
        assert!(error.contains(part), "{input}: {error}");
        assert!(!error.contains('\u{1b}'));
    }
}
