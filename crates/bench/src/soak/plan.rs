//! What one connection does, known to both of its ends: the client sends it first.

use anyhow::{Context, ensure};

/// The plan, as it is sent.
pub(super) const LEN: usize = 32;

const MAGIC: u32 = 0xC0_4B_1E_57;

/// What one connection does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) id: u64,
    pub(super) course: Course,
    /// How much the client sends.
    pub(super) up: u64,
    /// How much the server sends.
    pub(super) down: u64,
}

/// In which order, and how it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Course {
    /// The client ends its stream, and then the server answers.
    ClientEndsFirst,
    /// The server ends its stream, and then the client sends.
    ServerEndsFirst,
    /// Both send at the same time.
    Both,
    /// The server answers and ends while the client is still sending.
    EarlyAnswer,
    /// The client resets while both send.
    ClientResets,
    /// The server resets while both send.
    ServerResets,
}

pub(super) const COURSES: [(Course, &str, u32); 6] = [
    (
        Course::ClientEndsFirst,
        "the client half-closes, the server answers",
        35,
    ),
    (
        Course::ServerEndsFirst,
        "the server half-closes, the client sends",
        20,
    ),
    (Course::Both, "both send at the same time", 25),
    (
        Course::EarlyAnswer,
        "the server answers while the client is sending",
        4,
    ),
    (Course::ClientResets, "the client resets", 8),
    (Course::ServerResets, "the server resets", 8),
];

// ===== impl Plan =====

impl Plan {
    pub(super) fn random(id: u64) -> Self {
        let mut roll = fastrand::u32(0..100);
        let course = COURSES.iter().find(|(.., weight)| {
            let found = roll < *weight;
            roll = roll.saturating_sub(*weight);
            found
        });
        Self {
            id,
            course: course.map_or(Course::Both, |(course, ..)| *course),
            up: size(),
            down: size(),
        }
    }

    pub(super) fn write(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..4].copy_from_slice(&MAGIC.to_be_bytes());
        bytes[4] = self.course.index() as u8;
        bytes[8..16].copy_from_slice(&self.id.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.up.to_be_bytes());
        bytes[24..].copy_from_slice(&self.down.to_be_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8; LEN]) -> anyhow::Result<Self> {
        let number = |at: usize| {
            let bytes = bytes[at..at + 8].try_into().expect("it is eight");
            u64::from_be_bytes(bytes)
        };
        ensure!(bytes[..4] == MAGIC.to_be_bytes(), "other bytes than a plan");
        let course = COURSES.get(usize::from(bytes[4])).context("no course")?;
        Ok(Self {
            id: number(8),
            course: course.0,
            up: number(16),
            down: number(24),
        })
    }
}

// ===== impl Course =====

impl Course {
    pub(super) fn index(self) -> usize {
        let index = COURSES.iter().position(|(course, ..)| *course == self);
        index.expect("all are there")
    }
}

/// Mostly small, now and then megabytes.
fn size() -> u64 {
    match fastrand::u32(0..1000) {
        0..800 => fastrand::u64(0..=1024),
        800..980 => fastrand::u64(0..=16 * 1024),
        980..999 => fastrand::u64(0..=256 * 1024),
        _ => fastrand::u64(0..=4 * 1024 * 1024),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_is_written() {
        for id in 0..1000 {
            let plan = Plan::random(id);
            assert_eq!(Plan::read(&plan.write()).unwrap(), plan);
        }
        assert!(Plan::read(&[0; LEN]).is_err());
        assert_eq!(COURSES.iter().map(|(.., weight)| weight).sum::<u32>(), 100);
    }
}
