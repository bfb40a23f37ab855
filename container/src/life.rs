//! The life of one run, as a table.
//!
//! ```text
//! starting --spawned--> running --ending--> stopping --gone--> exited
//!   |  |                   +---------------- gone ----------------^
//!   |  +--ending--> stopping (the process comes up and is ended, or never comes up)
//!   +--never spawned--> failed
//! ```
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

/// Where a run is in its life, and how it came to end.
#[derive(Clone, Debug)]
pub struct Life {
    phase: Phase,
    why: Option<String>,
    exit: Exit,
}

/// Registered.
impl Default for Life {
    fn default() -> Self {
        Self { phase: Phase::Starting, why: None, exit: Exit::default() }
    }
}

impl Life {
    /// Takes one event; says whether the phase changed.
    pub fn after(&mut self, event: Event) -> bool {
        use Phase::{Exited, Failed, Running, Starting, Stopping};
        let next = match (self.phase, event) {
            (Starting, Event::Spawned) => Running,
            (Starting | Running, Event::Ending(why)) => {
                self.why = Some(why);
                Stopping
            }
            (Starting | Stopping, Event::NeverSpawned) => {
                self.why.get_or_insert_with(|| "spawn_failed".to_owned());
                Failed
            }
            (Starting | Running | Stopping, Event::Gone(exit)) => {
                let by_itself = if exit.signal.is_some() { "signal" } else { "exited" };
                self.why.get_or_insert_with(|| by_itself.to_owned());
                self.exit = exit;
                Exited
            }
            // The first reason stays; a process that comes up while it is being ended is ended.
            (Stopping, Event::Spawned | Event::Ending(_)) => Stopping,
            (Running, Event::Spawned | Event::NeverSpawned) => Running,
            (over @ (Exited | Failed), _) => over,
        };
        std::mem::replace(&mut self.phase, next) != next
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Why it ended, once it did.
    pub fn reason(&self) -> Option<&str> {
        self.why.as_deref().filter(|_| self.phase.is_over())
    }

    /// How its process ended.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether its command succeeded.
    pub fn outcome(&self) -> Outcome {
        match self.exit.code {
            Some(0) if self.phase == Phase::Exited => Outcome::Completed,
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
    fn what_is_over_stays_over() {
        let mut life = live([Event::NeverSpawned]);
        for event in [Event::Spawned, ending("stopped"), CLEAN, Event::NeverSpawned] {
            assert!(!life.after(event));
        }
        assert_eq!((life.phase(), life.reason()), (Phase::Failed, Some("spawn_failed")));
    }
}
