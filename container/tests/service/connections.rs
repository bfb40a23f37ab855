//! Callers that say nothing, or not all of it: each loses its place, and the service answers the others.

use std::time::{Duration, Instant};

use beadrig_container::limits::{BODY_MS_MAX, CONNECTIONS_MAX, HEAD_MS_MAX};
use beadrig_container::rig::client;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::program::Program;
use crate::town::{TOKEN, Town, until};

const HEAD: Duration = Duration::from_millis(HEAD_MS_MAX);
const BODY: Duration = Duration::from_millis(BODY_MS_MAX);
/// A machine with much to do is late.
const SLACK: Duration = Duration::from_secs(20);

async fn connect(town: &Town) -> TcpStream {
    TcpStream::connect(town.url.trim_start_matches("http://")).await.unwrap()
}

/// What is said until the connection is closed, and how long that took; it must be closed in time.
async fn until_closed(mut stream: TcpStream, within: Duration) -> (String, Duration) {
    let (began, mut said) = (Instant::now(), Vec::new());
    let read = timeout(within + SLACK, stream.read_to_end(&mut said)).await;
    // One that is reset is closed too.
    let _ = read.expect("it is closed in time");
    (String::from_utf8_lossy(&said).into_owned(), began.elapsed())
}

async fn is_answered(town: &Town) -> Duration {
    let (http, began) = (client().unwrap(), Instant::now());
    let health = format!("{}/health", town.url);
    let answer = until(async || http.get(&health).send().await).await;
    assert_eq!(answer.status(), 200);
    began.elapsed()
}

#[tokio::test]
async fn a_head_that_comes_drop_by_drop_is_not_waited_for() {
    let town = Town::new().await;
    let began = Instant::now();
    let (mut reader, mut writer) = connect(&town).await.into_split();
    writer.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let drops = tokio::spawn(async move {
        while writer.write_all(b"x-more: x\r\n").await.is_ok() {
            sleep(Duration::from_millis(500)).await;
        }
    });
    is_answered(&town).await;
    let mut said = Vec::new();
    let _ = timeout(HEAD + SLACK, reader.read_to_end(&mut said)).await.expect("closed in time");
    assert!(began.elapsed() >= HEAD * 9 / 10, "{:?}", began.elapsed());
    drops.abort();
}

#[tokio::test]
async fn a_connection_that_asks_nothing_more_is_closed_and_a_reader_of_events_stays() {
    let town = Town::new().await;
    let late = HEAD.as_secs() + 4;
    town.run("a1", 1, &format!("sleep {late}; echo late; exec sleep 600")).await;
    let mut reading = connect(&town).await;
    let ask = format!(
        "GET /agents/a1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
         accept: text/event-stream\r\n\r\n"
    );
    reading.write_all(ask.as_bytes()).await.unwrap();
    // Two questions on one connection, and then none.
    let mut idle = connect(&town).await;
    for _ in 0..2 {
        idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut chunk = [0; 4096];
        let length = idle.read(&mut chunk).await.unwrap();
        assert!(chunk[..length].starts_with(b"HTTP/1.1 200 OK"));
    }
    let (said, took) = until_closed(idle, HEAD).await;
    assert_eq!(said, "");
    assert!(took >= HEAD * 9 / 10, "{took:?}");
    let hears = async {
        let mut said = String::new();
        while !said.contains("late") {
            let mut chunk = [0; 4096];
            let length = reading.read(&mut chunk).await.unwrap();
            assert!(length > 0, "closed: {said}");
            said.push_str(&String::from_utf8_lossy(&chunk[..length]));
        }
    };
    timeout(HEAD + SLACK, hears).await.expect("a line in time");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_with_that_and_closed() {
    let town = Town::new().await;
    let head = |path: &str, token: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-length: 100\r\n\r\n{{"
        )
    };
    let asked = async |path: &str, token: &str| {
        let mut stream = connect(&town).await;
        stream.write_all(head(path, token).as_bytes()).await.unwrap();
        until_closed(stream, BODY).await
    };
    let (start, job, merge, stranger) = tokio::join!(
        asked("/agents/start", TOKEN),
        asked("/execute", TOKEN),
        asked("/git/merge", TOKEN),
        asked("/agents/start", "wrong"),
    );
    for (said, took) in [&start, &job, &merge] {
        assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
        assert!(said.contains("body did not come within 20 s"), "{said}");
        assert!(*took >= BODY * 9 / 10, "{took:?}");
    }
    let body = |said: &str| -> Value {
        serde_json::from_str(said.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    assert_eq!(body(&start.0)["code"], "invalid");
    assert!(body(&job.0)["detail"].is_string());
    // Whoever has no token is not waited for.
    assert!(stranger.0.starts_with("HTTP/1.1 401 "), "{}", stranger.0);
    assert!(stranger.1 < BODY / 2, "{:?}", stranger.1);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn many_connections_that_say_nothing_take_no_more_than_their_places_and_give_them_back() {
    let mut town = Town::without_service(&[]).await;
    let program = Program::start(&mut town).await;
    let open = || std::fs::read_dir(format!("/proc/{}/fd", program.0.id())).unwrap().count();
    let before = open();
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS_MAX + 100 {
        silent.push(connect(&town).await);
    }
    let full = until(async || if open() > before + 400 { Ok(open()) } else { Err(open()) }).await;
    assert!(full <= before + CONNECTIONS_MAX + 5, "{before} files, and then {full}");
    let took = is_answered(&town).await;
    assert!(took < HEAD + SLACK, "{took:?}");
    until(async || if open() <= before + 5 { Ok(()) } else { Err((before, open())) }).await;
    is_answered(&town).await;
    drop(silent);
}
