//! The text below the help: the kinds of sides, their options, and examples.

use crate::side;

/// What stands below the help.
pub(crate) fn notes() -> String {
    format!("{SIDES}{QUIC}\n{}\n{EXAMPLES}", side::help())
}

const SIDES: &str = "\
A side is an address, then options in the order in which a connection meets them:
  listen:[HOST:]PORT   clients connect to us; without HOST from this machine only, `*` from anywhere
  dial:HOST:PORT       Couplet connects to a server
  dial:TARGET|TARGET   to one of several servers, HOST:PORT or unix:PATH, as `balance` and `check` say
  dial:asked           to the target that each client of a proxy asks for
  stdio                standard input and output, of one pair
  exec:PROGRAM ARGS    a program, started for each client
  listen:unix:PATH, dial:unix:PATH
                       a Unix socket; `unix:@NAME` is an abstract one
  listen:vsock:PORT, dial:vsock:CID:PORT
                       between virtual machines and their host
  listen:systemd:NAME  on the sockets that systemd passes with this name
  listen:routes        clients that another relay of the same file sends here
";

const QUIC: &str = match cfg!(feature = "quic") {
    true => {
        "  listen:quic:PORT, dial:quic:HOST:PORT
                       streams of QUIC, over UDP, with `tls`
"
    }
    false => "",
};

const EXAMPLES: &str = "\
Examples:
  couplet listen:127.0.0.1:9000 listen:127.0.0.1:8000   join two clients, first come, first joined
  couplet listen:*:2222 dial:192.0.2.7:22               forward a port
  couplet dial:relay.example.org:9000 dial:127.0.0.1:6379 --reconnect
                                                        offer a Redis server from behind a NAT
  couplet rendezvous listen:*:4000                      join clients with the same key
  couplet dial:relay:4000,rendezvous=KEY,keep=8 dial:localhost:22
                                                        offer ssh from behind a NAT, to many
  couplet listen:2222 dial:relay:4000,rendezvous=KEY    reach that ssh server
  couplet listen:*:9000,token=@a.secret listen:8000     clients of 9000 must send the secret
  couplet listen:8080 dial:localhost:80 --log-traffic=hex
  couplet explain listen:*:9000,token=@a.secret listen:8000
                                                        print the stacks of this relay

A TIME is like 500ms, 30s, 5m, 1h30m; or never, where that makes sense. Sizes are in bytes: 1M and 1MB are
1000000, 1MiB is 1048576. A DIRECTION is a-to-b or b-to-a; without one, both directions count together.
Exit status: 0 done or drained, 1 failed, 2 wrong usage. A relay of one pair (--once, or two dialled sides)
also: 3 a peer cut the pair, 4 a timeout ended the pair, 5 the quota ended the pair.
SIGTERM and SIGINT drain; a second one ends the process at once. SIGHUP reads the files again.";
