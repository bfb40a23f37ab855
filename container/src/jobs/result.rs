//! What an agent's JSON result says about itself: what it cost, and its session.
//!
//! An agent prints what it likes: nothing here fails. What cannot be read is as if it were not there; it must never
//! change how a job ended.

use serde_json::Value;

use crate::limits::{JOB_RESULT_LINES_MAX, SESSION_ID_CHARS_MAX};

/// What could be read of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Millionths of a dollar.
    pub cost_micros: Option<i64>,
    /// For `--resume`.
    pub session_id: Option<String>,
}

impl Told {
    /// Takes what a line of output says, which came after all that was heard so far.
    pub fn hear(&mut self, line: &[u8]) {
        let has = |word: &[u8]| line.windows(word.len()).any(|part| part == word);
        let has_cost = has(b"\"total_cost_usd\"");
        // Each message of a stream names the session; the first says it.
        if !has_cost && (self.session_id.is_some() || !has(b"\"session_id\"")) {
            return;
        }
        let Self { cost_micros, session_id } = read(&String::from_utf8_lossy(line));
        self.cost_micros = cost_micros.or(self.cost_micros);
        self.session_id = session_id.or(self.session_id.take());
    }
}

/// Reads the result in an agent's standard output: all of it as JSON (an object, or a list with the result at its
/// end), or the last line that is an object.
pub fn read(output: &str) -> Told {
    let whole = output.trim();
    match serde_json::from_str::<Value>(whole) {
        Ok(Value::Array(items)) => items.iter().rev().find_map(told).unwrap_or_default(),
        Ok(value) => told(&value).unwrap_or_default(),
        Err(_) => {
            let last = whole.lines().rev().take(JOB_RESULT_LINES_MAX);
            let mut objects = last.filter(|line| line.trim_start().starts_with('{'));
            objects
                .find_map(|line| told(&serde_json::from_str(line.trim()).ok()?))
                .unwrap_or_default()
        }
    }
}

/// What one object says; nothing if it says nothing.
fn told(value: &Value) -> Option<Told> {
    let cost = value.get("total_cost_usd").and_then(Value::as_f64).and_then(micros);
    let session = value.get("session_id").and_then(Value::as_str);
    let plain = |id: &&str| {
        !id.is_empty()
            && id.chars().count() <= SESSION_ID_CHARS_MAX
            && !id.contains(char::is_control)
    };
    let told = Told { cost_micros: cost, session_id: session.filter(plain).map(ToOwned::to_owned) };
    (told != Told::default()).then_some(told)
}

/// Millionths of a dollar; nothing if it is no amount of money.
pub fn micros(usd: f64) -> Option<i64> {
    let micros = (usd * 1e6).round();
    // Below 2^53 each whole number has a double of its own.
    #[allow(clippy::cast_possible_truncation, reason = "in range and whole, as was just seen")]
    (0.0..9e15).contains(&micros).then_some(micros as i64)
}

/// The same as a number of dollars.
pub fn usd(micros: i64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "amounts are below 2^53")]
    let micros = micros as f64;
    micros / 1e6
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(cost: i64, session: &str) -> Told {
        Told { cost_micros: Some(cost), session_id: Some(session.to_owned()) }
    }

    #[test]
    fn the_result_is_found_as_a_whole_in_a_list_and_after_other_lines() {
        let result = r#"{"type":"result","total_cost_usd":0.123456,"session_id":"s-1"}"#;
        let told = of(123_456, "s-1");
        assert_eq!(read(&format!("{result}\n")), told);
        assert_eq!(read(&format!("[{{\"type\":\"system\"}},{result}]")), told);
        assert_eq!(read(&format!("warning: old\n{{\"type\":\"x\"}}\n{result}\nbye\n")), told);
        assert_eq!(
            read("{\n \"total_cost_usd\": 2,\n \"session_id\": \"s\"\n}"),
            of(2_000_000, "s")
        );
    }

    #[test]
    fn what_is_no_cost_and_no_session_is_not_there() {
        for (text, cost) in [
            (r#"{"total_cost_usd":-1}"#, None),
            (r#"{"total_cost_usd":1e300}"#, None),
            (r#"{"total_cost_usd":"1"}"#, None),
            (r#"{"total_cost_usd":0}"#, Some(0)),
            (r#"{"session_id":["s"]}"#, None),
            (r#"{"session_id":""}"#, None),
            ("{\"session_id\":\"a\\u0000b\"}", None),
            ("", None),
            ("null", None),
            ("[[[", None),
        ] {
            assert_eq!(read(text), Told { cost_micros: cost, session_id: None }, "{text}");
        }
    }

    #[test]
    fn heard_line_by_line_the_last_cost_counts_and_a_run_that_was_ended_has_its_session() {
        let mut told = Told::default();
        told.hear(br#"{"type":"system","subtype":"init","session_id":"s-1"}"#);
        assert_eq!(told, Told { cost_micros: None, session_id: Some("s-1".to_owned()) });
        told.hear(br#"{"type":"assistant","message":"total_cost_usd","session_id":"s-1"}"#);
        told.hear(br#"{"type":"result","total_cost_usd":0.5,"session_id":"s-2"}"#);
        told.hear(br#"[{"type":"result","total_cost_usd":0.75}]"#);
        for torn in [&b"{\"total_cost_usd\":9"[..], b"{\"total_cost_usd\":\xff}", b"[", b""] {
            told.hear(torn);
        }
        assert_eq!(told, of(750_000, "s-2"));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
        ];
        let name =
            prop_oneof![Just("total_cost_usd".to_owned()), Just("session_id".to_owned()), ".{0,4}"];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(name.clone(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_output_is_read_without_a_panic_and_a_cost_is_never_negative(
            before in ".{0,80}", value in json(), after in "[\\s\\S]{0,80}", cut in 0_usize..400,
        ) {
            let text = format!("{before}\n{value}\n{after}");
            for text in [&text, &value.to_string(), &text.chars().take(cut).collect::<String>()] {
                let told = read(text);
                prop_assert!(told.cost_micros.is_none_or(|cost| cost >= 0));
                prop_assert!(told.session_id.is_none_or(|id| !id.is_empty()));
            }
        }

        #[test]
        fn a_result_is_found_behind_any_lines(noise in "[^{}]{0,200}", micros in 0_i64..1_000_000_000_000) {
            let result = serde_json::json!({"total_cost_usd": usd(micros), "session_id": "s"});
            prop_assert_eq!(read(&format!("{noise}\n{result}\n")), of(micros, "s"));
        }
    }
}
