use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use hickory_resolver::proto::op::Query;

use super::{
    testing::{Reply, cname, ip, name_server, srv},
    *,
};
use crate::resolve::no_server_answered;

fn name(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

async fn addrs(
    answer: impl Fn(RecordType) -> Reply + Send + 'static,
) -> io::Result<Found<SocketAddr>> {
    let dns = name_server(move |query: &Query| answer(query.query_type())).await;
    dns.addrs(&name("a.test")).await
}

async fn srv_records(records: Vec<RData>) -> io::Result<Found<SrvRecord>> {
    let answer = move |_: &Query| {
        let records = records.iter().map(|data| (60, data.clone()));
        Reply::Records(records.collect())
    };
    let dns = name_server(answer).await;
    dns.srv_records(&name("_a._tcp.test")).await
}

#[tokio::test]
async fn both_families_are_found_for_the_least_of_their_times_to_live() {
    for (six, four, ttl) in [(300, 60, 60), (0, 60, 1), (u32::MAX / 2, 1 << 20, 3600)] {
        let answer = move |kind| match kind {
            RecordType::AAAA => Reply::Records(vec![(six, ip("2001:db8::1"))]),
            _ => Reply::Records(vec![(four, ip("192.0.2.1")), (four, ip("192.0.2.2"))]),
        };
        let found = addrs(answer).await.unwrap();
        let ips: Vec<_> = found
            .list
            .iter()
            .map(|addr| addr.ip().to_string())
            .collect();
        assert_eq!(ips, ["2001:db8::1", "192.0.2.1", "192.0.2.2"]);
        assert_eq!(found.ttl, Duration::from_secs(ttl));
    }
}

#[tokio::test]
async fn an_alias_is_followed_and_its_time_to_live_counts() {
    let dns = name_server(|query| {
        let is_alias = query.name().to_ascii() == "a.test.";
        match (is_alias, query.query_type()) {
            (true, _) => Reply::Records(vec![(5, cname("b.test."))]),
            (false, RecordType::A) => Reply::Records(vec![(60, ip("192.0.2.1"))]),
            _ => Reply::Records(Vec::new()),
        }
    });
    let found = dns.await.addrs(&name("a.test")).await.unwrap();
    assert_eq!(found.list, ["192.0.2.1:0".parse().unwrap()]);
    assert_eq!(found.ttl, Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_there_is_told_from_a_server_that_does_not_answer() {
    let none = |code| move |_| Reply::Code(code);
    for (code, text) in [
        (ResponseCode::NXDomain, "no such name (NXDOMAIN)"),
        (ResponseCode::NoError, "the name has no address"),
    ] {
        let error = addrs(none(code)).await.unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!no_server_answered(&error));
    }
    for code in [ResponseCode::ServFail, ResponseCode::Refused] {
        let error = addrs(none(code)).await.unwrap_err();
        assert!(no_server_answered(&error), "{error}");
    }
    // One family alone says nothing of the other.
    let half = |kind| match kind {
        RecordType::AAAA => Reply::Code(ResponseCode::NoError),
        _ => Reply::Code(ResponseCode::ServFail),
    };
    assert!(no_server_answered(&addrs(half).await.unwrap_err()));
    let half = |kind| match kind {
        RecordType::AAAA => Reply::Code(ResponseCode::ServFail),
        _ => Reply::Records(vec![(60, ip("192.0.2.1"))]),
    };
    assert_eq!(addrs(half).await.unwrap().list.len(), 1);
    let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let dns = Dns::servers([gone.local_addr().unwrap()]);
    drop(gone);
    let error = dns.addrs(&name("a.test")).await.unwrap_err();
    assert!(no_server_answered(&error), "{error}");
}

#[tokio::test]
async fn no_more_records_are_used_than_may_be() {
    let many = |kind| match kind {
        RecordType::A => {
            let ips = (0..70).map(|last| (60, ip(&format!("192.0.2.{last}"))));
            Reply::Records(ips.collect())
        }
        _ => Reply::Records(Vec::new()),
    };
    assert_eq!(addrs(many).await.unwrap().list.len(), MOST);
}

/// The clock waits for all that is on its way over loopback.
#[tokio::test(start_paused = true)]
async fn nonsense_is_an_error() {
    let no_question = |mut reply: Vec<u8>| {
        reply.truncate(12);
        reply[5] = 0;
        reply
    };
    // An answer whose name is a pointer to itself, and one that is cut.
    let own_pointer = |mut reply: Vec<u8>| {
        reply[7] = 1;
        let at = u8::try_from(reply.len()).unwrap();
        reply.extend([0xc0, at, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        reply
    };
    let cut = |mut reply: Vec<u8>| {
        reply[7] = 1;
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192]);
        reply
    };
    let answers: [fn(Vec<u8>) -> Vec<u8>; 6] = [
        |_| Vec::new(),
        |_| vec![0xff; 512],
        |reply| reply[..11].to_vec(),
        no_question,
        own_pointer,
        cut,
    ];
    for (at, answer) in answers.into_iter().enumerate() {
        let answered = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&answered);
        let found = addrs(move |_| {
            counts.fetch_add(1, Ordering::Relaxed);
            Reply::Bytes(answer)
        });
        let text = found.await.unwrap_err().to_string();
        assert!(answered.load(Ordering::Relaxed) >= 2, "{at}");
        assert!(!text.contains(char::is_control), "{at}: {text:?}");
    }
}

#[tokio::test]
async fn a_service_has_its_servers_in_one_order() {
    let records = [
        srv(20, 0, 1, "c.test."),
        srv(10, 5, 2, "B.test."),
        srv(10, 7, 3, "a.test."),
        srv(10, 7, 3, "a.test."),
    ];
    let turned: Vec<_> = records.iter().rev().cloned().collect();
    let found = srv_records(records.to_vec()).await.unwrap();
    let targets: Vec<_> = found
        .list
        .iter()
        .map(|srv| srv.target.to_string())
        .collect();
    assert_eq!(targets, ["a.test:3", "b.test:2", "c.test:1"]);
    assert_eq!(found.ttl, Duration::from_secs(60));
    assert_eq!(srv_records(turned).await.unwrap().list, found.list);
}

#[tokio::test]
async fn a_record_that_leads_nowhere_is_left_out() {
    let raw = |label: &[u8]| {
        let target = Name::from_labels([label, b"test"]).unwrap();
        RData::SRV(SRV::new(0, 0, 1, target))
    };
    let nowhere = [
        srv(0, 0, 0, "a.test."),
        srv(0, 0, 1, "192.0.2.1."),
        raw(b"-"),
        raw(b"\x1b[2J"),
    ];
    let error = srv_records(nowhere.to_vec()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let some = [&nowhere[..], &[srv(1, 1, 1, "."), srv(2, 2, 2, "a.test.")]].concat();
    let found = srv_records(some).await.unwrap();
    assert_eq!(found.list.len(), 1, "{found:?}");
    let none = srv_records(vec![srv(0, 0, 1, ".")]).await.unwrap();
    assert_eq!(none.list, []);
    let error = srv_records(Vec::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "the name has no SRV record");
}

#[tokio::test]
async fn a_service_may_be_an_alias() {
    let dns = name_server(
        |query| match (query.name().to_ascii().as_str(), query.query_type()) {
            ("_a._tcp.test.", _) => Reply::Records(vec![(5, cname("_b._tcp.test."))]),
            ("_b._tcp.test.", RecordType::SRV) => {
                Reply::Records(vec![(60, srv(0, 0, 1, "a.test."))])
            }
            ("_loop._tcp.test.", _) => Reply::Records(vec![(5, cname("_loop._tcp.test."))]),
            _ => Reply::Code(ResponseCode::NXDomain),
        },
    );
    let dns = dns.await;
    let found = dns.srv_records(&name("_a._tcp.test")).await.unwrap();
    assert_eq!(found.list.len(), 1);
    assert_eq!(found.ttl, Duration::from_secs(5));
    dns.srv_records(&name("_loop._tcp.test")).await.unwrap_err();
}

#[tokio::test]
async fn no_chain_of_aliases_has_a_name_server_asked_without_end() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    let dns = name_server(move |query| {
        let number = counts.fetch_add(1, Ordering::Relaxed);
        match query.query_type() {
            RecordType::SRV | RecordType::CNAME => {
                Reply::Records(vec![(5, cname(&format!("_{number}._tcp.test.")))])
            }
            _ => Reply::Code(ResponseCode::NXDomain),
        }
    });
    let found = dns.await.srv_records(&name("_a._tcp.test")).await;
    assert!(!no_server_answered(&found.unwrap_err()));
    // Of hickory-resolver at the begin and at the end, and between them the aliases.
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked <= 3 * ALIASES, "{asked}");
}

#[test]
fn what_a_name_server_says_has_no_control_characters() {
    let text = unanswered("a\u{1b}[2J\u{9b}\r\nb").to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.ends_with("a\\u{1b}[2J\\u{9b}\\r\\nb"), "{text}");
}

#[test]
fn an_attempt_has_the_time_to_be_answered() {
    for (given, least) in [(0, 1), (1, 1), (5, 5)] {
        let mut options = ResolverOpts::default();
        (options.timeout, options.attempts) = (Duration::from_secs(given), 0);
        bound(&mut options);
        assert_eq!(options.timeout, Duration::from_secs(least));
        assert_eq!(options.attempts, 0);
    }
}
