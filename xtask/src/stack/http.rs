//! Just enough HTTP to ask a service on this machine how it is.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// What a service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200 and so on.
    pub status: u16,
    /// All of it.
    pub body: String,
}

/// Asks for a path; every step of it may take `patience`.
pub fn get(port: u16, path: &str, patience: Duration) -> io::Result<Answer> {
    ask(port, "GET", path, &[], "", patience)
}

/// Has something done, as whoever has the token.
pub fn post(port: u16, path: &str, token: &str, patience: Duration) -> io::Result<Answer> {
    ask(port, "POST", path, &[("Authorization", &format!("Bearer {token}"))], "", patience)
}

/// Asks with any headers and a body; every step of it may take `patience`.
pub fn ask(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
    patience: Duration,
) -> io::Result<Answer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if method != "GET" {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parsed(&bytes).ok_or_else(|| io::Error::other("the answer is not HTTP, or not all of it"))
}

fn parsed(bytes: &[u8]) -> Option<Answer> {
    let (head, body) = split(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = if head.contains("\r\ntransfer-encoding: chunked") {
        joined(body)?
    } else {
        body.to_owned()
    };
    Some(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// The chunks of a body in one piece.
fn joined(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let (size, after) = split(rest, b"\r\n")?;
        let size = usize::from_str_radix(str::from_utf8(size).ok()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let found = bytes.windows(at.len()).position(|window| window == at)?;
    Some((&bytes[..found], &bytes[found + at.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined() {
        let answer = parsed(
            b"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n\
              3\r\n{\"a\r\nc\r\n\":1}\r\nabcdef\r\n0\r\n\r\n",
        );
        assert_eq!(answer.unwrap(), Answer { status: 503, body: "{\"a\":1}\r\nabcdef".to_owned() });
    }

    #[test]
    fn half_an_answer_is_none() {
        assert_eq!(parsed(b"HTTP/1.1 200 OK\r\nContent-"), None);
        let half = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab";
        assert_eq!(parsed(half), None);
    }
}
