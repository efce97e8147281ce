//! The man page.

use std::io::{self, Write};

use clap::{CommandFactory, builder::Resettable};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use crate::args::{Args, notes};

/// What clap knows of the command, then the notes below its help, line by line as they are there.
pub(crate) fn write(to: &mut dyn Write) -> io::Result<()> {
    Man::new(Args::command().after_help(Resettable::Reset)).render(to)?;
    let notes = Roff::new()
        .control("SH", ["NOTES AND EXAMPLES"])
        .control("nf", [])
        .text([roman(notes())])
        .control("fi", [])
        .to_roff();
    to.write_all(notes.as_bytes())
}
