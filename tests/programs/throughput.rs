//! iperf3, which opens several connections that have to reach the server in order.

use couplet_tests::{Couplet, Process, finish, net::free_port, program};
use serde_json::Value;

const BYTES: u64 = 256 * 1024 * 1024;

#[track_caller]
fn measure(options: &[&str]) -> Value {
    let port = free_port().to_string();
    let mut server = program("iperf3");
    server.args(["-s", "-1", "-B", "127.0.0.1", "-p", &port, "--forceflush"]);
    let server = Process::spawn("iperf3 -s", &mut server);
    server.find("it listens", |line| {
        line.contains("Server listening").then_some(())
    });

    let couplet = Couplet::start(&["listen:0", &format!("dial:127.0.0.1:{port}")]);
    let through = couplet.address('A').port().to_string();
    let mut client = program("iperf3");
    client
        .args([
            "-c",
            "127.0.0.1",
            "-p",
            &through,
            "-J",
            "-n",
            &BYTES.to_string(),
        ])
        .args(options);
    let measured = finish("iperf3 -c", &mut client).ok();
    server.finish().ok();
    let result: Value = serde_json::from_str(&measured.log).unwrap();
    assert!(result.get("error").is_none(), "{measured}");
    let end = &result["end"];
    let received = |of: &Value| of["bytes"].as_u64().unwrap();
    for stream in end["streams"].as_array().unwrap() {
        assert!(received(&stream["receiver"]) > 0, "{measured}");
    }
    // It stops when it has sent them all, whether or not what is on its way has arrived.
    assert!(received(&end["sum_received"]) > BYTES / 2, "{measured}");
    result
}

#[test]
fn to_the_server() {
    measure(&[]);
}

#[test]
fn from_the_server() {
    measure(&["-R"]);
}

#[test]
fn four_at_a_time() {
    for direction in [&["-P", "4"][..], &["-P", "4", "-R"]] {
        let result = measure(direction);
        assert_eq!(result["end"]["streams"].as_array().unwrap().len(), 4);
    }
}
