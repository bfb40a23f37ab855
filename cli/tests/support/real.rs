//! A rig that is none of canned answers: the core itself, on a SQLite in memory.

use crate::core::{TestRig, operator};
use crate::support::{Asked, Reply, Rig};
use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

thread_local! {
    // A rig's requests all come on one thread of its own.
    static CORE: RefCell<TestRig> = RefCell::new(TestRig::new());
}

/// A rig of its own.
pub(crate) fn rig() -> Rig {
    Rig::new(answer)
}

/// What the core answers.
pub(crate) fn answer(asked: &Asked) -> Reply {
    let (method, path) = asked.line.split_once(' ').unwrap();
    let path = path.trim_start_matches("/api/rigs/main");
    let (status, body) = CORE.with_borrow_mut(|core| {
        // Whatever happens here happens after what came in a file.
        core.pass(1_000);
        core.call(&operator(), method, path, &asked.body)
    });
    Reply::Answer(status, body.to_string())
}

/// A change for which the command has no verb.
#[allow(dead_code, reason = "each test crate uses its part")]
pub(crate) fn post(rig: &Rig, path: &str, body: &str) {
    let answer = call(rig, "POST", path, body);
    assert!(answer.contains("HTTP/1.1 201"), "{answer}");
}

/// A request, as simple as it can be.
#[allow(dead_code, reason = "each test crate uses its part")]
pub(crate) fn call(rig: &Rig, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(rig.url.trim_start_matches("http://")).unwrap();
    let length = body.len();
    let head =
        format!("{method} /api/rigs/main{path} HTTP/1.1\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
