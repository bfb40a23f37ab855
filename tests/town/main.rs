//! The town's object where the platform runs the container: the real worker on workerd with `ctx.container`, and
//! containers that are real container services, given by a fake engine.
//!
//! | module | holds |
//! |---|---|
//! | `starts` | a container comes up, quickly, slowly or not at all |
//! | `ends` | a container goes away, by order, by accident or not at all |
//! | `wedged` | a container runs and answers nothing, or another one answers |
//! | `engine`, `machine`, `sidecar`, `http` | the fake engine |
//! | `support` | a stack for a test |

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod ends;
mod engine;
mod http;
mod machine;
mod sidecar;
mod starts;
mod support;
mod wedged;
