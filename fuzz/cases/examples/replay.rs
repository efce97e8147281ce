//! Gives the files of folders to a fuzz target: `replay TARGET FOLDER…`.

use std::{env, fs, io};

use couplet_fuzz_cases::CASES;

fn main() -> io::Result<()> {
    let mut args = env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let Some(case) = CASES.iter().find(|case| case.name == name) else {
        let error = format!("there is no fuzz target {name:?}");
        return Err(io::Error::other(error));
    };
    for folder in args {
        for file in fs::read_dir(folder)? {
            (case.run)(&fs::read(file?.path())?);
        }
    }
    Ok(())
}
