//! Several network namespaces, and bad links between each two of them.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use couplet_tests::{need, until};

use crate::link::Namespace;

/// Namespaces with the addresses 10.77.0.1, 10.77.0.2, …; all of it is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) places: Vec<Namespace>,
    process: Child,
    pipe: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

// ===== impl Mesh =====

impl Mesh {
    pub(crate) fn new(places: usize) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let names: Vec<_> = (0..places)
            .map(|place| format!("m{}{id}{place}", std::process::id()))
            .collect();
        let mut process = Command::new(need("python3"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/network/link.py"))
            .args(&names)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let place = |(at, name): (usize, &String)| {
            until("the device of the mesh", || {
                let device = format!("/sys/class/net/{name}");
                std::fs::exists(device).unwrap().then_some(())
            });
            Namespace::with(name, 1500, at + 1)
        };
        Self {
            places: names.iter().enumerate().map(place).collect(),
            process,
            pipe: Mutex::new((commands, answers)),
        }
    }

    /// Such things happen from now on: see `link.py`.
    pub(crate) fn set(&self, conditions: &str) {
        let mut pipe = self.pipe.lock().unwrap();
        let (commands, answers) = &mut *pipe;
        writeln!(commands, "{conditions}").unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, "set\n", "{conditions}");
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
