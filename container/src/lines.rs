//! Bytes in, lines of bounded length out.
//!
//! It never holds more than one line's worth, whatever comes; it never fails on what is not UTF-8. A line that looks
//! like JSON is held longer than it is shown, for there may be an agent's result in it.

use memchr::memchr;

use crate::limits::{LINE_BYTES_MAX, RESULT_LINE_BYTES_MAX};

/// Splits a stream of bytes into lines.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    cut: u64,
}

impl Lines {
    /// Takes the next bytes and hands out the lines that they complete: as they are shown, and as they came.
    pub fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(String, &[u8])) {
        let mut rest = bytes;
        while let Some(end) = memchr(b'\n', rest) {
            if self.line.is_empty() {
                // The line is here as a whole: nothing has to be held.
                let raw = &rest[..end.min(most(&rest[..end]))];
                line(shown(raw, (end - raw.len()) as u64), raw);
            } else {
                self.keep(&rest[..end]);
                line(shown(&self.line, self.cut), &self.line);
                self.forget();
            }
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    /// The last line, if it did not end.
    pub fn finish(&mut self) -> Option<(String, Vec<u8>)> {
        let text = shown(&self.line, self.cut);
        self.cut = 0;
        (!self.line.is_empty()).then(|| (text, std::mem::take(&mut self.line)))
    }

    fn keep(&mut self, bytes: &[u8]) {
        let max = most(if self.line.is_empty() { bytes } else { &self.line });
        let room = bytes.len().min(max - self.line.len());
        self.line.extend_from_slice(&bytes[..room]);
        self.cut += (bytes.len() - room) as u64;
    }

    fn forget(&mut self) {
        self.line.clear();
        self.line.shrink_to(LINE_BYTES_MAX);
        self.cut = 0;
    }
}

/// How much is held of a line that begins like this.
fn most(line: &[u8]) -> usize {
    match line.first() {
        Some(b'{' | b'[') => RESULT_LINE_BYTES_MAX,
        _ => LINE_BYTES_MAX,
    }
}

/// A line as it is shown, of which so many bytes were not held.
fn shown(raw: &[u8], cut: u64) -> String {
    let shown = &raw[..raw.len().min(LINE_BYTES_MAX)];
    let cut = cut + (raw.len() - shown.len()) as u64;
    if cut > 0 {
        return format!("{}… [{cut} bytes cut]", String::from_utf8_lossy(shown));
    }
    let line = shown.strip_suffix(b"\r").unwrap_or(shown);
    String::from_utf8_lossy(line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for chunk in chunks {
            lines.feed(chunk, |line, _| out.push(line));
        }
        out.extend(lines.finish().map(|(line, _)| line));
        out
    }

    #[test]
    fn lines_may_cross_reads_and_the_last_may_lack_its_end() {
        assert_eq!(split(&[b"one\ntw", b"o\r\n", b"\nthree"]), ["one", "two", "", "three"]);
        assert_eq!(split(&[b"one\n"]), ["one"]);
        assert_eq!(split(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_character_may_cross_reads_and_rubbish_is_replaced() {
        assert_eq!(split(&[b"\xc3", b"\xa4\n\xff"]), ["ä", "\u{fffd}"]);
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let long = vec![b'x'; LINE_BYTES_MAX];
        let lines = split(&[&long, b"yz", b"\nnext\n", &long, b"\n"]);
        let full = "x".repeat(LINE_BYTES_MAX);
        assert_eq!(lines, [format!("{full}… [2 bytes cut]"), "next".to_owned(), full]);
    }

    #[test]
    fn what_looks_like_json_is_shown_as_any_line_and_handed_out_longer() {
        let mut json = vec![b'{'; 3 * LINE_BYTES_MAX];
        let (mut lines, mut told) = (Lines::default(), Vec::new());
        json.push(b'\n');
        lines.feed(&json[..10], |_, _| panic!("no line has ended"));
        lines.feed(&json[10..], |line, raw| told.push((line, raw.len())));
        let shown = format!("{}… [{} bytes cut]", "{".repeat(LINE_BYTES_MAX), 2 * LINE_BYTES_MAX);
        assert_eq!(told, [(shown, 3 * LINE_BYTES_MAX)]);
        for _ in 0..100 {
            lines.feed(&json[..LINE_BYTES_MAX], |_, _| panic!("no line has ended"));
        }
        assert!(lines.line.capacity() <= 2 * RESULT_LINE_BYTES_MAX);
    }

    #[test]
    fn a_flood_without_an_end_takes_one_line_of_memory() {
        let mut lines = Lines::default();
        let chunk = vec![0; 64 * 1024];
        for _ in 0..100 {
            lines.feed(&chunk, |_, _| panic!("no line has ended"));
        }
        assert!(lines.line.capacity() <= 2 * LINE_BYTES_MAX);
        assert!(lines.finish().is_some_and(|(line, _)| line.ends_with("[6545408 bytes cut]")));
    }
}
