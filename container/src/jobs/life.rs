//! The life of a job, as a table.
//!
//! ```text
//! queued --taken--> running --exited with 0----------> completed
//!                      +------exited otherwise-------> failed
//!                      +------out of time------------> timeout
//!                      +------never a process--------> error
//!                      +------the service ended------> interrupted
//! ```
//!
//! Pure. Nothing else may make a status. What is over stays as it is, whoever speaks late.

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits for a place.
    Queued,
    /// It has a place.
    Running,
    /// Its process exited with 0.
    Completed,
    /// Its process exited with another code, or a signal ended it.
    Failed,
    /// It was ended for running too long.
    Timeout,
    /// It never became a process.
    Error,
    /// The service ended, and it with that.
    Interrupted,
}

/// What happens to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It got a place.
    Taken,
    /// Its process is gone by itself.
    Exited {
        /// Whether with code 0.
        well: bool,
    },
    /// Its process is gone because it ran too long.
    OutOfTime,
    /// There never was a process.
    NotStarted,
    /// The service ended while it ran.
    ServiceEnded,
}

/// All of them.
pub const ALL: [Status; 7] = [
    Status::Queued,
    Status::Running,
    Status::Completed,
    Status::Failed,
    Status::Timeout,
    Status::Error,
    Status::Interrupted,
];

impl Status {
    /// Where it is after an event; nothing if that means nothing to it.
    pub fn after(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Queued, Event::Taken) => Some(Self::Running),
            (Self::Running, Event::Exited { well: true }) => Some(Self::Completed),
            (Self::Running, Event::Exited { well: false }) => Some(Self::Failed),
            (Self::Running, Event::OutOfTime) => Some(Self::Timeout),
            (Self::Running, Event::NotStarted) => Some(Self::Error),
            (Self::Running, Event::ServiceEnded) => Some(Self::Interrupted),
            _ => None,
        }
    }

    /// Whether nothing more happens to it.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// Its name on the wire and in the rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Error => "error",
            Self::Interrupted => "interrupted",
        }
    }

    /// The status of that name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|status| status.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_stays_and_only_a_queued_job_is_taken() {
        let events = [
            Event::Taken,
            Event::Exited { well: true },
            Event::Exited { well: false },
            Event::OutOfTime,
            Event::NotStarted,
            Event::ServiceEnded,
        ];
        for status in ALL {
            let moves = events.into_iter().filter_map(|event| status.after(event));
            let expected = match status {
                Status::Queued => vec![Status::Running],
                Status::Running => ALL[2..].to_vec(),
                _ => vec![],
            };
            assert_eq!(moves.collect::<Vec<_>>(), expected, "{status:?}");
            assert_eq!(Status::named(status.name()), Some(status));
        }
    }
}
