//! What the edge adds to the answers of the core, on the built worker: headers, methods, other origins, the document.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use tempfile::TempDir;
use ureq::Body;
use ureq::http::{Request, Response};
use xtask::stack::{Options, Stack};

const BOARD: &str = "https://board.example.com";

struct Live {
    stack: Stack,
    http: ureq::Agent,
    _dir: TempDir,
}

impl Live {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::for_test(dir.path()).unwrap().set("CORS_ORIGIN", BOARD);
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let http = config.allow_non_standard_methods(true).build().into();
        Self { stack: Stack::start(options).unwrap(), http, _dir: dir }
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Body> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.stack.url()))
            .header("authorization", format!("Bearer {}", self.stack.token()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.http.run(request.body(body.to_owned()).unwrap()).unwrap()
    }
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |it| it.to_str().unwrap())
}

fn text(response: &mut Response<Body>) -> String {
    response.body_mut().read_to_string().unwrap()
}

#[test]
fn the_edge_sets_what_the_core_says() {
    let live = Live::start();
    let beads = "/api/rigs/demo/beads";
    let key = [("idempotency-key", "key-1")];
    let mut made = live.ask("POST", beads, &key, r#"{"title":"once"}"#);
    let mut again = live.ask("POST", beads, &key, r#"{"title":"once"}"#);
    assert_eq!((made.status().as_u16(), again.status().as_u16()), (201, 201));
    assert_eq!(header(&again, "idempotency-replayed"), "true");
    assert_eq!(text(&mut made), text(&mut again));

    let list = live.ask("GET", beads, &[], "");
    let tag = header(&list, "etag").to_owned();
    let mut same = live.ask("GET", beads, &[("if-none-match", &tag)], "");
    assert_eq!((same.status().as_u16(), header(&same, "etag")), (304, tag.as_str()));
    assert_eq!(text(&mut same), "");
    let mut head = live.ask("HEAD", beads, &[], "");
    assert_eq!((head.status().as_u16(), header(&head, "etag")), (200, tag.as_str()));
    assert_eq!(text(&mut head), "");

    let wrong = live.ask("PUT", beads, &[], "");
    assert_eq!((wrong.status().as_u16(), header(&wrong, "allow")), (405, "POST, GET, HEAD"));
    let wrong = live.ask("POST", "/openapi.json", &[], "");
    assert_eq!((wrong.status().as_u16(), header(&wrong, "allow")), (405, "GET, HEAD"));
    let large = live.ask("POST", beads, &[], &"x".repeat(2_000_000));
    assert_eq!(large.status().as_u16(), 413);
    let mut refusals = live.ask("GET", "/api/rigs/demo/refusals", &[], "");
    assert!(text(&mut refusals).contains(r#""code":"too_large""#));
}

#[test]
fn the_document_needs_a_token_and_other_origins_the_setting() {
    let live = Live::start();
    let mut document = live.ask("GET", "/openapi.json", &[], "");
    assert_eq!(header(&document, "content-type"), "application/json");
    assert_eq!(text(&mut document), beadrig::api::OPENAPI);
    let url = format!("{}/openapi.json", live.stack.url());
    assert_eq!(live.http.get(&url).call().unwrap().status().as_u16(), 401);

    let beads = "/api/rigs/demo/beads";
    let board = [("origin", BOARD), ("access-control-request-method", "POST")];
    let asked = live.ask("OPTIONS", beads, &board, "");
    assert_eq!(asked.status().as_u16(), 204);
    assert_eq!(header(&asked, "access-control-allow-origin"), BOARD);
    assert!(header(&asked, "access-control-allow-headers").contains("idempotency-key"));
    let list = live.ask("GET", beads, &[("origin", BOARD)], "");
    assert_eq!(header(&list, "access-control-allow-origin"), BOARD);
    assert_eq!(header(&list, "content-type"), "application/json");
    let stranger = [("origin", "https://evil.example.com")];
    let asked = live.ask("OPTIONS", beads, &stranger, "");
    assert_eq!((asked.status().as_u16(), header(&asked, "access-control-allow-origin")), (405, ""));
    let list = live.ask("GET", beads, &stranger, "");
    assert_eq!((list.status().as_u16(), header(&list, "access-control-allow-origin")), (200, ""));
}
