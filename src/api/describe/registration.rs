//! The rig as one of a town, and its end.

use super::{Body, Data, Described, change, of};
use crate::wire::directory::Register;

/// The routes.
pub(super) const ALL: &[Described] = &[
    change(
        "PUT /registration",
        "Makes the rig one of a town, and brings it back if it was deleted; a user's directory calls it.",
        Body::Required(of::<Register>),
        200,
        Data::Word("registered"),
    ),
    change(
        "DELETE /everything",
        "Ends the rig: its runs, its alarm and all it holds; a user's directory calls it.",
        Body::None,
        200,
        Data::Word("deleted"),
    ),
];
