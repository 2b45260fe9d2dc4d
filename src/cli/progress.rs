//! A bar on standard error for runs that take more than a second.
//!
//! Holds an observer that counts packets. Draws only on a terminal. The host's clock is looked at
//! once in many packets, and nothing that a report shows depends on it.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::sim::{Happening, Observer, Subject, World};

/// Packets between two looks at the clock.
const PACKETS_PER_LOOK: u64 = 65_536;
/// A run that is over by then shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// Counts packets and draws the bar.
pub(super) struct Progress {
    planned: u64,
    seen: u64,
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For a run of about so many packets.
    pub(super) fn new(planned: u64) -> Progress {
        Progress { planned, seen: 0, began: Instant::now(), bar: None }
    }

    fn look(&mut self) {
        if self.bar.is_none() && self.began.elapsed() > PATIENCE {
            let bar = ProgressBar::with_draw_target(
                Some(self.planned.max(self.seen)),
                ProgressDrawTarget::stderr(),
            );
            // The template is a constant; a fault in it would leave the default look.
            if let Ok(style) =
                ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} packets, {eta} left")
            {
                bar.set_style(style);
            }
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_length(self.planned.max(self.seen));
            bar.set_position(self.seen);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Progress {
    fn see(&mut self, _: World<'_>, _: Subject, what: Happening<'_>) {
        if !matches!(what, Happening::Left { .. }) {
            self.seen += 1;
            if self.seen.is_multiple_of(PACKETS_PER_LOOK) {
                self.look();
            }
        }
    }
}
