//! The life of one run, as a table.
//!
//! ```text
//! starting --spawned--> running --ending--> stopping --gone--> exited
//!   |  |                 |  ^  +------------ gone ----------------^ ^
//!   |  |    lease is over|  |accepted                               |
//!   |  |                 v  |                                       |
//!   |  |               suspended --ending--> stopping               |
//!   |  |                   +---------------- gone ------------------+
//!   |  +--ending--> stopping (the process comes up and is ended, or never comes up)
//!   +--never spawned--> failed
//! ```
//!
//! A suspended run stands still: no process of it runs, its clocks do not move. On the wire it is `running`,
//! with a flag. Ending it (a stop, `stale`, the end of the service) works as ever. What is not up, or is
//! being ended, is never suspended.
//!
//! Pure. Nothing else may assign a phase. What is over stays as it is, whoever speaks late.

use beadrig::wire::container::{Outcome, Phase};

/// What happens to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its process is up.
    Spawned,
    /// There is no process, and there will be none.
    NeverSpawned,
    /// Its rig has not been heard of for too long.
    Suspended,
    /// Its rig is there again.
    Resumed,
    /// It is being ended, and why.
    Ending(String),
    /// Its process group is gone.
    Gone(Exit),
}

/// How a process ended, as the system says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// The code, if it exited by itself.
    pub code: Option<i32>,
    /// The signal, if one ended it.
    pub signal: Option<i32>,
}

/// Where a run is; [`Phase`] and whether it stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Running,
    Suspended,
    Stopping,
    Exited,
    Failed,
}

/// Where a run is in its life, and how it came to end.
#[derive(Clone, Debug)]
pub struct Life {
    state: State,
    why: Option<String>,
    exit: Exit,
}

/// Registered.
impl Default for Life {
    fn default() -> Self {
        Self { state: State::Starting, why: None, exit: Exit::default() }
    }
}

impl Life {
    /// Takes one event; says whether anything changed.
    pub fn after(&mut self, event: Event) -> bool {
        use State::{Exited, Failed, Running, Starting, Stopping, Suspended};
        let next = match (self.state, event) {
            (Starting, Event::Spawned) => Running,
            (Running, Event::Suspended) => Suspended,
            (Suspended, Event::Resumed) => Running,
            (Starting | Running | Suspended, Event::Ending(why)) => {
                self.why = Some(why);
                Stopping
            }
            (Starting | Stopping, Event::NeverSpawned) => {
                self.why.get_or_insert_with(|| "spawn_failed".to_owned());
                Failed
            }
            (Starting | Running | Suspended | Stopping, Event::Gone(exit)) => {
                let by_itself = if exit.signal.is_some() { "signal" } else { "exited" };
                self.why.get_or_insert_with(|| by_itself.to_owned());
                self.exit = exit;
                Exited
            }
            // The first reason stays; a process that comes up while it is being ended is ended.
            (Stopping, _) => Stopping,
            (Starting, Event::Suspended | Event::Resumed) => Starting,
            (same @ (Running | Suspended), _) => same,
            (over @ (Exited | Failed), _) => over,
        };
        std::mem::replace(&mut self.state, next) != next
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Starting => Phase::Starting,
            State::Running | State::Suspended => Phase::Running,
            State::Stopping => Phase::Stopping,
            State::Exited => Phase::Exited,
            State::Failed => Phase::Failed,
        }
    }

    /// Whether it stands still.
    pub fn is_suspended(&self) -> bool {
        self.state == State::Suspended
    }

    /// Why it ended, once it did.
    pub fn reason(&self) -> Option<&str> {
        self.why.as_deref().filter(|_| self.phase().is_over())
    }

    /// How its process ended.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether its command succeeded.
    pub fn outcome(&self) -> Outcome {
        match self.exit.code {
            Some(0) if self.phase() == Phase::Exited => Outcome::Completed,
            _ => Outcome::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(events: impl IntoIterator<Item = Event>) -> Life {
        let mut life = Life::default();
        for event in events {
            life.after(event);
        }
        life
    }

    fn ending(why: &str) -> Event {
        Event::Ending(why.to_owned())
    }

    const CLEAN: Event = Event::Gone(Exit { code: Some(0), signal: None });
    const KILLED: Event = Event::Gone(Exit { code: None, signal: Some(9) });

    #[test]
    fn a_run_that_exits_by_itself_says_how() {
        let clean = live([Event::Spawned, CLEAN]);
        assert_eq!((clean.reason(), clean.outcome()), (Some("exited"), Outcome::Completed));
        let killed = live([Event::Spawned, KILLED]);
        assert_eq!((killed.reason(), killed.outcome()), (Some("signal"), Outcome::Failed));
    }

    #[test]
    fn the_first_reason_to_end_it_stays() {
        let life = live([Event::Spawned, ending("timeout"), ending("stopped"), KILLED]);
        assert_eq!((life.phase(), life.reason()), (Phase::Exited, Some("timeout")));
    }

    #[test]
    fn a_stop_before_the_process_is_up_is_not_forgotten() {
        let up = live([ending("stopped"), Event::Spawned]);
        assert_eq!((up.phase(), up.reason()), (Phase::Stopping, None));
        let never = live([ending("stopped"), Event::NeverSpawned]);
        assert_eq!((never.phase(), never.reason()), (Phase::Failed, Some("stopped")));
    }

    #[test]
    fn a_run_without_its_rig_stands_still_and_can_be_ended_all_the_same() {
        let mut life = live([Event::Spawned]);
        assert!(life.after(Event::Suspended));
        assert_eq!((life.phase(), life.is_suspended()), (Phase::Running, true));
        assert!(life.after(Event::Resumed) && !life.is_suspended());
        let stopped = live([Event::Spawned, Event::Suspended, ending("stopped"), Event::Resumed]);
        assert_eq!((stopped.phase(), stopped.is_suspended()), (Phase::Stopping, false));
        let killed = live([Event::Spawned, Event::Suspended, KILLED]);
        assert_eq!((killed.phase(), killed.reason()), (Phase::Exited, Some("signal")));
        for mut other in [Life::default(), live([ending("stopped")]), live([CLEAN])] {
            assert!(!other.after(Event::Suspended) && !other.is_suspended());
        }
    }

    #[test]
    fn what_is_over_stays_over() {
        let mut life = live([Event::NeverSpawned]);
        for event in [Event::Spawned, ending("stopped"), CLEAN, Event::NeverSpawned] {
            assert!(!life.after(event));
        }
        assert_eq!((life.phase(), life.reason()), (Phase::Failed, Some("spawn_failed")));
    }
}
