//! `create --graph`: bd's plan of beads that name each other by keys. What is wrong with it is said before anything is
//! made; how it is made is in [`super::plan`].

use super::plan::{self, End, New, Plan, Tie};
use super::read::PARENT_CHILD;
use super::{Screen, fields};
use crate::args::Create;
use crate::client::Client;
use crate::failure::Failure;
use crate::{issue, text};
use beadrig::wire::rig::CreateBead;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The file.
#[derive(Deserialize)]
struct Graph {
    #[serde(default)]
    nodes: Vec<Node>,
    #[serde(default)]
    edges: Vec<Edge>,
    /// bd's, for its history.
    #[serde(default, rename = "commit_message")]
    _commit_message: Option<String>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// A bead of it.
#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    key: String,
    #[serde(default)]
    title: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    assignee: String,
    /// Here all are assigned when all are made.
    #[serde(default, rename = "assign_after_create")]
    _assign_after_create: bool,
    #[serde(default)]
    priority: Option<u8>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    metadata_refs: BTreeMap<String, String>,
    #[serde(default)]
    parent_key: String,
    #[serde(default)]
    parent_id: String,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// What depends on what: from waits for to.
#[derive(Deserialize)]
struct Edge {
    #[serde(default)]
    from_key: String,
    #[serde(default)]
    from_id: String,
    #[serde(default)]
    to_key: String,
    #[serde(default)]
    to_id: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Made<'a> {
    ids: BTreeMap<&'a str, &'a str>,
}

/// What `--dry-run --json` prints.
#[derive(Serialize)]
struct Preview<'a> {
    dry_run: bool,
    node_count: usize,
    edge_count: usize,
    parent_deps: usize,
    nodes: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    key: &'a str,
    title: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    priority: u8,
    #[serde(skip_serializing_if = "str::is_empty")]
    parent_key: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    parent_id: &'a str,
}

pub(super) fn create(
    path: &Path,
    args: &Create,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let text = plan::text(path)?;
    let graph: Graph = serde_json::from_str(&text)
        .map_err(|error| Failure::fatal(format!("parsing graph plan: {error}")))?;
    unknown(&graph, screen)?;
    let plan =
        plan(&graph).map_err(|what| Failure::fatal(format!("invalid graph plan: {what}")))?;
    if args.dry_run {
        return rehearse(&graph, screen);
    }
    let client = connect()?;
    let made = plan::make(&plan, &client, screen).map_err(|failure| Failure {
        message: format!("graph create: {}", failure.message),
        ..failure
    })?;
    let ids = graph.nodes.iter().zip(&made).map(|(node, bead)| (&*node.key, &*bead.id)).collect();
    if screen.json {
        return Ok(issue::print(screen.out, &Made { ids })?);
    }
    screen.line(&format!("Created {} issues", made.len()))?;
    ids.iter().try_for_each(|(key, id)| screen.line(&format!("  {} -> {id}", text::line(key))))
}

/// Says what is in the file and comes to nothing: most often a slip.
fn unknown(graph: &Graph, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let nodes = graph.nodes.iter().map(|it| (format!("node[{:?}]", it.key), &it.unknown));
    let edges = graph.edges.iter().enumerate().map(|(n, it)| (format!("edge[{n}]"), &it.unknown));
    let all = [("plan".to_owned(), &graph.unknown)].into_iter().chain(nodes).chain(edges);
    for (place, unknown) in all.filter(|(_, unknown)| !unknown.is_empty()) {
        let names: Vec<&str> = unknown.keys().map(String::as_str).collect();
        let hints: Vec<&str> = names.iter().filter_map(|name| hint(name)).collect();
        let hints =
            if hints.is_empty() { String::new() } else { format!("; {}", hints.join("; ")) };
        screen.warn(&format!(
            "graph plan {} has unknown field(s): [{}]{hints}",
            text::line(&place),
            text::line(&names.join(" "))
        ))?;
    }
    Ok(())
}

fn hint(name: &str) -> Option<&'static str> {
    Some(match name {
        "parent" => "a parent is named by parent_key or parent_id",
        "blocks" | "depends" => "what waits for what is in edges, at the top",
        "children" => "each child names its parent_key",
        _ => return None,
    })
}

/// What the file says, if it can be meant.
fn plan(graph: &Graph) -> Result<Plan, String> {
    if graph.nodes.is_empty() {
        return Err("plan has no nodes".into());
    }
    let mut keys = HashMap::new();
    for (n, node) in graph.nodes.iter().enumerate() {
        let key = node.key.as_str();
        if key.is_empty() {
            return Err(format!("node {n} has empty key"));
        }
        if keys.insert(key, n).is_some() {
            return Err(format!("duplicate node key {key:?}"));
        }
        if node.title.trim().is_empty() {
            return Err(format!("node {key:?} has empty title"));
        }
        if let Some(priority) = node.priority.filter(|it| *it > 4) {
            return Err(format!("node {key:?}: priority must be between 0 and 4 (got {priority})"));
        }
    }
    let mut plan = Plan::default();
    for (n, node) in graph.nodes.iter().enumerate() {
        plan.beads.push(new(node, &keys)?);
        if !node.parent_key.is_empty() {
            let parent = keys.get(&*node.parent_key).ok_or_else(|| {
                format!("node {:?}: parent key {:?} not found in plan", node.key, node.parent_key)
            })?;
            let (bead, on) = (End::New(n), End::New(*parent));
            plan.ties.push(Tie { bead, on, kind: PARENT_CHILD.into() });
        }
    }
    for (n, edge) in graph.edges.iter().enumerate() {
        let end = |what: &str, key: &str, id: &str| match (key, id) {
            ("", "") => Err(format!("edge {n}: must specify {what}_key or {what}_id")),
            (_, id) if !id.is_empty() => Ok(End::There(id.to_owned())),
            (key, _) => keys
                .get(key)
                .map(|n| End::New(*n))
                .ok_or_else(|| format!("edge {n}: {what} key {key:?} not found in plan")),
        };
        let bead = end("from", &edge.from_key, &edge.from_id)?;
        let on = end("to", &edge.to_key, &edge.to_id)?;
        let kind = if edge.kind.is_empty() { "blocks" } else { &edge.kind };
        if kind.chars().count() > 50 {
            return Err(format!("edge {n}: invalid dependency type {kind:?}"));
        }
        plan.ties.push(Tie { bead, on, kind: kind.to_owned() });
    }
    Ok(plan)
}

fn new(node: &Node, keys: &HashMap<&str, usize>) -> Result<New, String> {
    let full = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut refs = Vec::new();
    for (name, key) in &node.metadata_refs {
        let other = keys.get(key.as_str()).ok_or_else(|| {
            format!("node {:?}: metadata ref {name:?} references unknown key {key:?}", node.key)
        })?;
        refs.push((name.clone(), *other));
    }
    let metadata: Map<String, Value> =
        node.metadata.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    let bead = CreateBead {
        title: node.title.trim().to_owned(),
        kind: Some(kind(node)),
        body: full(&node.description),
        assignee: full(&node.assignee),
        priority: node.priority.map(Into::into),
        labels: (!node.labels.is_empty()).then(|| node.labels.clone()),
        metadata: (!metadata.is_empty()).then_some(metadata),
        parent: full(&node.parent_id).filter(|_| node.parent_key.is_empty()),
        ..CreateBead::default()
    };
    Ok(New { name: node.key.clone(), bead, refs })
}

fn kind(node: &Node) -> String {
    fields::kind(if node.kind.is_empty() { "task" } else { &node.kind })
}

/// Asks nobody.
fn rehearse(graph: &Graph, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let kinds: Vec<String> = graph.nodes.iter().map(kind).collect();
    let rows = graph.nodes.iter().zip(&kinds).map(|(node, kind)| Row {
        key: &node.key,
        title: &node.title,
        kind,
        priority: node.priority.unwrap_or(2),
        parent_key: &node.parent_key,
        parent_id: &node.parent_id,
    });
    let has_parent = |node: &&Node| !(node.parent_key.is_empty() && node.parent_id.is_empty());
    let preview = Preview {
        dry_run: true,
        node_count: graph.nodes.len(),
        edge_count: graph.edges.len(),
        parent_deps: graph.nodes.iter().filter(has_parent).count(),
        nodes: rows.collect(),
    };
    if screen.json {
        return Ok(issue::print(screen.out, &preview)?);
    }
    screen.line(&format!(
        "Dry run: would create {} issue(s) and {} edge(s) ({} parent-child link(s))",
        preview.node_count, preview.edge_count, preview.parent_deps
    ))?;
    for row in &preview.nodes {
        let parent = match (row.parent_key, row.parent_id) {
            ("", "") => String::new(),
            ("", id) => format!(" parent_id={}", text::line(id)),
            (key, _) => format!(" parent_key={}", text::line(key)),
        };
        let (key, kind) = (text::line(row.key), text::line(row.kind));
        screen.line(&format!("  {key} [{kind}] P{} {:?}{parent}", row.priority, row.title))?;
    }
    Ok(())
}
