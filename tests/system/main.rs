//! The whole system: the real worker on workerd, the real container service, the real command line, real agents.
//!
//! | module | promise |
//! |---|---|
//! | `smoke` | what the handbook shows works |
//! | `kills` | whatever is killed, whenever: the work is done, and never by two at once |
//! | `storm` | the same without a plan |
//! | `faults` | a panic or an endless wait costs one request or one tick |
//! | `starts` | a start that is refused or lost neither loses nor doubles the work |
//! | `bounds` | runs are counted, room is limited, and what waits says why |
//! | `unreachable` | a container that hangs does not make the rig hang |
//! | `silent` | a run that does not move is told so |
//! | `many` | many starts that take long are under way at once |
//! | `watchdog` | an alarm that was lost is set again, an outage of the container is told of |
//! | `versions` | two parts of two versions say so, and lose nothing |
//! | `taken_back` | what a person takes back stops |
//! | `access` | who may do what, and that no token is in a log |
//! | `towns` | what is made through a directory works, and what is deleted there is over |
//! | `git` | work is merged, and what does not go together goes back to its agent |
//! | `restart` | what was answered is still there afterwards |

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and say how"
)]

mod access;
mod bounds;
mod faults;
mod git;
mod kept;
mod kills;
mod many;
mod proxy;
mod reading;
mod restart;
mod rig;
mod runs;
mod silent;
mod smoke;
mod starts;
mod storm;
mod support;
mod taken_back;
mod towns;
mod unreachable;
mod versions;
mod watchdog;
