//! A name server on loopback, for tests.

use std::net::Ipv4Addr;

use hickory_resolver::proto::{
    op::{Message, OpCode, Query, ResponseCode},
    rr::{
        Name, RData, Record,
        rdata::{CNAME, SRV},
    },
};
use tokio::net::UdpSocket;

use super::Dns;

/// What the server says to a question.
pub(crate) enum Reply {
    /// Records with their times to live.
    Records(Vec<(u32, RData)>),
    Code(ResponseCode),
    /// What it makes of a reply without a record.
    Bytes(fn(Vec<u8>) -> Vec<u8>),
}

/// Starts a server with these answers, which ends with the runtime.
pub(crate) async fn name_server(answer: impl Fn(&Query) -> Reply + Send + 'static) -> Dns {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let dns = Dns::servers([socket.local_addr().unwrap()]);
    tokio::spawn(async move {
        let mut asked = [0; 512];
        loop {
            let (len, from) = socket.recv_from(&mut asked).await.unwrap();
            let asked = Message::from_vec(&asked[..len]).unwrap();
            let query = asked.queries[0].clone();
            let mut reply = Message::response(asked.metadata.id, OpCode::Query);
            reply.add_query(query.clone());
            let bytes = match answer(&query) {
                Reply::Records(records) => {
                    let record = |(ttl, data)| Record::from_rdata(query.name().clone(), ttl, data);
                    reply.add_answers(records.into_iter().map(record));
                    reply.to_vec().unwrap()
                }
                Reply::Code(code) => {
                    reply.metadata.response_code = code;
                    reply.to_vec().unwrap()
                }
                Reply::Bytes(make) => make(reply.to_vec().unwrap()),
            };
            socket.send_to(&bytes, from).await.unwrap();
        }
    });
    dns
}

/// The address of this text.
pub(crate) fn ip(text: &str) -> RData {
    RData::from(text.parse::<std::net::IpAddr>().unwrap())
}

pub(crate) fn cname(target: &str) -> RData {
    RData::CNAME(CNAME(Name::from_ascii(target).unwrap()))
}

pub(crate) fn srv(priority: u16, weight: u16, port: u16, target: &str) -> RData {
    let target = Name::from_ascii(target).unwrap();
    RData::SRV(SRV::new(priority, weight, port, target))
}
