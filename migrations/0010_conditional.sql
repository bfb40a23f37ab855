-- `conditional-blocks` gates as `blocks` does: what depends so on a bead that is not closed waits, and all below it.
UPDATE bead SET blocked = 1
WHERE blocked = 0 AND id IN (
    WITH RECURSIVE tree (id) AS (
        SELECT d.bead
        FROM dependency AS d JOIN bead AS blocker ON blocker.id = d.depends_on
        WHERE d.kind = 'conditional-blocks' AND blocker.status <> 'closed'
        UNION
        SELECT child.id FROM tree JOIN bead AS child ON child.parent = tree.id)
    SELECT id FROM tree);
