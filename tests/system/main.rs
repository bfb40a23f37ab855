//! The whole system: the real worker on workerd, the real container service, the real command line, real agents.
//!
//! | module | promise |
//! |---|---|
//! | `smoke` | what the handbook shows works |
//! | `kills` | whatever is killed, whenever: the work is done, and never by two at once |
//! | `storm` | the same without a plan, and with all that a network does |
//! | `faults` | a panic or an endless wait costs one request or one tick |
//! | `starts` | a start that is refused or lost neither loses nor doubles the work |
//! | `bounds` | runs are counted, room is limited, and what waits says why |
//! | `unreachable` | a container that hangs does not make the rig hang |
//! | `silent` | a run that does not move is told so |
//! | `many` | many starts that take long are under way at once |
//! | `runbook` | what the runbook says works, word for word |
//! | `switch` | paused is paused, for a rig and for the whole deployment; resumed is resumed |
//! | `dispatch` | the two routes that clients of the pollers call |
//! | `queue` | the most urgent first, never more than there are slots, and nothing that many say at once is lost |
//! | `idle` | a rig that has nothing to do, or may do nothing, costs nothing |
//! | `watchdog` | an alarm that was lost is set again, an outage of the container is told of |
//! | `versions` | two parts of two versions say so, and lose nothing |
//! | `taken_back` | what a person takes back stops |
//! | `exchange` | an import goes on when the worker is killed under it |
//! | `access` | who may do what, and that no token is in a log |
//! | `towns` | what is made through a directory works, and what is deleted there is over |
//! | `claude` | Claude Code does beads and jobs |
//! | `git` | work is merged, and what does not go together goes back to its agent |
//! | `kept` | work in a worktree, or in a merge, is not lost with its service |
//! | `restart` | what was answered is still there afterwards |

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and say how"
)]

mod access;
mod bounds;
mod claude;
mod dispatch;
mod exchange;
mod faults;
#[path = "../exchange/generated.rs"]
mod generated;
mod git;
mod idle;
mod kept;
mod kills;
mod many;
mod proxy;
mod queue;
mod reading;
mod restart;
mod rig;
mod runbook;
mod runs;
mod silent;
mod smoke;
mod starts;
mod storm;
mod support;
mod switch;
mod taken_back;
mod towns;
mod unreachable;
mod versions;
mod watchdog;
