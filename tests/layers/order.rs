//! Options of a side stand in its stack in the order in which they are written.

use std::io::Write;

use couplet_tests::{
    Couplet,
    net::{accept, connect, dial, listen},
    pattern,
};

#[test]
fn a_layer_of_one_side_leaves_the_other_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("secret");
    std::fs::write(&file, "hunter2\n").unwrap();
    let target = listen();
    let side = format!("listen:0,token=@{}", file.display());
    let couplet = Couplet::start(&[&side, &dial(&target)]);
    let client = connect(couplet.address('A'));
    (&client).write_all(b"hunter2\n").unwrap();
    let server = accept(&target);
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);
    pattern::send(&server, 2, 1000);
    pattern::expect(&client, 2, 1000);
}
