//! Comments, import and export.

use super::{Body, Data, Described, Query, asked, change, get, list, number, of, text};
use crate::wire::exchange::{AddComment, CommentView, ExportPage, ImportBatch, ImportReport};

const EXPORT_QUERY: &[Query] = &[
    text("after", "only what comes after this id: `next` of the page before"),
    number("limit", "how many, 500 without it and at most; fewer where texts are long"),
];

/// The routes.
pub(super) const ALL: &[Described] = &[
    change(
        "POST /beads/:id/comments",
        "Says something in the conversation about a bead.",
        Body::Required(of::<AddComment>),
        201,
        Data::Of(of::<CommentView>),
    ),
    get("GET /beads/:id/comments", "Lists what was said, oldest first.", list::<CommentView>),
    change(
        "POST /import",
        "Takes at most 500 lines of an `issues.jsonl`; said twice, it changes nothing the second time.",
        Body::Required(of::<ImportBatch>),
        200,
        Data::Of(of::<ImportReport>),
    ),
    asked(
        get(
            "GET /export",
            "Shows all beads as lines of an `issues.jsonl`, by id.",
            of::<ExportPage>,
        ),
        EXPORT_QUERY,
    ),
];
