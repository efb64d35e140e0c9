//! What a login has opened ends with its session, on every node.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use futures::future::join_all;
use futures::stream;
use http::header::CONTENT_LENGTH;
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_logout::ended::{
    Cursor, EndedLog, EndedSessions, EndedSessionsBuilder, Following, Page, Refused, SessionEnded,
};
use tower_logout::require::{NoStore, RequireSessionLayer};
use tower_logout::store::SessionId;
use tower_logout::{BoxError, LogoutLayer, MemoryStore, Token, async_trait};

use support::server::serve;
use support::*;

/// Longer than anything takes here, on a busy machine too.
const SOON: Duration = Duration::from_secs(10);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(SOON, future).await;
    done.expect("happens soon")
}

/// The layer of the tests. A header names the session.
fn require(ended: &EndedSessions) -> RequireSessionLayer<NoStore> {
    RequireSessionLayer::new_by(ended, |head| {
        Some(head.headers.get("sid")?.to_str().ok()?.into())
    })
    .end_streams()
}

/// One server of an app.
struct Node {
    ended: EndedSessions,
    address: SocketAddr,
    /// Sends an event to each open stream.
    events: broadcast::Sender<&'static str>,
}

impl Node {
    async fn start(store: &MemoryStore) -> Self {
        let (ended, following) = EndedSessions::builder()
            // The news of the log alone tell of an end.
            .poll(Duration::from_secs(3600))
            .follow(store.ended_log());
        tokio::spawn(following);
        ended.ready().await;
        let events = broadcast::Sender::new(16);
        let app = Router::new()
            .route("/events", get(server_sent_events))
            .route("/chunks", get(chunks))
            .route("/chat", get(chat))
            .with_state(events.clone())
            .layer(require(&ended))
            .layer(
                LogoutLayer::builder(store.clone())
                    .ended(&ended)
                    .build()
                    .unwrap(),
            );
        let address = serve(app).await;
        Self {
            ended,
            address,
            events,
        }
    }

    async fn open(&self, path: &str, session: &SessionId) -> Incoming {
        let request = Request::get(format!("http://{}{path}", self.address))
            .header("sid", session.as_str())
            .body(Body::empty())
            .unwrap();
        let client: Client<HttpConnector, Body> =
            Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let mut body = response.into_body();
        assert!(text_of(&mut body).await.unwrap().contains("first"));
        body
    }

    async fn log_out(&self, token: &Token) {
        let request = Request::post(format!("http://{}/auth/logout", self.address))
            .header("content-type", "application/json")
            .header("cookie", format!("refreshToken={}", token.expose()))
            .body(Body::empty())
            .unwrap();
        let client: Client<HttpConnector, Body> =
            Client::builder(TokioExecutor::new()).build_http();
        assert_eq!(client.request(request).await.unwrap().status(), 200);
    }
}

/// The next data of a body, or `None` for its end.
async fn text_of(
    body: &mut (impl http_body::Body<Data = Bytes, Error: std::fmt::Debug> + Unpin),
) -> Option<String> {
    let frame = soon(body.frame()).await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

type Events = State<broadcast::Sender<&'static str>>;

fn texts(
    events: &broadcast::Sender<&'static str>,
) -> impl stream::Stream<Item = &'static str> + use<> {
    let received = stream::unfold(events.subscribe(), async |mut events| {
        Some((events.recv().await.ok()?, events))
    });
    stream::once(async { "first" }).chain(received)
}

async fn server_sent_events(
    State(events): Events,
) -> Sse<impl stream::Stream<Item = Result<Event, Infallible>>> {
    Sse::new(texts(&events).map(|text| Ok(Event::default().data(text))))
}

async fn chunks(State(events): Events) -> Body {
    Body::from_stream(texts(&events).map(Ok::<_, Infallible>))
}

/// As the documentation of `SessionEnded` has it.
async fn chat(
    upgrade: WebSocketUpgrade,
    Extension(session): Extension<SessionEnded>,
) -> Response<Body> {
    upgrade.on_upgrade(|mut socket: WebSocket| async move {
        loop {
            tokio::select! {
                refused = session.ended() => {
                    let code = match refused {
                        Refused::Ended => close_code::POLICY,
                        _ => close_code::AGAIN,
                    };
                    let close = CloseFrame { code, reason: "bye".into() };
                    let _ = socket.send(Message::Close(Some(close))).await;
                    return;
                }
                received = socket.recv() => match received {
                    Some(Ok(message)) => socket.send(message).await.unwrap(),
                    _ => return,
                },
            }
        }
    })
}

/// A login, and the id of its session.
async fn log_in(store: &MemoryStore) -> (Token, SessionId) {
    use tower_logout::store::SessionStore;

    let token = open(store, "alice").await;
    let session = store.find(&token).await.unwrap().unwrap();
    (token, session.id)
}

#[tokio::test]
async fn streams_of_http_end_on_every_node_and_those_of_other_sessions_go_on() {
    let store = MemoryStore::new();
    let (here, there) = (Node::start(&store).await, Node::start(&store).await);
    for path in ["/events", "/chunks"] {
        let (token, session) = log_in(&store).await;
        let (_, other) = log_in(&store).await;
        for node in [&here, &there] {
            assert_eq!(node.ended.check(session.as_str()), Ok(()));
        }
        let mut ends = [
            here.open(path, &session).await,
            here.open(path, &session).await,
            there.open(path, &session).await,
        ];
        let mut goes_on = [
            here.open(path, &other).await,
            there.open(path, &other).await,
        ];
        let waits = tokio::time::timeout(Duration::from_millis(50), ends[0].frame());
        assert!(waits.await.is_err(), "the stream of a live session goes on");

        here.log_out(&token).await;
        for body in &mut ends {
            assert_eq!(text_of(body).await, None, "{path}");
        }
        for node in [&here, &there] {
            node.events.send("more").unwrap();
        }
        for body in &mut goes_on {
            assert!(text_of(body).await.unwrap().contains("more"), "{path}");
        }
    }
}

#[tokio::test]
async fn a_websocket_is_closed_by_its_handler() {
    let store = MemoryStore::new();
    let (here, there) = (Node::start(&store).await, Node::start(&store).await);
    let (token, session) = log_in(&store).await;
    let (_, other) = log_in(&store).await;
    let connect = async |node: &Node, session: &SessionId| {
        use tungstenite::client::IntoClientRequest;

        let url = format!("ws://{}/chat", node.address);
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sid", session.as_str().parse().unwrap());
        let stream = TcpStream::connect(node.address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream)
            .await
            .unwrap();
        socket
    };
    let mut ends = [
        connect(&here, &session).await,
        connect(&there, &session).await,
    ];
    let mut goes_on = [connect(&here, &other).await, connect(&there, &other).await];
    here.log_out(&token).await;
    for socket in &mut ends {
        match soon(socket.next()).await {
            Some(Ok(tungstenite::Message::Close(Some(frame)))) => {
                assert_eq!(u16::from(frame.code), 1008);
            }
            other => panic!("not closed: {other:?}"),
        }
    }
    for socket in &mut goes_on {
        use futures::SinkExt;

        let message = tungstenite::Message::text("still there?");
        socket.send(message.clone()).await.unwrap();
        assert_eq!(soon(socket.next()).await.unwrap().unwrap(), message);
    }
}

fn with_session<T>(message: T, session: &str) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request
        .metadata_mut()
        .insert("sid", session.parse().unwrap());
    request
}

async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::new(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

/// Sessions that follow the log of this store.
async fn follow(store: &MemoryStore) -> EndedSessions {
    let (ended, following) = EndedSessions::builder().follow(store.ended_log());
    tokio::spawn(following);
    ended.ready().await;
    ended
}

#[tokio::test]
async fn a_server_stream_of_grpc_gets_unauthenticated_in_its_trailers() {
    let ended = follow(&MemoryStore::new()).await;
    let (reporter, health) = tonic_health::server::health_reporter();
    let mut client = HealthClient::new(connect(serve(require(&ended).layer(health)).await).await);
    let mut watch = async |session: &str| {
        let request = with_session(HealthCheckRequest::default(), session);
        let mut stream = client.watch(request).await.unwrap().into_inner();
        assert!(stream.message().await.unwrap().is_some());
        stream
    };
    let (mut ends, mut goes_on) = (watch("a").await, watch("b").await);
    ended.end(&SessionId::new("a"));
    let status = soon(ends.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.message(), "The session has ended");

    reporter
        .set_service_status("", ServingStatus::NotServing)
        .await;
    let message = soon(goes_on.message()).await.unwrap().unwrap();
    assert_eq!(message.status, ServingStatus::NotServing as i32);

    let call = client.watch(with_session(HealthCheckRequest::default(), "a"));
    assert_eq!(call.await.unwrap_err().code(), Code::Unauthenticated);
}

/// A call that counts the messages of its client, as the code that tonic-build generates.
async fn count(request: axum::extract::Request) -> Response<Body> {
    let method = service_fn(async |request: tonic::Request<tonic::Streaming<String>>| {
        let session = request.extensions().get::<SessionEnded>().cloned().unwrap();
        let mut messages = request.into_inner();
        let mut count = 0_u64;
        loop {
            tokio::select! {
                _ = session.ended() => return Err(Status::unauthenticated("The session has ended")),
                message = messages.message() => match message? {
                    Some(_) => count += 1,
                    None => return Ok(tonic::Response::new(count)),
                },
            }
        }
    });
    let mut server = tonic::server::Grpc::new(ProstCodec::<u64, String>::default());
    server
        .client_streaming(method, request)
        .await
        .map(Body::new)
}

#[tokio::test]
async fn a_client_stream_of_grpc_is_refused_by_its_handler() {
    let ended = follow(&MemoryStore::new()).await;
    let app = Router::new().route("/shop.v1.Shop/Count", post(count));
    let channel = connect(serve(app.layer(require(&ended))).await).await;
    let call = async |session: &'static str| {
        let (sender, messages) = mpsc::unbounded();
        sender.unbounded_send("one".to_owned()).unwrap();
        let mut client = tonic::client::Grpc::new(channel.clone());
        client.ready().await.unwrap();
        let answer = tokio::spawn(async move {
            let codec = ProstCodec::<String, u64>::default();
            let path = PathAndQuery::from_static("/shop.v1.Shop/Count");
            let request = with_session(messages, session);
            client.client_streaming(request, path, codec).await
        });
        (sender, answer)
    };
    let (_open, ends) = call("a").await;
    let (sender, goes_on) = call("b").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    ended.end(&SessionId::new("a"));
    let status = soon(ends).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);

    sender.unbounded_send("two".to_owned()).unwrap();
    drop(sender);
    assert_eq!(soon(goes_on).await.unwrap().unwrap().into_inner(), 2);
}

/// A body that knows its size, and whose data comes later.
struct Sized<B>(B, u64);

impl<B: http_body::Body + Unpin> http_body::Body for Sized<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.1)
    }
}

#[tokio::test]
async fn a_body_of_a_known_size_runs_out() {
    let ended = follow(&MemoryStore::new()).await;
    let known_by_its = ["body", "header"];
    for (case, session) in known_by_its.into_iter().zip(["a", "b"]) {
        let (mut sender, data) = mpsc::channel::<Result<_, Infallible>>(2);
        let data = Sized(StreamBody::new(data.map(|data| data.map(Frame::data))), 4);
        let response = match case {
            "body" => Response::new(Body::new(data)),
            _ => Response::builder()
                .header(CONTENT_LENGTH, 4)
                .body(Body::from_stream(data.into_data_stream()))
                .unwrap(),
        };
        let response = std::sync::Mutex::new(Some(response));
        let inner = service_fn(|_: Request<()>| {
            let response = response.lock().unwrap().take();
            async { Ok::<_, Infallible>(response.unwrap()) }
        });
        let request = Request::get("/").header("sid", session).body(()).unwrap();
        let response = require(&ended).layer(inner).oneshot(request).await.unwrap();
        let mut body = response.into_body();
        sender.try_send(Ok(Bytes::from("ab"))).unwrap();
        assert_eq!(text_of(&mut body).await.unwrap(), "ab");
        ended.end(&SessionId::new(session));
        sender.try_send(Ok(Bytes::from("cd"))).unwrap();
        drop(sender);
        assert_eq!(text_of(&mut body).await.as_deref(), Some("cd"), "{case}");
        assert_eq!(text_of(&mut body).await, None);
    }
}

#[tokio::test]
async fn a_handler_in_flight_is_not_cancelled() {
    let ended = follow(&MemoryStore::new()).await;
    let (begun, go_on) = (
        Arc::new(tokio::sync::Notify::new()),
        Arc::new(tokio::sync::Notify::new()),
    );
    let inner = {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        service_fn(move |_: Request<()>| {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            async move {
                begun.notify_one();
                go_on.notified().await;
                Ok::<_, Infallible>(Response::new(Body::from("done")))
            }
        })
    };
    let request = Request::get("/").header("sid", "a").body(()).unwrap();
    let answer = tokio::spawn(send(require(&ended).layer(inner), request));
    begun.notified().await;
    ended.end(&SessionId::new("a"));
    go_on.notify_one();
    assert_eq!(soon(answer).await.unwrap().body, "done");
}

#[tokio::test]
async fn nothing_follows_the_trailers_of_a_call_that_is_complete() {
    let ended = follow(&MemoryStore::new()).await;
    let inner = service_fn(|_: Request<()>| async {
        let trailers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let frames = stream::iter([Ok::<_, Infallible>(Frame::<Bytes>::trailers(trailers))]);
        let mut response = Response::new(StreamBody::new(frames.chain(stream::pending())));
        let grpc = "application/grpc".parse().unwrap();
        response.headers_mut().insert("content-type", grpc);
        Ok::<_, Infallible>(response)
    });
    let request = Request::get("/").header("sid", "a").body(()).unwrap();
    let response = require(&ended).layer(inner).oneshot(request).await.unwrap();
    let mut body = response.into_body();
    let trailers = body
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_trailers()
        .unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    ended.end(&SessionId::new("a"));
    assert!(futures::poll!(body.frame()).is_pending());
}

#[tokio::test]
async fn an_end_between_the_check_and_the_registration_is_not_lost() {
    let ended = follow(&MemoryStore::new()).await;
    assert_eq!(ended.check("a"), Ok(()));
    ended.end(&SessionId::new("a"));
    let signal = ended.watch("a");
    assert!(signal.is_ended());
    assert_eq!(signal.ended().await, Refused::Ended);
}

/// Ends each session while its request arrives, on two threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_survives_an_end_that_races_its_request() {
    const SESSIONS: usize = 20_000;
    let ended = follow(&MemoryStore::new()).await;
    let (arrives, mut to_end) = tokio::sync::mpsc::channel::<SessionId>(1);
    let ending = {
        let ended = ended.clone();
        tokio::task::spawn_blocking(move || {
            while let Some(session) = to_end.blocking_recv() {
                ended.end(&session);
            }
        })
    };
    let mut service = require(&ended).layer(service_fn(|_: Request<()>| async {
        let endless = stream::pending::<Result<Frame<Bytes>, Infallible>>();
        Ok::<_, Infallible>(Response::new(StreamBody::new(endless)))
    }));
    let (mut refused, mut cut) = (0, 0);
    for number in 0..SESSIONS {
        let session = SessionId::new(number.to_string());
        let request = Request::get("/").header("sid", session.as_str());
        let request = request.body(()).unwrap();
        arrives.send(session).await.unwrap();
        let response = soon(service.ready().await.unwrap().call(request))
            .await
            .unwrap();
        if response.status() == 401 {
            refused += 1;
            continue;
        }
        assert!(soon(response.into_body().frame()).await.is_none());
        cut += 1;
    }
    drop(arrives);
    ending.await.unwrap();
    println!("{refused} refused, {cut} cut");
}

/// A log without an entry, which can fail.
#[derive(Clone)]
struct EmptyLog {
    fails: Arc<AtomicBool>,
    retention: Duration,
}

impl Default for EmptyLog {
    fn default() -> Self {
        Self {
            fails: Arc::default(),
            retention: Duration::from_secs(60),
        }
    }
}

#[async_trait]
impl EndedLog for EmptyLog {
    async fn read(&self, _: Option<&Cursor>) -> Result<Page, BoxError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err("the server is away".into());
        }
        Ok(Page::new(Vec::new(), Cursor::new("")))
    }

    fn retention(&self) -> Duration {
        self.retention
    }
}

impl EmptyLog {
    fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    async fn followed(&self, builder: EndedSessionsBuilder) -> EndedSessions {
        let (ended, following) = builder.follow(self.clone());
        tokio::spawn(following);
        ended.ready().await;
        ended
    }
}

const STALENESS: Duration = Duration::from_secs(2);

fn builder() -> EndedSessionsBuilder {
    EndedSessions::builder()
        .max_staleness(STALENESS)
        .poll(STALENESS / 20)
}

#[tokio::test]
async fn a_stale_node_ends_the_streams_of_all_sessions_over_a_tenth_of_its_staleness() {
    let log = EmptyLog::default();
    let ended = log.followed(builder()).await;
    let signals: Vec<_> = (0..200).map(|id| ended.watch(&id.to_string())).collect();
    let mut stream = grpc_stream(&ended).await;
    log.fail(true);
    let failed = Instant::now();
    let ends = signals.iter().map(|signal| async {
        assert_eq!(signal.ended().await, Refused::Stale);
        Instant::now()
    });
    let mut ends = soon(join_all(ends)).await;
    ends.sort();
    let (first, last) = (ends[0], ends[ends.len() - 1]);
    // The last read may have begun one poll before the log failed.
    assert!(
        first + STALENESS / 10 >= failed + STALENESS,
        "{:?}",
        first - failed
    );
    let spread = last - first;
    assert!(spread >= STALENESS / 20, "all at once: {spread:?}");
    assert!(spread <= 5 * STALENESS, "{spread:?}");

    // The client of a gRPC call may try again, and does not have to log in.
    let status = soon(stream.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

async fn grpc_stream(
    ended: &EndedSessions,
) -> tonic::Streaming<tonic_health::pb::HealthCheckResponse> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let address = serve(require(ended).layer(health)).await;
    // The reporter goes on with the server, because its end is the end of each stream.
    tokio::spawn(async move {
        std::future::pending::<()>().await;
        drop(reporter);
    });
    let mut client = HealthClient::new(connect(address).await);
    let request = with_session(HealthCheckRequest::default(), "a");
    let mut stream = client.watch(request).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    stream
}

#[tokio::test]
async fn a_node_keeps_its_streams_while_it_is_stale_if_it_is_told_to() {
    let log = EmptyLog::default();
    let staleness = Duration::from_millis(300);
    let builder = builder().max_staleness(staleness).poll(staleness / 20);
    let ended = log.followed(builder.keep_streams_when_stale()).await;
    let signal = ended.watch("a");
    log.fail(true);
    tokio::time::sleep(3 * staleness).await;
    assert!(!ended.is_fresh() && !signal.is_ended());
    ended.end(&SessionId::new("a"));
    assert_eq!(soon(signal.ended()).await, Refused::Ended);
}

/// The log may have forgotten the end of a session by then.
#[tokio::test]
async fn a_node_that_has_not_read_for_longer_than_the_log_remembers_ends_all_streams() {
    let log = EmptyLog {
        retention: Duration::from_secs(2),
        ..EmptyLog::default()
    };
    let staleness = Duration::from_millis(300);
    let builder = builder().max_staleness(staleness).poll(staleness / 20);
    let ended = log.followed(builder.keep_streams_when_stale()).await;
    let signal = ended.watch("a");
    for (outage, ends) in [(log.retention / 4, false), (log.retention * 3 / 2, true)] {
        log.fail(true);
        tokio::time::sleep(outage).await;
        assert!(!ended.is_fresh() && !signal.is_ended());
        log.fail(false);
        ended.catch_up().await.unwrap();
        assert_eq!(signal.is_ended(), ends, "{outage:?}");
    }
    assert_eq!(signal.ended().await, Refused::Stale);
    assert!(!ended.watch("a").is_ended(), "a new stream goes on");
}

#[tokio::test]
async fn a_node_that_is_fresh_again_keeps_its_streams_although_older_ones_are_still_closing() {
    let log = EmptyLog::default();
    let staleness = Duration::from_millis(300);
    let ended = log
        .followed(builder().max_staleness(staleness).poll(staleness / 20))
        .await;
    let closing = ended.watch("a");
    log.fail(true);
    assert_eq!(soon(closing.ended()).await, Refused::Stale);
    log.fail(false);
    ended.catch_up().await.unwrap();
    let signal = ended.watch("a");
    assert!(!signal.is_ended());
    ended.end(&SessionId::new("a"));
    assert_eq!(soon(signal.ended()).await, Refused::Ended);
}

#[tokio::test]
async fn the_streams_of_a_node_whose_following_is_dropped_end() {
    let (ended, following): (_, Following) =
        EndedSessions::builder().follow(MemoryStore::new().ended_log());
    let following = tokio::spawn(following);
    ended.ready().await;
    let mut stream = grpc_stream(&ended).await;
    let signal = ended.watch("a");
    following.abort();
    assert_eq!(soon(signal.ended()).await, Refused::Stale);
    let status = soon(stream.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}
