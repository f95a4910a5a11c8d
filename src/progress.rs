//! The progress of a run. Rooms report it through the trait; a terminal or a log shows it.

/// Receives progress; must not block.
pub trait Progress: Send + Sync {
    /// A step began, continued or ended.
    fn report(&self, step: Step<'_>);
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'a> {
    /// The run of a window begins.
    Window {
        /// The window's id.
        id: &'a str,
    },
    /// The run of a window waits.
    Waiting {
        /// The window's id.
        window: &'a str,
        /// What it waits for, in words.
        state: &'a str,
    },
    /// A log group is being exported.
    Exporting {
        /// The log group.
        group: &'a str,
        /// Which one it is, from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// What it waits for, in words: `waiting for the slot`, `RUNNING`.
        state: &'a str,
    },
    /// A query reads the objects.
    Reading {
        /// The query.
        query: &'a str,
        /// Objects read to their end.
        objects: usize,
        /// Of how many.
        of_objects: usize,
        /// Compressed bytes of the objects read to their end.
        bytes: u64,
        /// Of how many.
        of_bytes: u64,
    },
    /// The events are being counted independently.
    Verifying,
    /// The charts of a query are being drawn.
    Drawing {
        /// The query.
        query: &'a str,
    },
    /// An output is being written.
    Writing {
        /// Where to.
        target: &'a str,
    },
    /// The window is done, or failed: what is shown is to be removed.
    Done,
}

/// Reports nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _: Step<'_>) {}
}
