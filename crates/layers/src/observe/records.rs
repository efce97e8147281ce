//! Writes whole records, though the writer fails for a while.

use std::io;

/// Writes whole records: if the writer failed within a record, as on a full disk, the rest of that record
/// is written first. So no record follows half of another.
#[derive(derive_more::Debug)]
pub struct Records<W: ?Sized> {
    /// The rest of a record that was begun.
    #[debug("{}", rest.len())]
    rest: Vec<u8>,
    #[debug(skip)]
    to: W,
}

// ===== impl Records =====

impl<W: io::Write> Records<W> {
    /// Records for this writer.
    pub const fn new(to: W) -> Self {
        Self {
            rest: Vec::new(),
            to,
        }
    }
}

impl<W: io::Write + ?Sized> Records<W> {
    /// Writes a record, after the rest of the one before, in a single write if the writer takes it.
    ///
    /// # Errors
    ///
    /// No byte of this record was written. If a part was written, the rest is kept, and the next call
    /// returns the error if it lasts.
    pub fn write(&mut self, record: &[u8]) -> io::Result<()> {
        self.finish()?;
        let (written, result) = self.write_some(record);
        match result {
            Err(error) if written == 0 && !record.is_empty() => Err(error),
            _ => {
                self.rest.extend_from_slice(&record[written..]);
                Ok(())
            }
        }
    }

    /// Writes the rest of a record that was begun.
    ///
    /// # Errors
    ///
    /// The rest is not written yet.
    pub fn finish(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.rest);
        let (written, result) = self.write_some(&rest);
        self.rest.extend_from_slice(&rest[written..]);
        result
    }

    /// Whether a record is partly written.
    pub const fn is_torn(&self) -> bool {
        !self.rest.is_empty()
    }

    /// The number of bytes written until the writer failed.
    fn write_some(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < bytes.len() {
            match self.to.write(&bytes[written..]) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
        (written, Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A disk with this much room at each write, again and again.
    struct Disk {
        written: Vec<u8>,
        room: Vec<usize>,
    }

    impl io::Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.room.pop() {
                Some(0) => Err(io::ErrorKind::StorageFull.into()),
                room => {
                    let n = bytes.len().min(room.unwrap_or(usize::MAX));
                    self.written.extend_from_slice(&bytes[..n]);
                    Ok(n)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn every_record_that_is_taken_is_whole(
            room in prop::collection::vec(0_usize..20, 0..60),
            lengths in prop::collection::vec(0_usize..30, 0..20),
        ) {
            let mut records = Records::new(Disk { written: Vec::new(), room });
            let mut taken = String::new();
            for (number, length) in lengths.into_iter().enumerate() {
                let record = format!("{number}{}\n", "x".repeat(length));
                if records.write(record.as_bytes()).is_ok() {
                    taken += &record;
                }
            }
            while records.finish().is_err() {}
            prop_assert_eq!(String::from_utf8(records.to.written).unwrap(), taken);
        }
    }
}
