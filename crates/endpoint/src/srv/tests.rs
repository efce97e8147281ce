use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::proto::{
    op::ResponseCode,
    rr::{RData, RecordType},
};
use tokio::net::TcpSocket;

use super::*;
use crate::{
    error::Chain,
    listen::Listen,
    resolve::testing::{Reply, ip, name_server, srv},
};

/// A dial of a service with these records, of hosts that are all this machine.
async fn dial(records: impl Fn() -> Vec<RData> + Send + 'static) -> SrvDial {
    let dns = name_server(move |query| match query.query_type() {
        RecordType::SRV => Reply::Records(records().into_iter().map(|srv| (0, srv)).collect()),
        RecordType::A => Reply::Records(vec![(60, ip("127.0.0.1"))]),
        _ => Reply::Code(ResponseCode::NoError),
    });
    let each = Dial::to("0.0.0.0:1").unwrap();
    SrvDial::new("_a._tcp.example.test".parse().unwrap(), dns.await, each)
}

async fn listen() -> (Listen, u16) {
    let listen = Listen::bind("127.0.0.1:0").await.unwrap();
    let port = listen.local_addr().port();
    (listen, port)
}

/// A port that refuses, while the socket is there.
fn closed() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

/// The ports that so many dials connect to.
async fn ports(dial: &SrvDial, dials: usize) -> Vec<u16> {
    let mut ports = Vec::new();
    for _ in 0..dials {
        let conn = dial.connect().await.unwrap();
        ports.push(conn.info.peer.unwrap().port());
    }
    ports
}

#[tokio::test]
async fn the_next_priority_is_dialled_when_none_of_the_first_can_be_reached() {
    let ((_a, first), (_b, second)) = (closed(), closed());
    let ((_one, one), (_other, other)) = (listen().await, listen().await);
    let dial = dial(move || {
        vec![
            srv(30, 1, other, "d.test."),
            srv(20, 1, one, "c.test."),
            srv(10, 1, first, "a.test."),
            srv(10, 1, second, "b.test."),
        ]
    });
    let dial = dial.await;
    // More dials than it takes for a server to be down.
    assert_eq!(ports(&dial, 5).await, [one; 5]);
    let conn = dial.connect().await.unwrap();
    let target = conn.info.target.unwrap();
    assert_eq!(target.to_string(), format!("example.test:{one}"));
}

#[tokio::test]
async fn weights_are_shares_and_a_weight_of_none_comes_last() {
    let ((_one, one), (_other, other)) = (listen().await, listen().await);
    for (weights, share) in [([3, 1], 6), ([1, 0], 8), ([0, 0], 4)] {
        let records = [
            srv(0, weights[0], one, "a.test."),
            srv(0, weights[1], other, "b.test."),
        ];
        let dial = dial(move || records.to_vec()).await;
        let ports = ports(&dial, 8).await;
        let first = ports.iter().filter(|port| **port == one).count();
        assert_eq!(first, share, "{weights:?}");
    }
}

#[tokio::test]
async fn a_server_of_no_weight_is_dialled_where_the_other_fails() {
    let (_socket, closed) = closed();
    let (_listen, open) = listen().await;
    let dial = dial(move || vec![srv(0, 9, closed, "a.test."), srv(0, 0, open, "b.test.")]).await;
    assert_eq!(ports(&dial, 1).await, [open]);
}

#[tokio::test]
async fn what_is_known_of_servers_stays_while_the_records_do() {
    let (_listen, open) = listen().await;
    let dial = dial(Vec::new).await;
    let record = |priority| SrvRecord {
        priority,
        weight: 1,
        target: format!("a.test:{open}").parse().unwrap(),
    };
    let before = dial.priorities(&Arc::from([record(1)]));
    let same = dial.clone().priorities(&Arc::from([record(1)]));
    assert!(Arc::ptr_eq(&before, &same));
    let more = dial.priorities(&Arc::from([record(1), record(2)]));
    assert_eq!((before.len(), more.len()), (1, 2));
}

#[tokio::test]
async fn a_domain_without_the_service_says_so() {
    let none = dial(|| vec![srv(0, 0, 0, ".")]).await;
    let error = none.connect().await.unwrap_err();
    assert!(error.is_no_service());
    assert_eq!(
        Chain(&error).to_string(),
        "cannot dial srv:_a._tcp.example.test, the domain has no such service: the target of its SRV record \
         is `.`"
    );
    let dns = name_server(|_| Reply::Code(ResponseCode::NXDomain)).await;
    let each = Dial::to("0.0.0.0:1").unwrap();
    let unknown = SrvDial::new("_a._tcp.example.test".parse().unwrap(), dns, each);
    let error = unknown.connect().await.unwrap_err();
    assert!(error.is_look_up());
    assert_eq!(
        Chain(&error).to_string(),
        "cannot dial srv:_a._tcp.example.test, name not found: no such name (NXDOMAIN)"
    );
    let (_socket, closed) = closed();
    let refused = dial(move || vec![srv(0, 0, closed, "a.test.")]).await;
    let error = Chain(&refused.connect().await.unwrap_err()).to_string();
    let begin = format!(
        "cannot dial srv:_a._tcp.example.test: the target can't be reached: cannot dial a.test:{closed}; \
         127.0.0.1:{closed}: "
    );
    assert!(error.starts_with(&begin), "{error}");
}

#[tokio::test]
async fn the_records_are_looked_up_once_while_they_live() {
    let (_listen, open) = listen().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    let dns = name_server(move |query| match query.query_type() {
        RecordType::SRV => {
            counts.fetch_add(1, Ordering::Relaxed);
            Reply::Records(vec![(3600, srv(0, 0, open, "a.test."))])
        }
        RecordType::A => Reply::Records(vec![(3600, ip("127.0.0.1"))]),
        _ => Reply::Code(ResponseCode::NoError),
    });
    let each = Dial::to("0.0.0.0:1").unwrap();
    let dial = SrvDial::new("_a._tcp.example.test".parse().unwrap(), dns.await, each);
    ports(&dial, 5).await;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
