//! A node that follows the log of a store: the tests start several, and talk to each by lines.
//!
//! `node <kind> <url> <milliseconds of max_staleness>`
//!
//! | line | answer |
//! |---|---|
//! | `watch <id>` | `watching <id>`, and `ended <id> <microseconds since 1970>` when the node knows the end |
//! | `check <id>` | `check <id> live`, `ended` or `stale` |
//! | `logout <token>` | `logout <token> <status>` |

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use e2e::node::open;
use support::{logout_with, through};
use tokio::io::{AsyncBufReadExt, BufReader};
use tower_logout::ended::{EndedSessions, Refused};
use tower_logout::{LogoutLayer, Token};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, kind, url, max_staleness] = &arguments[..] else {
        panic!("node <kind> <url> <milliseconds>");
    };
    let max_staleness = Duration::from_millis(max_staleness.parse().unwrap());
    let (store, log) = open(kind, url).await;
    let (ended, following) = EndedSessions::builder()
        .max_staleness(max_staleness)
        .on_error(|error| eprintln!("{error}"))
        .follow(log);
    tokio::spawn(following);
    ended.ready().await;
    let layer = LogoutLayer::builder(store).ended(&ended).build().unwrap();
    println!("ready");

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let (command, value) = line.split_once(' ').unwrap();
        let value = value.to_owned();
        match command {
            "watch" => watch(&ended, value),
            "check" => {
                let state = match ended.check(&value) {
                    Ok(()) => "live",
                    Err(Refused::Ended) => "ended",
                    Err(_) => "stale",
                };
                println!("check {value} {state}");
            }
            "logout" => {
                let answer = through(&layer, logout_with(&Token::new(&*value))).await;
                println!("logout {value} {}", answer.status.as_u16());
            }
            other => panic!("unknown command {other}"),
        }
    }
}

fn watch(ended: &EndedSessions, id: String) {
    let signal = ended.watch(&id);
    println!("watching {id}");
    let id: Arc<str> = id.into();
    tokio::spawn(async move {
        signal.ended().await;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        println!("ended {id} {}", now.unwrap().as_micros());
    });
}
