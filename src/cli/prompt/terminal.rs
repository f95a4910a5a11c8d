//! The terminal's settings, as they were before lines were read from it.

use std::io::stdin;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// Settings that are given back where the process ends while a line is read.
pub struct Settings(Option<Termios>);

impl Settings {
    /// Those of now.
    pub fn of_now() -> Self {
        Self(tcgetattr(stdin()).ok())
    }

    /// Gives them back.
    pub fn restore(&self) {
        if let Some(settings) = &self.0 {
            // The terminal may have gone, and then has no settings.
            let _ = tcsetattr(stdin(), OptionalActions::Drain, settings);
        }
    }
}
