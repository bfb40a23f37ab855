//! One rig: the beads it must finish, the agents that work on them, and the scheduler that joins the two.

pub mod id;
pub mod token;
pub mod wire;
