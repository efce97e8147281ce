//! A system without Multipath TCP.

use couplet_tests::{Couplet, finish, program};

use crate::is_wanted;

#[test]
fn without_multipath_tcp_the_start_says_so() {
    if !is_wanted() {
        return;
    }
    for sides in [
        ["listen:127.0.0.1:0,mptcp", "dial:127.0.0.1:1"],
        ["listen:127.0.0.1:0", "dial:127.0.0.1:1,mptcp"],
        ["listen:127.0.0.1:0", "dial:127.0.0.1:1|127.0.0.1:2,mptcp"],
    ] {
        // In a namespace of its own, where it is switched off.
        let switched_off = "echo 0 >/proc/sys/net/mptcp/enabled && exec \"$@\"";
        let mut command = program("unshare");
        command
            .args(["--net", "sh", "-c", switched_off, "sh"])
            .arg(Couplet::binary())
            .args(sides);
        let said =
            "this system has no Multipath TCP, or has it switched off (sysctl net.mptcp.enabled)";
        finish("couplet", &mut command).with(1).said(said);
    }
}
