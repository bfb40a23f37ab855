//! Reads the body of `POST /execute`, and refuses it as the agent service does.
//!
//! What a number may be written as, and the words of each refusal, are those of
//! `FastAPI` and pydantic 2: its callers know these. It must never accept what cannot become a process: a NUL, or an agent's name that is an option.

use serde_json::{Map, Value, json};

use super::result::{micros, usd};
use crate::limits::{
    ID_CHARS_MAX, JOB_BUDGET_MICROS_DEFAULT, JOB_BUDGET_USD_MAX, JOB_KEY_BYTES_MAX,
    JOB_TIME_LIMIT_S_DEFAULT, TIME_LIMIT_S_MAX,
};

/// A job as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRequest {
    /// What the agent is told.
    pub prompt: String,
    /// Which agent.
    pub agent: String,
    /// What it may spend, in millionths of a dollar.
    pub budget_micros: i64,
    /// How long it may run, in seconds.
    pub time_limit_s: u64,
    /// The caller's own, as JSON; given back as it came.
    pub metadata: Option<String>,
}

impl JobRequest {
    /// What it may spend, as an argument.
    pub fn budget(&self) -> String {
        usd(self.budget_micros).to_string()
    }
}

/// One thing that is wrong, as it is told.
fn wrong(kind: &str, field: &str, said: &str, input: &Value) -> Value {
    json!({"type": kind, "loc": ["body", field], "msg": said, "input": input})
}

/// Reads a body; else all that is wrong with it.
pub fn parse(body: &[u8]) -> Result<JobRequest, Vec<Value>> {
    if body.is_empty() {
        return Err(vec![
            json!({"type": "missing", "loc": ["body"], "msg": "Field required", "input": null}),
        ]);
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        vec![json!({
            "type": "json_invalid", "loc": ["body", error.column()], "msg": "JSON decode error",
            "input": {}, "ctx": {"error": error.to_string()},
        })]
    })?;
    let Value::Object(fields) = &body else {
        return Err(vec![json!({
            "type": "model_attributes_type", "loc": ["body"], "input": body,
            "msg": "Input should be a valid dictionary or object to extract fields from",
        })]);
    };
    let mut problems = Vec::new();
    let mut keep = |problem: Value| problems.push(problem);
    let prompt = text(fields, "prompt").map_err(&mut keep);
    let agent = text(fields, "agent").and_then(agent_name).map_err(&mut keep);
    let budget_micros = budget(fields).map_err(&mut keep);
    let time_limit_s = time_limit(fields).map_err(&mut keep);
    let metadata = metadata(fields).map_err(&mut keep);
    match (prompt, agent, budget_micros, time_limit_s, metadata) {
        (Ok(prompt), Ok(agent), Ok(budget_micros), Ok(time_limit_s), Ok(metadata)) => {
            Ok(JobRequest { prompt, agent, budget_micros, time_limit_s, metadata })
        }
        _ => Err(problems),
    }
}

fn text(fields: &Map<String, Value>, name: &str) -> Result<String, Value> {
    match fields.get(name) {
        None => Err(wrong("missing", name, "Field required", &Value::Object(fields.clone()))),
        Some(Value::String(text)) if text.contains('\0') => {
            let said = "Value error, a NUL character cannot be passed to a process";
            Err(wrong("value_error", name, said, &Value::from(text.as_str())))
        }
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(wrong("string_type", name, "Input should be a valid string", other)),
    }
}

/// A name, and never an option of the command.
fn agent_name(name: String) -> Result<String, Value> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/@".contains(c);
    let upwards = name.contains("..");
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if starts && !upwards && name.len() <= ID_CHARS_MAX && name.chars().all(plain) {
        return Ok(name);
    }
    let said = format!(
        "Value error, an agent's name has 1 to {ID_CHARS_MAX} of A-Z a-z 0-9 . _ - : / @, no .., and begins with a \
         letter, a digit or _"
    );
    Err(wrong("value_error", "agent", &said, &Value::from(name)))
}

fn budget(fields: &Map<String, Value>) -> Result<i64, Value> {
    const FIELD: &str = "max_budget_usd";
    let Some(value) = fields.get(FIELD) else { return Ok(JOB_BUDGET_MICROS_DEFAULT) };
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let said = "Input should be a valid number, unable to parse string as a number";
            let number = text.trim().parse().ok();
            Some(number.ok_or_else(|| wrong("float_parsing", FIELD, said, value))?)
        }
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        _ => None,
    };
    let number = number
        .ok_or_else(|| wrong("float_type", FIELD, "Input should be a valid number", value))?;
    let fits = number > 0.0 && number <= JOB_BUDGET_USD_MAX;
    micros(number).filter(|micros| fits && *micros > 0).ok_or_else(|| {
        let said = format!(
            "Value error, a budget is more than 0 and at most {JOB_BUDGET_USD_MAX} dollars"
        );
        wrong("value_error", FIELD, &said, value)
    })
}

fn time_limit(fields: &Map<String, Value>) -> Result<u64, Value> {
    const FIELD: &str = "timeout_seconds";
    let Some(value) = fields.get(FIELD) else { return Ok(JOB_TIME_LIMIT_S_DEFAULT) };
    let seconds = match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => i128::from(whole),
            #[allow(clippy::cast_possible_truncation, reason = "whole, and a cast saturates")]
            (None, Some(number)) if number.fract() == 0.0 => number as i128,
            _ => {
                let said = "Input should be a valid integer, got a number with a fractional part";
                return Err(wrong("int_from_float", FIELD, said, value));
            }
        },
        Value::String(text) => {
            let said = "Input should be a valid integer, unable to parse string as an integer";
            text.trim().parse().map_err(|_| wrong("int_parsing", FIELD, said, value))?
        }
        Value::Bool(yes) => i128::from(*yes),
        _ => return Err(wrong("int_type", FIELD, "Input should be a valid integer", value)),
    };
    let bound = |kind: &str, short: &str, said: &str, bound: u64| {
        let said = format!("Input should be {said} than or equal to {bound}");
        let mut problem = wrong(kind, FIELD, &said, value);
        problem["ctx"] = json!({short: bound});
        problem
    };
    match u64::try_from(seconds) {
        Ok(seconds) if (1..=TIME_LIMIT_S_MAX).contains(&seconds) => Ok(seconds),
        Ok(seconds) if seconds > 0 => Err(bound("less_than_equal", "le", "less", TIME_LIMIT_S_MAX)),
        Err(_) if seconds > 0 => Err(bound("less_than_equal", "le", "less", TIME_LIMIT_S_MAX)),
        _ => Err(bound("greater_than_equal", "ge", "greater", 1)),
    }
}

fn metadata(fields: &Map<String, Value>) -> Result<Option<String>, Value> {
    match fields.get("metadata") {
        None | Some(Value::Null) => Ok(None),
        Some(object @ Value::Object(_)) => Ok(Some(object.to_string())),
        Some(other) => {
            Err(wrong("dict_type", "metadata", "Input should be a valid dictionary", other))
        }
    }
}

/// Under which key a request is known: the header, or else `task_id` and `key` of its metadata, both of them. A
/// task alone is no key: it may be run again on purpose.
pub fn key(header: Option<&[u8]>, request: &JobRequest) -> Result<Option<String>, Vec<Value>> {
    let wrong = |loc: [&str; 2], input: &Value| {
        let said = format!("Value error, a key is text of 1 to {JOB_KEY_BYTES_MAX} bytes");
        vec![json!({"type": "value_error", "loc": loc, "msg": said, "input": input})]
    };
    let fits = |key: &str| (1..=JOB_KEY_BYTES_MAX).contains(&key.len());
    if let Some(header) = header {
        let key = std::str::from_utf8(header).ok().map(str::trim).filter(|key| fits(key));
        let given = || Value::from(String::from_utf8_lossy(header));
        let key = key.ok_or_else(|| wrong(["header", "idempotency-key"], &given()))?;
        return Ok(Some(format!("header:{key}")));
    }
    let metadata: Value = request
        .metadata
        .as_deref()
        .and_then(|it| serde_json::from_str(it).ok())
        .unwrap_or_default();
    let word = |name| metadata.get(name).and_then(Value::as_str).filter(|word| !word.is_empty());
    let (Some(task), Some(key)) = (word("task_id"), word("key")) else { return Ok(None) };
    let both = json!([task, key]).to_string();
    if fits(&both) {
        return Ok(Some(format!("metadata:{both}")));
    }
    Err(wrong(["body", "metadata"], &metadata))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn types(body: &Value) -> Vec<(String, String)> {
        let problems = parse(body.to_string().as_bytes()).unwrap_err();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        problems.iter().map(|it| (word(&it["type"]), word(&it["loc"][1]))).collect()
    }

    #[test]
    fn a_body_gets_the_defaults_of_the_agent_service() {
        let asked = parse(br#"{"prompt":"p","agent":"a","other":1}"#).unwrap();
        assert_eq!((asked.budget().as_str(), asked.time_limit_s), ("5", 2_700));
        assert_eq!(asked.metadata, None);
        let asked =
            parse(br#"{"prompt":"","agent":"a","max_budget_usd":"0.25","timeout_seconds":9.0}"#);
        let asked = asked.unwrap();
        assert_eq!((asked.budget().as_str(), asked.time_limit_s), ("0.25", 9));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_as_pydantic_does() {
        let body = json!({"agent": "a"});
        assert_eq!(
            parse(body.to_string().as_bytes()).unwrap_err(),
            [
                json!({"type": "missing", "loc": ["body", "prompt"], "msg": "Field required", "input": body})
            ]
        );
        let pair = |kind: &str, field: &str| (kind.to_owned(), field.to_owned());
        assert_eq!(
            types(&json!({
                "prompt": 1, "agent": "--model", "max_budget_usd": [], "timeout_seconds": 1.5,
                "metadata": [],
            })),
            [
                pair("string_type", "prompt"),
                pair("value_error", "agent"),
                pair("float_type", "max_budget_usd"),
                pair("int_from_float", "timeout_seconds"),
                pair("dict_type", "metadata"),
            ]
        );
        let with = |field: &str, value: Value| {
            let mut body = json!({"prompt": "p", "agent": "a"});
            body[field] = value;
            types(&body)[0].0.clone()
        };
        assert_eq!(with("timeout_seconds", json!(0)), "greater_than_equal");
        assert_eq!(with("timeout_seconds", json!(604_801)), "less_than_equal");
        assert_eq!(with("timeout_seconds", json!(1e300)), "less_than_equal");
        assert_eq!(with("timeout_seconds", json!("soon")), "int_parsing");
        assert_eq!(with("timeout_seconds", json!(null)), "int_type");
        assert_eq!(with("max_budget_usd", json!("much")), "float_parsing");
        assert_eq!(with("max_budget_usd", json!("NaN")), "value_error");
        assert_eq!(with("max_budget_usd", json!(0)), "value_error");
        assert_eq!(with("prompt", json!("a\0b")), "value_error");
        assert_eq!(types(&json!([]))[0].0, "model_attributes_type");
        assert_eq!(parse(b"{").unwrap_err()[0]["type"], "json_invalid");
        assert_eq!(parse(b"").unwrap_err()[0]["type"], "missing");
    }

    #[test]
    fn the_header_is_the_key_and_else_task_and_key_of_the_metadata_together() {
        let of = |header: Option<&[u8]>, metadata: Value| {
            let body = json!({"prompt": "p", "agent": "a", "metadata": metadata});
            key(header, &parse(body.to_string().as_bytes()).unwrap())
        };
        let both = json!({"task_id": "t", "key": "k"});
        assert_eq!(of(Some(b"k"), both.clone()).unwrap().as_deref(), Some("header:k"));
        assert_eq!(of(None, both).unwrap().as_deref(), Some("metadata:[\"t\",\"k\"]"));
        assert_eq!(of(None, json!({"task_id": "t"})).unwrap(), None);
        assert_eq!(of(None, json!({"task_id": "t", "key": 1})).unwrap(), None);
        assert!(of(Some(b""), json!({})).is_err());
        assert!(of(Some(b"\xff"), json!({})).is_err());
        assert!(of(None, json!({"task_id": "t".repeat(600), "key": "k"})).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_number_however_it_is_written_is_within_its_bounds_or_refused(
            field in prop::sample::select(vec!["max_budget_usd", "timeout_seconds"]),
            number in "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,5})?([eE][-+]?[0-9]{1,3})?",
            quote in prop::sample::select(vec!["", "\""]),
        ) {
            let body = format!(r#"{{"prompt":"p","agent":"a","{field}":{quote}{number}{quote}}}"#);
            match parse(body.as_bytes()) {
                Ok(asked) => {
                    prop_assert!((1..=TIME_LIMIT_S_MAX).contains(&asked.time_limit_s));
                    prop_assert!((1..=1_000_000_000_000).contains(&asked.budget_micros));
                    // What is passed on is what was asked for.
                    let budget: f64 = asked.budget().parse().unwrap();
                    prop_assert_eq!(micros(budget), Some(asked.budget_micros));
                }
                Err(problems) => {
                    let place = problems[0]["loc"][1].as_str();
                    prop_assert!(problems.len() == 1 && (place == Some(field) || place.is_none()));
                }
            }
        }

        #[test]
        fn any_name_that_is_taken_is_no_option_and_no_path_upwards(name in "[-._:/@a-zA-Z0-9 ~\\x00é]{0,140}") {
            let body = json!({"prompt": "p", "agent": name});
            if let Ok(asked) = parse(body.to_string().as_bytes()) {
                prop_assert!(!asked.agent.contains(".."));
                prop_assert!(!asked.agent.starts_with(['-', '.', '/']) && asked.agent.is_ascii());
                prop_assert!(asked.agent.len() <= ID_CHARS_MAX && !asked.agent.contains(['\0', ' ']));
            }
        }
    }
}
