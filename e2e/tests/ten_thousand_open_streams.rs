//! Of many open streams, those of the ended session end at once, and no others.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures::future::join_all;
use futures::{StreamExt, stream};
use http::Request;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{broadcast, mpsc};
use tokio_tungstenite::tungstenite;
use tonic::transport::Endpoint;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower_logout::ended::{Cursor, EndedLog, EndedSessions, Page, SessionEnded};
use tower_logout::require::{NoStore, RequireSessionLayer};
use tower_logout::store::{SessionId, SessionStore};
use tower_logout::{BoxError, MemoryStore, Token, TokenStore, async_trait};

use support::server::serve;

const SESSIONS: usize = 100;
/// How many of the sessions end, one after the other.
const ENDED: usize = 20;
/// A third of the streams are server-sent events, a third WebSockets, and a third gRPC calls.
const STREAMS: usize = 10_000;
/// HTTP/2 allows 200 streams on a connection.
const PER_CONNECTION: usize = 150;
/// The promise is 50 ms, on a machine that does nothing else.
const LIMIT: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_secs(120);

/// The log of a store in memory, which notes when its last read ended.
struct TimedLog<L> {
    log: L,
    read: Arc<Mutex<Option<Instant>>>,
}

#[async_trait]
impl<L: EndedLog> EndedLog for TimedLog<L> {
    async fn read(&self, since: Option<&Cursor>) -> Result<Page, BoxError> {
        let page = self.log.read(since).await?;
        *self.read.lock().unwrap() = Some(Instant::now());
        Ok(page)
    }

    fn retention(&self) -> Duration {
        self.log.retention()
    }

    async fn news(&self) {
        self.log.news().await;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Events,
    WebSocket,
    Grpc,
}

/// What a client saw of the stream of a session.
#[derive(Debug)]
enum Seen {
    Opened,
    Message,
    Ended(usize, Kind, Instant),
}

/// Sends a message to each open stream of HTTP.
type Messages = broadcast::Sender<()>;

async fn events(State(messages): State<Messages>) -> impl IntoResponse {
    let received = stream::unfold(messages.subscribe(), async |mut messages| {
        messages.recv().await.ok()?;
        Some(((), messages))
    });
    let events = stream::once(async {}).chain(received);
    Sse::new(events.map(|()| Ok::<_, Infallible>(Event::default().data("message"))))
}

async fn chat(
    upgrade: WebSocketUpgrade,
    State(messages): State<Messages>,
    Extension(session): Extension<SessionEnded>,
) -> Response {
    let mut messages = messages.subscribe();
    upgrade.on_upgrade(|mut socket: WebSocket| async move {
        let _ = socket.send(Message::text("message")).await;
        loop {
            tokio::select! {
                _ = session.ended() => {
                    let reason = "The session has ended".into();
                    let close = CloseFrame { code: close_code::POLICY, reason };
                    let _ = socket.send(Message::Close(Some(close))).await;
                    return;
                }
                Ok(()) = messages.recv() => {
                    let _ = socket.send(Message::text("message")).await;
                }
                None = socket.recv() => return,
            }
        }
    })
}

struct Streams {
    sessions: Vec<SessionId>,
    seen: mpsc::UnboundedSender<Seen>,
}

impl Streams {
    /// Reports what comes on a stream, and the close of the stream.
    async fn report(&self, session: usize, kind: Kind, messages: impl stream::Stream<Item = ()>) {
        let mut messages = std::pin::pin!(messages.enumerate());
        while let Some((number, ())) = messages.next().await {
            let _ = self.seen.send(if number == 0 {
                Seen::Opened
            } else {
                Seen::Message
            });
        }
        let _ = self.seen.send(Seen::Ended(session, kind, Instant::now()));
    }

    async fn read_events(self: Arc<Self>, address: SocketAddr, numbers: Vec<usize>) {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build_http();
        join_all(numbers.into_iter().map(|number| {
            let (client, this) = (client.clone(), Arc::clone(&self));
            tokio::spawn(async move {
                let session = number % SESSIONS;
                let request = Request::get(format!("http://{address}/events"))
                    .header("sid", this.sessions[session].as_str())
                    .body(Body::empty())
                    .unwrap();
                let response = client.request(request).await.unwrap();
                assert_eq!(response.status(), 200);
                let messages = response.into_body().into_data_stream();
                // The end of a stream can be an empty frame.
                let messages = messages.map(Result::unwrap);
                let messages = messages.filter(|data| std::future::ready(!data.is_empty()));
                this.report(session, Kind::Events, messages.map(drop)).await;
            })
        }))
        .await;
    }

    async fn read_grpc(self: Arc<Self>, address: SocketAddr, numbers: Vec<usize>) {
        let endpoint = Endpoint::new(format!("http://{address}")).unwrap();
        let client = HealthClient::new(endpoint.connect().await.unwrap());
        join_all(numbers.into_iter().map(|number| {
            let (mut client, this) = (client.clone(), Arc::clone(&self));
            tokio::spawn(async move {
                let session = number % SESSIONS;
                let mut request = tonic::Request::new(HealthCheckRequest::default());
                let sid = this.sessions[session].as_str().parse().unwrap();
                request.metadata_mut().insert("sid", sid);
                let messages = client.watch(request).await.unwrap().into_inner();
                let messages = messages.take_while(|message| {
                    if let Err(status) = message {
                        assert_eq!(status.code(), tonic::Code::Unauthenticated);
                    }
                    std::future::ready(message.is_ok())
                });
                this.report(session, Kind::Grpc, messages.map(drop)).await;
            })
        }))
        .await;
    }

    /// A WebSocket in memory, because a process may not have thousands of sockets.
    async fn read_websocket(self: Arc<Self>, app: Router, number: usize) {
        use tungstenite::client::IntoClientRequest;

        let session = number % SESSIONS;
        let (client, server) = tokio::io::duplex(1024);
        tokio::spawn(async move {
            let server = TokioIo::new(server);
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection_with_upgrades(server, TowerToHyperService::new(app))
                .await;
        });
        let mut request = "ws://app.test/chat".into_client_request().unwrap();
        let sid = self.sessions[session].as_str().parse().unwrap();
        request.headers_mut().insert("sid", sid);
        let (socket, _) = tokio_tungstenite::client_async(request, client)
            .await
            .unwrap();
        let (_send, receive) = socket.split();
        let messages = receive.take_while(|message| {
            if let Ok(tungstenite::Message::Close(frame)) = message {
                assert_eq!(u16::from(frame.as_ref().unwrap().code), 1008);
            }
            std::future::ready(matches!(message, Ok(tungstenite::Message::Text(_))))
        });
        self.report(session, Kind::WebSocket, messages.map(drop))
            .await;
    }
}

fn routes(messages: Messages) -> Router {
    Router::new()
        .route("/events", get(events))
        .route("/chat", get(chat))
        .with_state(messages)
}

/// A header names the session.
fn require(ended: &EndedSessions) -> RequireSessionLayer<NoStore> {
    RequireSessionLayer::new_by(ended, |head| {
        Some(head.headers.get("sid")?.to_str().ok()?.into())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_the_ended_session_end_at_once_and_no_others() {
    let store = MemoryStore::new();
    let read = Arc::new(Mutex::new(None));
    let log = TimedLog {
        log: store.ended_log(),
        read: Arc::clone(&read),
    };
    let (ended, following) = EndedSessions::builder()
        .poll(Duration::from_secs(3600))
        .max_staleness(Duration::from_secs(3600))
        .follow(log);
    tokio::spawn(following);
    ended.ready().await;

    let messages = broadcast::Sender::new(4);
    let (health_reporter, health) = tonic_health::server::health_reporter();
    let app = Router::new()
        .route_service("/grpc.health.v1.Health/{method}", health)
        .merge(routes(messages.clone()))
        .layer(require(&ended).end_streams());
    let address = serve(app.clone()).await;

    let (mut tokens, mut sessions) = (Vec::new(), Vec::new());
    for _ in 0..SESSIONS {
        let token = Token::generate().unwrap();
        sessions.push(store.open("alice", &token).await.unwrap().id);
        tokens.push(token);
    }
    let (seen, mut see) = mpsc::unbounded_channel();
    let streams = Arc::new(Streams { sessions, seen });
    let numbers: Vec<_> = (0..STREAMS).collect();
    let (events, others) = numbers.split_at(STREAMS / 3);
    let (sockets, calls) = others.split_at(STREAMS / 3);
    for chunk in events.chunks(PER_CONNECTION) {
        tokio::spawn(Arc::clone(&streams).read_events(address, chunk.to_vec()));
    }
    for chunk in calls.chunks(PER_CONNECTION) {
        tokio::spawn(Arc::clone(&streams).read_grpc(address, chunk.to_vec()));
    }
    for number in sockets {
        tokio::spawn(Arc::clone(&streams).read_websocket(app.clone(), *number));
    }
    // Waits for some things that the clients see. Nothing else may happen meanwhile.
    let mut wait = async |count: usize, what: fn(&Seen) -> bool| {
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            let seen = tokio::time::timeout(SOON, see.recv()).await;
            let seen = seen
                .unwrap_or_else(|_| panic!("{} of {count}", all.len()))
                .unwrap();
            assert!(what(&seen), "{seen:?} after {} of {count}", all.len());
            all.push(seen);
        }
        all
    };
    wait(STREAMS, |seen| matches!(seen, Seen::Opened)).await;

    let mut latencies = Vec::new();
    for (session, token) in tokens.iter().enumerate().take(ENDED) {
        *read.lock().unwrap() = None;
        store.revoke(token).await.unwrap();
        let of_session = numbers
            .iter()
            .filter(|number| *number % SESSIONS == session)
            .count();
        let mut kinds = BTreeMap::new();
        let mut last = None;
        for seen in wait(of_session, |seen| matches!(seen, Seen::Ended(..))).await {
            let Seen::Ended(of, kind, at) = seen else {
                unreachable!("checked");
            };
            assert_eq!(of, session);
            *kinds.entry(kind).or_insert(0) += 1;
            last = last.max(Some(at));
        }
        assert_eq!(kinds.len(), 3, "{kinds:?}");
        latencies.push(last.unwrap() - read.lock().unwrap().unwrap());
    }
    latencies.sort();
    let (median, most) = (latencies[ENDED / 2], latencies[ENDED - 1]);
    println!(
        "from the read to the end of the last of 100 streams: median {median:?}, most {most:?}"
    );
    assert!(most < LIMIT, "{most:?}");

    // The others go on.
    messages.send(()).unwrap();
    health_reporter
        .set_service_status("", ServingStatus::NotServing)
        .await;
    let live = STREAMS - STREAMS / SESSIONS * ENDED;
    wait(live, |seen| matches!(seen, Seen::Message)).await;
}
