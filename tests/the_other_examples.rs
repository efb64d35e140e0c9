//! The smaller examples do what the recipes at their head say.

use std::process::Stdio;

use tokio::process::Command;

use crate::support::find_program;
use crate::support::process::ExampleServer;

/// The recipe's curl calls, and what each answers.
async fn answers_to_its_recipe(name: &str, source: &str) -> Vec<String> {
    let server = ExampleServer::start_example(name, &[]).await;
    let mut answers = Vec::new();
    for line in source.lines() {
        let Some(call) = line.strip_prefix("//! curl ") else {
            continue;
        };
        let (call, _) = call.split_once('#').unwrap_or((call, ""));
        let call = call.replace("http://127.0.0.1:3000", &server.url);
        let output = Command::new("sh")
            .args(["-c", &format!("curl -sS -w '%{{http_code}}' {call}")])
            .current_dir(server.folder.path())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{call}: {output:?}");
        answers.push(String::from_utf8(output.stdout).unwrap());
    }
    answers
}

async fn logs_in_and_out(name: &str, source: &str) {
    if find_program(&["curl"]).is_none() {
        return;
    }
    let answers = answers_to_its_recipe(name, source).await;
    let [login, me, logout, after] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert!(login.ends_with("200"), "{login}");
    assert!(me.starts_with("alice") && me.ends_with("200"), "{me}");
    assert_eq!(logout, "{\"message\":\"Logged out successfully\"}200");
    assert!(after.ends_with("401"), "{after}");
}

#[tokio::test]
async fn hyper_without_a_framework_logs_out() {
    logs_in_and_out("hyper", include_str!("../examples/hyper.rs")).await;
}

#[tokio::test]
async fn a_table_of_ones_own_logs_out() {
    logs_in_and_out("own_store", include_str!("../examples/own_store.rs")).await;
}
