//! Jobs over the routes of the agent service, with real processes; what went wrong there has a test here.

use std::time::{Duration, Instant};

use beadrig_container::Service;
use beadrig_container::rig::client;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::town::{TOKEN, Town, until};

/// The prompt is a script, so that each test says what its agent does.
pub(crate) const COMMAND: (&str, &str) =
    ("JOB_COMMAND", "/bin/sh -c {prompt} job {agent} {budget} {job_id}");

pub(crate) fn asked(script: &str) -> Value {
    json!({"prompt": script, "agent": "a"})
}

impl Town {
    pub(crate) async fn for_jobs(settings: &[(&str, &str)]) -> Self {
        Self::with(&[settings, &[COMMAND]].concat()).await
    }

    /// Asks for a job that must be taken.
    pub(crate) async fn execute(&self, body: Value) -> String {
        let (status, answer) = self.post("/execute", body).await;
        assert_eq!(status, 202, "{answer}");
        answer["job_id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn job(&self, id: &str) -> Value {
        let (status, job) = self.get(&format!("/jobs/{id}")).await;
        assert_eq!(status, 200, "{job}");
        job
    }

    /// Waits until a job has a status.
    pub(crate) async fn job_is(&self, id: &str, status: &str) -> Value {
        until(async || {
            let job = self.job(id).await;
            if job["status"] == status {
                Ok(job)
            } else {
                Err(job.to_string().chars().take(600).collect::<String>())
            }
        })
        .await
    }

    async fn keyed(&self, key: &str, body: &Value) -> (StatusCode, Value) {
        let request = client().unwrap().post(format!("{}/execute", self.url)).bearer_auth(TOKEN);
        let answer =
            request.header("idempotency-key", key).body(body.to_string()).send().await.unwrap();
        (answer.status(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }
}

#[tokio::test]
async fn the_bodies_are_those_of_the_agent_service() {
    let town = Town::for_jobs(&[("MAX_CONCURRENCY", "1")]).await;
    let mut body = asked("echo one; echo two >&2; printf '%s %s' $1 $2");
    body["metadata"] = json!({"task_id": "x"});
    body["max_budget_usd"] = json!(0.5);
    let (status, answer) = town.post("/execute", body).await;
    assert_eq!((status.as_u16(), &answer["status"]), (202, &json!("queued")));
    let id = answer["job_id"].as_str().unwrap();
    assert!(id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
    let job = town.job_is(id, "completed").await;
    assert_eq!(job["output"], json!(["one\n", "a 0.5"]));
    assert_eq!((&job["stderr"], &job["exit_code"]), (&json!("two\n"), &json!(0)));
    assert_eq!((&job["agent"], &job["metadata"]), (&json!("a"), &json!({"task_id": "x"})));
    let times = ["created_at", "started_at", "finished_at"].map(|name| job[name].as_str().unwrap());
    assert!(times.iter().all(|at| at.len() == 32 && at.ends_with("+00:00")), "{times:?}");
    assert!(times.is_sorted(), "{times:?}");
    assert!(job["finished_epoch"].as_f64().unwrap() > 1.7e9);
    for absent in ["error", "cost_usd", "session_id", "job_id", "output_cut_bytes"] {
        assert!(job.get(absent).is_none(), "{job}");
    }
    let (status, body) = town.get("/jobs/000000000000").await;
    assert_eq!((status.as_u16(), body), (404, json!({"detail": "Job not found"})));
    let (status, body) = town.post("/execute", json!({"agent": "a"})).await;
    let problem = json!({"type": "missing", "loc": ["body", "prompt"], "msg": "Field required", "input": {"agent": "a"}});
    assert_eq!((status.as_u16(), body), (422, json!({"detail": [problem]})));
    let (status, _) = town.call(Method::DELETE, "/execute", Value::Null).await;
    assert_eq!(status, 405);
    let (status, _) = town.post("/execute", json!({"prompt": "x".repeat(3_000_000)})).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn a_job_is_for_those_who_show_the_token() {
    let town = Town::for_jobs(&[]).await;
    let http = client().unwrap();
    for (shown, detail) in [
        (None, "Missing bearer token"),
        (Some("Basic 0"), "Missing bearer token"),
        (Some("Bearer wrong"), "Invalid token"),
    ] {
        for (method, path) in [(Method::POST, "/execute"), (Method::GET, "/jobs/000000000000")] {
            let mut request = http.request(method, format!("{}{path}", town.url)).body("{}");
            if let Some(shown) = shown {
                request = request.header("authorization", shown);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 401);
            assert_eq!(answer.text().await.unwrap(), json!({"detail": detail}).to_string());
        }
    }
}

#[tokio::test]
async fn health_tells_how_full_it_is_and_keeps_its_own_fields() {
    let town = Town::for_jobs(&[("MAX_CONCURRENCY", "2")]).await;
    let (_, idle) = town.get("/health").await;
    assert_eq!(
        (&idle["busy"], &idle["active"], &idle["queued"]),
        (&json!(false), &json!(0), &json!(0))
    );
    for _ in 0..3 {
        town.execute(asked("exec sleep 600")).await;
    }
    let full = until(async || {
        let (_, health) = town.get("/health").await;
        if health["queued"] == 1 { Ok(health) } else { Err(health) }
    })
    .await;
    assert_eq!(
        (&full["busy"], &full["active"], &full["capacity"]),
        (&json!(true), &json!(2), &json!(2))
    );
    assert_eq!(
        (&full["status"], &full["agents"], &full["protocol"]),
        (&json!("ok"), &json!(0), &json!(1))
    );
    assert!(full["bootId"].is_string() && full["uptime"].is_u64(), "{full}");
}

/// Service 5: the answer was lost, and the same work was done twice.
#[tokio::test]
async fn a_request_that_is_sent_twice_is_one_job() {
    let town = Town::for_jobs(&[("MAX_QUEUE_DEPTH", "1")]).await;
    let body = asked("exec sleep 600");
    let (status, first) = town.keyed("k1", &body).await;
    assert_eq!(status, 202);
    town.job_is(first["job_id"].as_str().unwrap(), "running").await;
    let (status, again) = town.keyed("k1", &body).await;
    assert_eq!((status.as_u16(), &again["job_id"]), (202, &first["job_id"]));
    assert_eq!(again["status"], "running");
    let (status, other) = town.keyed("k1", &asked("true")).await;
    assert_eq!(status, 422);
    assert_eq!(other["detail"][0]["loc"], json!(["header", "idempotency-key"]));
    assert_eq!(town.keyed("k2", &body).await.0, 429);
    let town = Town::for_jobs(&[]).await;
    let mut body = asked("true");
    body["metadata"] = json!({"task_id": "t1", "key": "1"});
    let id = town.execute(body.clone()).await;
    town.job_is(&id, "completed").await;
    assert_eq!(town.execute(body.clone()).await, id);
    body["metadata"]["key"] = json!("2");
    assert_ne!(town.execute(body).await, id);
}

/// Service 6: the time limit ended the wait, and not the process.
#[tokio::test]
async fn a_job_that_is_out_of_time_is_ended_with_all_its_descendants() {
    let town = Town::for_jobs(&[]).await;
    let mut body = asked(
        "trap '' TERM HUP; sleep 600 & setsid sleep 600 & (setsid sh -c 'trap \"\" TERM; sleep 600; true') & \
         echo up; while :; do sleep 0.05; done",
    );
    body["timeout_seconds"] = json!(1);
    let id = town.execute(body).await;
    let job = town.job_is(&id, "timeout").await;
    assert_eq!(town.processes(), Vec::<String>::new());
    assert_eq!((&job["output"], &job["exit_code"]), (&json!(["up\n"]), &json!(-9)));
    assert_eq!(job["error"], "out of time: it was ended after 1 s");
    assert!(!town.data.path().join("jobs").join(&id).join("work").exists());
}

/// Service 7: a result on one long line ended the job, and so did a loud standard error.
#[tokio::test]
async fn a_result_of_any_size_on_one_line_is_a_success() {
    let town = Town::for_jobs(&[]).await;
    for size in [100_000, 10_000_000] {
        let script = format!(
            "printf '{{\"result\":\"'; head -c {size} /dev/zero | tr '\\0' x; \
             printf '\",\"total_cost_usd\":1.5,\"session_id\":\"s-1\"}}\\n'"
        );
        let id = town.execute(asked(&script)).await;
        let job = town.job_is(&id, "completed").await;
        let output = job["output"].as_array().unwrap();
        assert_eq!(output.len(), 1);
        let result: Value = serde_json::from_str(output[0].as_str().unwrap()).unwrap();
        assert_eq!(result["result"].as_str().unwrap().len(), size);
        assert_eq!((&job["cost_usd"], &job["session_id"]), (&json!(1.5), &json!("s-1")));
    }
}

/// Service 7, the other half.
#[tokio::test]
async fn a_loud_standard_error_does_not_hold_a_job_up() {
    let town = Town::for_jobs(&[]).await;
    let mut body = asked("head -c 3000000 /dev/zero | tr '\\0' e >&2; echo done");
    body["timeout_seconds"] = json!(30);
    let job = town.execute(body).await;
    let job = town.job_is(&job, "completed").await;
    assert_eq!(
        (&job["output"], job["stderr"].as_str().unwrap().len()),
        (&json!(["done\n"]), 3_000_000)
    );
}

#[tokio::test]
async fn what_is_beyond_the_bound_is_cut_and_says_so() {
    let town = Town::for_jobs(&[]).await;
    let kept = 16 * 1024 * 1024;
    let id = town.execute(asked("head -c 17000000 /dev/zero | tr '\\0' x; exit 3")).await;
    let job = town.job_is(&id, "failed").await;
    assert_eq!(job["output"][0].as_str().unwrap().len(), kept);
    assert_eq!(
        (&job["output_cut_bytes"], &job["exit_code"]),
        (&json!(17_000_000 - kept), &json!(3))
    );
}

/// Service 11: whoever asked early took `queued` for an end.
#[tokio::test]
async fn a_queued_job_is_not_taken_for_one_that_is_over() {
    let town = Town::for_jobs(&[("MAX_CONCURRENCY", "1")]).await;
    let first = town.execute(asked("exec sleep 600")).await;
    let second = town.execute(asked("true")).await;
    town.job_is(&first, "running").await;
    let job = town.job(&second).await;
    let keys: Vec<&str> = job.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["agent", "created_at", "metadata", "prompt", "status"]);
    assert_eq!((&job["status"], &job["metadata"]), (&json!("queued"), &Value::Null));
    let (_, job) = town.get(&format!("/jobs/{second}?v=1")).await;
    assert_eq!(job["status"], "running");
    let job = town.job(&first).await;
    assert!(job["started_at"].is_string() && job.get("finished_at").is_none(), "{job}");
}

/// Service 12: a full queue looked like a fault.
#[tokio::test]
async fn a_full_queue_says_so_and_takes_jobs_again() {
    let town = Town::for_jobs(&[("MAX_CONCURRENCY", "1"), ("MAX_QUEUE_DEPTH", "2")]).await;
    let go = town.data.path().join("go");
    let script = format!("until [ -e {} ]; do sleep 0.02; done", go.display());
    let first = town.execute(asked(&script)).await;
    town.execute(asked("true")).await;
    let (status, body) = town.post("/execute", asked("true")).await;
    assert_eq!((status.as_u16(), body), (429, json!({"detail": "Queue full"})));
    std::fs::write(go, "").unwrap();
    town.job_is(&first, "completed").await;
    town.execute(asked("true")).await;
}

#[tokio::test]
async fn jobs_run_in_the_order_they_came_and_waiting_takes_none_of_their_time() {
    let town = Town::for_jobs(&[("MAX_CONCURRENCY", "1")]).await;
    let order = town.data.path().join("order");
    let began = Instant::now();
    let mut ids = vec![town.execute(asked("sleep 1.5")).await];
    for n in 1..=4 {
        let mut body = asked(&format!("echo {n} >> {}", order.display()));
        body["timeout_seconds"] = json!(1);
        ids.push(town.execute(body).await);
    }
    for id in &ids {
        town.job_is(id, "completed").await;
    }
    assert!(began.elapsed() > Duration::from_millis(1500));
    assert_eq!(std::fs::read_to_string(order).unwrap(), "1\n2\n3\n4\n");
}

/// Service 19: as many runs as configured took more memory than there was.
#[tokio::test]
async fn agents_and_jobs_share_the_places() {
    let town = Town::for_jobs(&[("MAX_CONCURRENCY", "2"), ("JOB_CONCURRENCY", "1")]).await;
    let first = town.execute(asked("exec sleep 600")).await;
    let second = town.execute(asked("true")).await;
    town.job_is(&first, "running").await;
    town.run("a1", 1, "exec sleep 600").await;
    let (status, body) = town.start("a2", 1, "true").await;
    assert_eq!((status.as_u16(), &body["code"]), (503, &json!("capacity")));
    assert_eq!(town.job(&second).await["status"], "queued");
    let town = Town::for_jobs(&[("MAX_CONCURRENCY", "1")]).await;
    let ended = town.data.path().join("ended");
    let agent = "trap 'touch ENDED; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    town.run("a1", 1, &agent.replace("ENDED", ended.to_str().unwrap())).await;
    town.hears("a1", "up").await;
    let job = town.execute(asked(&format!("[ -e {} ]", ended.display()))).await;
    let (_, health) = town.get("/health").await;
    assert_eq!((&health["active"], &health["agents"]), (&json!(1), &json!(1)));
    town.post("/agents/a1/stop", json!({})).await;
    town.job_is(&job, "completed").await;
}

/// Service 23: nobody knew what a job had cost.
#[tokio::test]
async fn what_a_job_cost_and_its_session_are_told() {
    let town = Town::for_jobs(&[]).await;
    let script = "echo starting; echo '{\"type\":\"result\",\"total_cost_usd\":0.0421375,\"session_id\":\"abc\"}'; exit 1";
    let id = town.execute(asked(script)).await;
    let job = town.job_is(&id, "failed").await;
    assert_eq!((&job["cost_usd"], &job["session_id"]), (&json!(0.042_138), &json!("abc")));
}

#[tokio::test]
async fn the_ways_in_which_a_job_ends_are_told_apart() {
    let town = Town::for_jobs(&[]).await;
    let failed = town.execute(asked("echo boom >&2; exit 3")).await;
    let job = town.job_is(&failed, "failed").await;
    assert_eq!((&job["exit_code"], &job["output"]), (&json!(3), &json!([])));
    assert_eq!((&job["stderr"], job.get("error")), (&json!("boom\n"), None));
    let killed = town.execute(asked("kill -KILL $$")).await;
    assert_eq!(town.job_is(&killed, "failed").await["exit_code"], json!(-9));
    let town = Town::with(&[("JOB_COMMAND", "/no/such/agent {prompt}")]).await;
    let id = town.execute(asked("true")).await;
    let job = town.job_is(&id, "error").await;
    assert!(
        job["error"].as_str().unwrap().starts_with("/no/such/agent could not be started"),
        "{job}"
    );
    assert_eq!((&job["output"], job.get("exit_code")), (&json!([]), None));
    let (_, health) = town.get("/health").await;
    assert_eq!(health["queued"], 0);
}

/// Service 14: nothing ever told an agent the id of its job.
#[tokio::test]
async fn a_job_knows_its_id_and_has_a_workspace_of_its_own_and_no_secret() {
    let town = Town::for_jobs(&[]).await;
    let script =
        "echo $BEADRIG_JOB_ID $3; pwd; ls; cat; env | grep -c -i -e token -e GRACE_MS; true";
    let one = town.execute(asked(script)).await;
    let other = town.execute(asked(script)).await;
    for id in [one, other] {
        let job = town.job_is(&id, "completed").await;
        let work = town.data.path().canonicalize().unwrap().join("jobs").join(&id).join("work");
        let expected = [
            format!("{id} {id}\n"),
            format!("{}\n", work.display()),
            "prompt.md\n".into(),
            "0\n".into(),
        ];
        assert_eq!(job["output"], json!(expected));
    }
}

#[tokio::test]
async fn a_job_that_is_over_is_forgotten_after_its_time() {
    let town = Town::for_jobs(&[("JOB_TTL_S", "1")]).await;
    let id = town.execute(asked("echo x")).await;
    let waits = town.execute(asked("exec sleep 600")).await;
    let files = town.data.path().join("jobs").join(&id);
    until(async || {
        let (status, body) = town.get(&format!("/jobs/{id}")).await;
        if status == 404 { Ok(()) } else { Err(body) }
    })
    .await;
    assert!(!files.exists());
    town.job_is(&waits, "running").await;
}

#[tokio::test]
async fn jobs_of_a_service_that_ends_are_ended_and_what_waited_runs_next_time() {
    let mut town = Town::for_jobs(&[("MAX_CONCURRENCY", "1"), ("GRACE_MS", "30000")]).await;
    let runs = town
        .execute(asked("trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done"))
        .await;
    let waits = town.execute(asked("echo ran")).await;
    town.job_is(&runs, "running").await;
    until(async || {
        let said =
            std::fs::read_to_string(town.data.path().join("jobs").join(&runs).join("stdout"));
        if said.is_ok_and(|said| said == "up\n") { Ok(()) } else { Err("not up") }
    })
    .await;
    town.service.take().unwrap().shutdown().await;
    assert_eq!(town.processes(), Vec::<String>::new());
    let next = Service::start(town.config.clone()).await.unwrap();
    town.url = format!("http://{}", next.address());
    town.service = Some(next);
    let job = town.job_is(&runs, "interrupted").await;
    assert_eq!(
        (&job["output"], &job["error"]),
        (&json!(["up\n", "saved\n"]), &json!("the service ended while it ran"))
    );
    assert_eq!(town.job_is(&waits, "completed").await["output"], json!(["ran\n"]));
}
