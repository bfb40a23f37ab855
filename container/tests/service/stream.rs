//! Reading along: `text/event-stream`.

use std::time::Duration;

use beadrig::wire::container::Phase;
use beadrig_container::rig::client;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::town::{TOKEN, Town, until};

/// Somebody who reads along.
pub(crate) struct Reader {
    answer: reqwest::Response,
    text: String,
}

impl Reader {
    async fn open(town: &Town, agent: &str, last: Option<u64>) -> Self {
        Self::at(&town.url, agent, last).await
    }

    /// At the service that listens there.
    pub(crate) async fn at(url: &str, agent: &str, last: Option<u64>) -> Self {
        let url = format!("{url}/agents/{agent}/events");
        let mut request = client().unwrap().get(url).bearer_auth(TOKEN);
        request = request.header("accept", "text/event-stream").timeout(Duration::from_mins(2));
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        Self { answer: request.send().await.unwrap(), text: String::new() }
    }

    /// The next event: what it is, its id, its line.
    pub(crate) async fn next(&mut self) -> Option<(String, Option<u64>, String)> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| {
                    let mut lines = event.lines();
                    lines.find_map(|line| line.strip_prefix(name)).map(str::trim).map(str::to_owned)
                };
                let Some(data) = field("data:") else { continue };
                let id = field("id:").map(|id| id.parse().unwrap());
                let line = match serde_json::from_str::<Value>(&data).unwrap() {
                    Value::Object(event) => event["data"].as_str().unwrap().to_owned(),
                    other => other.to_string(),
                };
                return Some((field("event:").unwrap(), id, line));
            }
            let chunk = tokio::time::timeout(Duration::from_secs(30), self.answer.chunk()).await;
            let chunk = chunk.expect("an event in time").unwrap()?;
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// What is said until the end.
    async fn rest(mut self) -> Vec<(String, Option<u64>, String)> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}

#[tokio::test]
async fn events_come_as_they_happen_and_the_stream_ends_with_the_run() {
    let town = Town::new().await;
    town.run("a1", 1, "echo one; read -r line; echo \"two $line\" >&2; exit 0").await;
    let mut reader = Reader::open(&town, "a1", None).await;
    assert_eq!(reader.answer.headers()["content-type"], "text/event-stream");
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(_, _, line): &(String, Option<u64>, String)| line != "one") {
        seen.push(reader.next().await.unwrap());
    }
    town.post("/agents/a1/message", serde_json::json!({"prompt": "go"})).await;
    seen.extend(reader.rest().await);
    let ids: Vec<_> = seen.iter().map(|(_, id, _)| id.unwrap()).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
    assert!(seen.iter().any(|(kind, _, line)| kind == "stderr" && line == "two go"));
    let (kind, _, line) = seen.last().unwrap();
    assert_eq!((kind.as_str(), line.as_str()), ("status", "exited"));
}

#[tokio::test]
async fn a_reader_that_comes_back_goes_on_where_it_was() {
    let town = Town::new().await;
    town.run("a1", 1, "for i in 1 2 3 4 5; do echo line $i; done").await;
    town.phase("a1", Phase::Exited).await;
    let all = Reader::open(&town, "a1", None).await.rest().await;
    let after = all[3].1.unwrap();
    let rest = Reader::open(&town, "a1", Some(after)).await.rest().await;
    assert_eq!(rest, all[4..]);
    let last = all.last().unwrap().1;
    assert_eq!(Reader::open(&town, "a1", last).await.answer.status(), 204);
    // An id of a life before this one: from the beginning.
    assert_eq!(Reader::open(&town, "a1", Some(99_999)).await.rest().await, all);
    let wrong = client().unwrap().get(format!("{}/agents/a1/events", town.url)).bearer_auth(TOKEN);
    let wrong = wrong.header("accept", "text/event-stream").header("last-event-id", "x");
    assert_eq!(wrong.send().await.unwrap().status(), 400);
}

/// Somebody who asks for a stream, never reads it, and has hardly any room for what comes.
async fn sleeper(town: &Town, agent: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = town.url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!(
        "GET /agents/{agent}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
         accept: text/event-stream\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    stream
}

#[tokio::test]
async fn many_readers_that_do_not_read_slow_nobody_and_are_told_what_they_missed() {
    let town = Town::new().await;
    // 12 MB: more than the system holds for one who does not read.
    let flood = format!("read -r line; yes {} | head -n 6000; echo done; exit 0", "x".repeat(2000));
    town.run("a1", 1, &flood).await;
    let mut slow = Vec::new();
    // Each takes its share of time until the system holds no more for it: some MB.
    for _ in 0..16 {
        slow.push(sleeper(&town, "a1").await);
    }
    let mut one = Reader::open(&town, "a1", None).await;
    town.post("/agents/a1/message", serde_json::json!({"prompt": "go"})).await;
    let report = town.report("a1", 1).await;
    assert_eq!(report.exit_code, Some(0));
    let mut missed = 0;
    let mut seen = 0;
    let mut last = None;
    while let Some((kind, id, line)) = one.next().await {
        if kind == "missed" {
            missed += line.parse::<u64>().unwrap();
        } else {
            seen += 1;
            last = Some((id.unwrap(), line));
        }
    }
    let (id, line) = last.unwrap();
    assert_eq!(
        (seen + missed, line.as_str()),
        (id, "exited"),
        "every event is seen or said to be missed"
    );
    assert!(missed > 0, "the ring is smaller than the flood");
}

#[tokio::test]
async fn there_are_only_so_many_readers() {
    let town = Town::new().await;
    town.run("a1", 1, "exec sleep 600").await;
    let mut readers = Vec::new();
    for _ in 0..beadrig_container::limits::READERS_MAX {
        readers.push(Reader::open(&town, "a1", None).await);
    }
    assert_eq!(Reader::open(&town, "a1", None).await.answer.status(), 503);
    readers.clear();
    until(async || match Reader::open(&town, "a1", None).await.answer.status().as_u16() {
        200 => Ok(()),
        other => Err(other),
    })
    .await;
}
