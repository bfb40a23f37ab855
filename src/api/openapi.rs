//! The API as a document in the words of `OpenAPI` 3.1, and as a table for people, made from the routes and from what
//! `describe` says of them. It is made natively, by a test; the worker only serves what was made.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::describe::{Body, Data, Described, Query, all, hall as halls, towns};
use super::{Access, Route, Routes};
use crate::store::Sql;
use crate::{directory, hall};

/// A route of a town that the front door lets nobody have.
const NEVER: &str = "DELETE /everything";

/// The routes that have no description, and the descriptions that have no route: none, when all is well.
pub fn missing<S: Sql + 'static>() -> Vec<String> {
    let routes: Vec<String> = Routes::<S>::ALL.iter().map(|it| name(it.method, it.path)).collect();
    let lacks = routes
        .iter()
        .filter(|route| all().all(|it| it.route != **route))
        .map(|route| format!("{route} has no entry in src/api/describe/"));
    let towns: Vec<String> = directory::routes().map(|it| name(it.0, it.1)).collect();
    let forgotten = towns
        .iter()
        .filter(|route| towns::ALL.iter().all(|it| it.route != **route))
        .map(|route| format!("{route} has no entry in src/api/describe/towns.rs"));
    let halls = hall::routes().map(|it| name(it.0, it.1)).filter(|it| it != NEVER);
    let halls: Vec<String> = halls
        .filter(|route| halls::ALL.iter().all(|it| it.route != route))
        .map(|route| format!("{route} has no entry in src/api/describe/hall.rs"))
        .collect();
    let extra = all()
        .filter(|it| routes.iter().all(|route| route != it.route))
        .map(|it| format!("{} is described in src/api/describe/, and is no route", it.route));
    lacks.chain(forgotten).chain(halls).chain(extra).collect()
}

/// The document.
pub fn document<S: Sql + 'static>() -> Value {
    let mut shapes = Shapes::new();
    let mut paths = Map::new();
    for (route, described) in described::<S>() {
        let path = format!("/api/rigs/{{rigId}}{}", templated(route.path));
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        let base = Base { owner: "rigId", keyed: true, access: route.access };
        entry[route.method.to_lowercase()] =
            operation(&base, (route.method, route.path), described, &mut shapes);
    }
    for (method, path) in directory::routes() {
        let wanted = name(method, path);
        let Some(described) = towns::ALL.iter().find(|it| it.route == wanted) else { continue };
        let entry = paths.entry(format!("/api/users/{{userId}}{}", templated(path)));
        let base = Base { owner: "userId", keyed: false, access: Access::Operator };
        let made = operation(&base, (method, path), described, &mut shapes);
        entry.or_insert_with(|| json!({}))[method.to_lowercase()] = made;
    }
    for (method, path) in hall::routes() {
        let wanted = name(method, path);
        let Some(described) = halls::ALL.iter().find(|it| it.route == wanted) else { continue };
        let entry = paths.entry(format!("/api/towns/{{townId}}{}", templated(path)));
        let base = Base { owner: "townId", keyed: false, access: Access::Operator };
        let made = operation(&base, (method, path), described, &mut shapes);
        entry.or_insert_with(|| json!({}))[method.to_lowercase()] = made;
    }
    for passed in halls::CONTAINER {
        let (method, path) = passed.route.split_once(' ').unwrap_or_default();
        let entry = paths.entry(format!("/api/towns/{{townId}}/container{}", templated(path)));
        entry.or_insert_with(|| json!({}))[method.to_lowercase()] =
            container(method, path, passed, &mut shapes);
    }
    paths.insert("/health".to_owned(), front("Says that the worker answers.", false));
    paths.insert("/openapi.json".to_owned(), front("Answers this document.", true));
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Beadrig",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Beads, agents and the scheduler that joins them. docs/api.md says more.",
        },
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "parameters": parameters(),
            "responses": refusals(),
            "schemas": shapes.all(),
        },
    });
    // The same text, whatever the map keeps the keys in.
    document.sort_all_objects();
    document
}

/// The routes as rows of a Markdown table.
pub fn table<S: Sql + 'static>() -> String {
    let mut rows = String::from("| route | who | what | answers |\n|---|---|---|---|\n");
    for (route, described) in described::<S>() {
        let who = match route.access {
            Access::Operator => "operator",
            Access::Rig => "operator, agents",
            Access::OwnAgent => "operator, that agent",
            Access::Container => "operator, container",
            Access::Report => "operator, container, that agent",
        };
        let Described { route, about, status, .. } = described;
        rows.push_str(&format!("| `{route}` | {who} | {about} | {status} |\n"));
    }
    rows
}

fn described<S: Sql + 'static>() -> impl Iterator<Item = (&'static Route<S>, &'static Described)> {
    Routes::<S>::ALL.iter().filter_map(|route| {
        let wanted = name(route.method, route.path);
        all().find(|it| it.route == wanted).map(|it| (route, it))
    })
}

fn name(method: &str, path: &str) -> String {
    format!("{method} {path}")
}

/// `/beads/:id` as `/beads/{id}`.
fn templated(path: &str) -> String {
    let parts = path.split('/').map(|part| match part.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Where a route stands.
struct Base {
    /// The parameter that its path begins with.
    owner: &'static str,
    /// Whether a change may carry an `Idempotency-Key`.
    keyed: bool,
    access: Access,
}

fn operation(
    base: &Base,
    (method, path): (&str, &str),
    described: &Described,
    shapes: &mut Shapes,
) -> Value {
    let changes = method != "GET";
    let reference = |name: &str| json!({ "$ref": format!("#/components/parameters/{name}") });
    let mut parameters = vec![reference(base.owner)];
    parameters.extend(open_parts(path));
    parameters.extend(described.query.iter().map(query));
    if !changes {
        parameters.push(reference("ifNoneMatch"));
    } else if base.keyed {
        parameters.push(reference("idempotencyKey"));
    }
    let mut responses = Map::new();
    let data = shapes.answered(&described.data);
    let envelope = match described.data {
        Data::Bare(_) => data,
        Data::Of(_) | Data::Word(_) => json!({
            "type": "object",
            "required": ["success", "data"],
            "properties": { "success": { "const": true }, "data": data },
        }),
    };
    let good = json!({
        "description": described.about,
        "content": { "application/json": { "schema": envelope } },
    });
    for status in std::iter::once(described.status).chain(described.also) {
        responses.insert(status.to_string(), good.clone());
    }
    if !changes {
        responses.insert("304".to_owned(), json!({ "description": "It is as it was." }));
    }
    for status in possible(base.access, changes) {
        let to = json!({ "$ref": format!("#/components/responses/{status}") });
        responses.insert(status.to_string(), to);
    }
    let mut operation = json!({
        "summary": described.about,
        "operationId": operation_id(base.owner, method, path),
        "parameters": parameters,
        "responses": responses,
    });
    let (Body::Optional(shape) | Body::Required(shape)) = described.body else { return operation };
    operation["requestBody"] = json!({
        "required": matches!(described.body, Body::Required(_)),
        "content": { "application/json": { "schema": shape(&mut shapes.sent) } },
    });
    operation
}

/// What a path leaves open.
fn open_parts(path: &str) -> impl Iterator<Item = Value> {
    path.split('/').filter_map(|part| {
        let name = part.strip_prefix(':')?;
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": 128 });
        Some(json!({ "name": name, "in": "path", "required": true, "schema": schema }))
    })
}

/// A route of the container service: it answers as the service does, or says in the service's way what is wrong.
fn container(method: &str, path: &str, passed: &halls::Passed, shapes: &mut Shapes) -> Value {
    let mut parameters = vec![json!({ "$ref": "#/components/parameters/townId" })];
    parameters.extend(open_parts(path));
    let schema = passed
        .answer
        .map_or(json!({ "type": "object" }), |shape| shape(&mut shapes.answered).to_value());
    let json = |about: &str, schema: &Value| json!({ "description": about, "content": { "application/json": { "schema": schema } } });
    let mut responses = Map::new();
    responses.insert(passed.status.to_string(), json(passed.about, &schema));
    // Started already: the same run.
    if passed.status == 201 {
        responses.insert("200".to_owned(), json(passed.about, &schema));
    }
    for status in [400, 401, 403, 404, 409, 413, 422, 500, 503, 504] {
        let about = "What is wrong, in a sentence under `error`.";
        let problem = json!({ "type": "object", "required": ["error"] });
        responses.insert(status.to_string(), json(about, &problem));
    }
    let mut operation = json!({
        "summary": passed.about,
        "operationId": operation_id("townId", method, &format!("/container{path}")),
        "parameters": parameters,
        "responses": responses,
    });
    if let Body::Optional(shape) | Body::Required(shape) = passed.body {
        operation["requestBody"] = json!({
            "required": matches!(passed.body, Body::Required(_)),
            "content": { "application/json": { "schema": shape(&mut shapes.sent) } },
        });
    }
    operation
}

fn operation_id(owner: &str, method: &str, path: &str) -> String {
    let path = path.replace([':', '/', '-'], "_").replace("__", "_");
    let of = match owner {
        "userId" => "_user",
        "townId" => "_town",
        _ => "",
    };
    format!("{}{of}{path}", method.to_lowercase())
}

fn query(query: &Query) -> Value {
    let schema = if query.number {
        json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
    } else {
        json!({ "type": "string" })
    };
    json!({ "name": query.name, "in": "query", "description": query.about, "schema": schema })
}

/// The refusals that a route may answer.
fn possible(access: Access, changes: bool) -> Vec<u16> {
    let mut all = vec![400, 401, 403, 404, 500, 503];
    if changes {
        all.extend([409, 413, 429]);
    } else if access != Access::Operator {
        // An agent whose run is over may not read either.
        all.push(409);
    }
    if matches!(access, Access::Container | Access::Report) {
        all.push(426);
    }
    all.sort_unstable();
    all
}

fn refusals() -> Value {
    let texts = [
        ("400", "A field, a parameter or a name is not what it should be."),
        ("401", "There is no token, or none of ours."),
        ("403", "The token is ours, but not for this."),
        ("404", "There is no such thing."),
        ("405", "The path is there, the method is not; `Allow` says which are."),
        ("409", "The thing is in a state in which this cannot be done."),
        ("413", "The body, or a text in it, is too large."),
        ("426", "The container speaks another version of the protocol; roll out both parts."),
        ("429", "A bound was reached."),
        ("500", "The rig is at fault; the log has more under the id in the text."),
        ("503", "The rig could not be reached; ask again."),
    ];
    let refused = |about: &str| {
        let schema = json!({ "$ref": "#/components/schemas/Error" });
        json!({ "description": about, "content": { "application/json": { "schema": schema } } })
    };
    texts.into_iter().map(|(status, about)| (status.to_owned(), refused(about))).collect()
}

fn parameters() -> Value {
    json!({
        "rigId": {
            "name": "rigId", "in": "path", "required": true,
            "description": "Which rig.",
            "schema": { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" },
        },
        "userId": {
            "name": "userId", "in": "path", "required": true,
            "description": "Whose directory.",
            "schema": { "type": "string", "pattern": "^[A-Za-z0-9_@.-]{1,64}$" },
        },
        "townId": {
            "name": "townId", "in": "path", "required": true,
            "description": "Which town.",
            "schema": { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" },
        },
        "idempotencyKey": {
            "name": "Idempotency-Key", "in": "header",
            "description": "The same request with the same key is done once; its answer is kept for 24 hours.",
            "schema": { "type": "string", "pattern": "^[!-~]{1,128}$" },
        },
        "ifNoneMatch": {
            "name": "If-None-Match", "in": "header",
            "description": "The `ETag` of an earlier answer: 304 when nothing has changed.",
            "schema": { "type": "string", "pattern": "^[!-~]{1,128}$" },
        },
    })
}

/// A route of the worker itself.
fn front(about: &str, guarded: bool) -> Value {
    let content = json!({ "application/json": { "schema": { "type": "object" } } });
    let mut get = json!({
        "summary": about,
        "responses": { "200": { "description": about, "content": content } },
    });
    if guarded {
        for status in ["401", "500"] {
            get["responses"][status] =
                json!({ "$ref": format!("#/components/responses/{status}") });
        }
    } else {
        get["security"] = json!([]);
    }
    json!({ "get": get })
}

/// The types on the wire. What is sent may leave out what an answer always has, so there are two generators.
struct Shapes {
    sent: SchemaGenerator,
    answered: SchemaGenerator,
}

impl Shapes {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self {
            sent: settings.clone().for_deserialize().into_generator(),
            answered: settings.for_serialize().into_generator(),
        }
    }

    fn answered(&mut self, data: &Data) -> Value {
        match data {
            Data::Of(shape) | Data::Bare(shape) => shape(&mut self.answered).to_value(),
            Data::Word(word) => json!({
                "type": "object",
                "required": [word],
                "properties": { *word: { "const": true } },
            }),
        }
    }

    fn all(mut self) -> Value {
        let mut all = self.sent.take_definitions(true);
        for (name, schema) in self.answered.take_definitions(true) {
            let twin = all.insert(name.clone(), schema.clone());
            assert!(
                twin.is_none_or(|it| it == schema),
                "{name} is sent in another shape than answered"
            );
        }
        let error = json!({
            "type": "object",
            "required": ["success", "error", "code"],
            "properties": {
                "success": { "const": false },
                "error": { "type": "string", "description": "One sentence, for people." },
                "code": { "type": "string", "description": "Stable, `snake_case`, for programs." },
            },
        });
        all.insert("Error".to_owned(), error);
        let mut all = Value::Object(all);
        plain(&mut all);
        all
    }
}

/// Links of Rust's documentation mean nothing to other readers.
fn plain(value: &mut Value) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| match value {
            Value::String(text) if key == "description" => {
                *text = text.replace("[`", "`").replace("`]", "`").replace("super::", "");
            }
            value => plain(value),
        }),
        Value::Array(list) => list.iter_mut().for_each(plain),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
