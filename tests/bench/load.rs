//! Requests as fast as they are answered, and what they cost the server.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::live::client;
use crate::process::cpu;

/// One request: a method's name, an address, a body.
pub(crate) struct Ask {
    pub(crate) url: String,
    /// None: a GET.
    pub(crate) body: Option<String>,
}

/// What came of it.
pub(crate) struct Load {
    pub(crate) per_s: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Of the server, a request.
    pub(crate) cpu: Duration,
}

/// Sends requests over so many connections for so long; `ask` gets a number that grows.
pub(crate) fn load(
    pid: u32,
    token: &str,
    connections: usize,
    how_long: Duration,
    ask: impl Fn(usize) -> Ask + Sync,
) -> Load {
    let (next, begin) = (AtomicUsize::new(0), Barrier::new(connections + 1));
    let mut used = Duration::ZERO;
    let mut since = Instant::now();
    let mut times = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..connections)
            .map(|_| scope.spawn(|| connection(token, how_long, &next, &begin, &ask)))
            .collect();
        begin.wait();
        (used, since) = (cpu(pid), Instant::now());
        workers.into_iter().flat_map(|it| it.join().unwrap()).collect::<Vec<_>>()
    });
    let (took, used) = (since.elapsed(), cpu(pid).saturating_sub(used));
    times.sort_unstable();
    let count = u32::try_from(times.len()).unwrap();
    Load {
        per_s: f64::from(count) / took.as_secs_f64(),
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
        cpu: used / count,
    }
}

fn connection(
    token: &str,
    how_long: Duration,
    next: &AtomicUsize,
    begin: &Barrier,
    ask: &(impl Fn(usize) -> Ask + Sync),
) -> Vec<Duration> {
    let (http, token) = (client(), format!("Bearer {token}"));
    let mut times = Vec::new();
    let mut send = || {
        let Ask { url, body } = ask(next.fetch_add(1, Ordering::Relaxed));
        let since = Instant::now();
        let answer = match body {
            None => http.get(&url).header("authorization", &token).call(),
            Some(body) => http.post(&url).header("authorization", &token).send(&body),
        };
        let mut answer = answer.unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert!(answer.status().is_success(), "{url}: {text}");
        times.push(since.elapsed());
    };
    // The first one opens the connection.
    send();
    begin.wait();
    let until = Instant::now() + how_long;
    while Instant::now() < until {
        send();
    }
    times.split_off(1)
}
