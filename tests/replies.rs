//! Each client gets the answer in its own format.

use http::request::{self, Parts};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower_logout::csrf::OriginCheck;
use tower_logout::reply::{Json, NoContent, Redirect, Reply, ReplyBody, SiteData};
use tower_logout::store::StoreFn;
use tower_logout::{
    LogoutLayer, LogoutLayerBuilder, MemoryStore, Outcome, Scope, Token, TokenStore, store_fn,
};

use support::*;

fn failing() -> impl TokenStore {
    store_fn(|_| async { Err("down".into()) })
}

/// The request of an HTML form on this site.
fn form() -> request::Builder {
    Request::post("/auth/logout")
        .header("host", "app.example")
        .header("content-type", "application/x-www-form-urlencoded")
        .header(
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        )
}

fn with(request: request::Builder, token: &Token) -> Request<TestBody> {
    request
        .header("cookie", format!("refreshToken={}", token.expose()))
        .body(Full::default())
        .unwrap()
}

fn form_layer(store: MemoryStore) -> LogoutLayerBuilder<MemoryStore> {
    LogoutLayer::builder(store).forms(Redirect::to("/login").unwrap())
}

#[tokio::test]
async fn the_texts_of_the_json_can_be_set() {
    let json = Json::new()
        .with_success("Bye \"you\"")
        .with_failure("Try again")
        .with_unsupported_media_type("Send JSON")
        .with_cross_origin("Not from there");
    let layer = LogoutLayer::builder(MemoryStore::new())
        .origin_check(OriginCheck::new())
        .reply(json.clone())
        .build()
        .unwrap();
    let token = Token::new("t");
    let answer = through(&layer, logout_with(&token)).await;
    assert_eq!(answer.body, r#"{"message":"Bye \"you\""}"#);
    answer.assert_common_headers();
    assert_eq!(answer.set_cookies().len(), 2);

    let mut elsewhere = logout_with(&token);
    elsewhere
        .headers_mut()
        .insert("sec-fetch-site", "cross-site".parse().unwrap());
    let answer = through(&layer, elsewhere).await;
    assert_eq!(answer.body, r#"{"error":"Not from there"}"#);
    let answer = through(&layer, with(form(), &token)).await;
    assert_eq!(answer.body, r#"{"error":"Send JSON"}"#);

    let layer = LogoutLayer::builder(failing()).reply(json).build().unwrap();
    let answer = through(&layer, logout_with(&token)).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.body, r#"{"error":"Try again"}"#);
    answer.assert_common_headers();
}

#[tokio::test]
async fn errors_can_be_problem_details_in_any_order_of_the_setters() {
    for json in [
        Json::new().with_failure("Try again").with_problem_details(),
        Json::new().with_problem_details().with_failure("Try again"),
    ] {
        let layer = LogoutLayer::builder(failing()).reply(json).build().unwrap();
        let token = Token::new("t");
        let answer = through(&layer, logout_with(&token)).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(
            problem,
            serde_json::json!({
                "type": "about:blank",
                "title": "Internal Server Error",
                "status": 500,
                "detail": "Try again",
            })
        );
        let answer = through(&layer, with(form(), &token)).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert!(answer.body.contains("\"status\":415"), "{}", answer.body);
        let anonymous = logout().body(Full::default()).unwrap();
        through(&layer, anonymous).await.assert_is_logged_out();
    }
}

#[tokio::test]
async fn a_success_can_be_a_204_and_an_error_is_still_json() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store.clone())
        .reply(NoContent::new())
        .build()
        .unwrap();
    let answer = through(&layer, logout_with(&token)).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::NO_CONTENT, ""));
    assert!(!answer.headers.contains_key("content-length"));
    assert!(!answer.headers.contains_key("content-type"));
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.set_cookies().len(), 2);
    assert!(!is_live(&store, &token).await);

    let layer = LogoutLayer::builder(failing())
        .reply(NoContent::new())
        .build()
        .unwrap();
    through(&layer, logout_with(&token))
        .await
        .assert_is_failed_and_keeps_cookies();
}

#[tokio::test]
async fn a_failure_is_never_redirected() {
    let layer = LogoutLayer::builder(failing())
        .reply(Redirect::to("/login").unwrap())
        .build()
        .unwrap();
    let answer = through(&layer, logout_with(&Token::new("t"))).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.body, "Error logging out");
    assert!(!answer.headers.contains_key("location"));
    assert!(answer.set_cookies().is_empty());
}

#[tokio::test]
async fn a_custom_reply_reads_the_request_and_can_send_trailers() {
    struct Mirror;
    impl Reply for Mirror {
        fn reply(&self, outcome: &Outcome, request: Parts) -> Response<ReplyBody> {
            let text = format!("{} {}", outcome.name(), request.uri);
            let trailers = [("x-checksum".parse().unwrap(), "7".parse().unwrap())];
            Response::new(ReplyBody::from(text).with_trailers(trailers.into_iter().collect()))
        }
    }
    let layer = LogoutLayer::builder(MemoryStore::new())
        .reply(Mirror)
        .build()
        .unwrap();
    let request = logout().uri("/auth/logout?a=b").body(Full::default());
    let response =
        tower::ServiceExt::oneshot(tower::Layer::layer(&layer, inner()), request.unwrap())
            .await
            .unwrap();
    assert!(!response.headers().contains_key("content-length"));
    let body = http_body_util::BodyExt::collect(response.into_body())
        .await
        .unwrap();
    assert_eq!(body.trailers().unwrap()["x-checksum"], "7");
    assert_eq!(body.to_bytes(), "no_token /auth/logout?a=b");
}

#[tokio::test]
async fn a_form_of_this_site_logs_out_and_is_redirected() {
    let own: [(&str, &str); 3] = [
        ("origin", "https://app.example"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
    ];
    for (name, value) in own {
        for content_type in [
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
        ] {
            let (store, token) = store_with_session().await;
            let layer = form_layer(store.clone()).build().unwrap();
            let mut request = with(form().header(name, value), &token);
            let content_type = content_type.parse().unwrap();
            request.headers_mut().insert("content-type", content_type);
            let answer = through(&layer, request).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{name}: {value}");
            assert_eq!(answer.headers["location"], "/login");
            assert_eq!(answer.set_cookies().len(), 2);
            assert!(!is_live(&store, &token).await);
        }
    }
}

#[tokio::test]
async fn a_form_that_does_not_show_its_origin_is_rejected() {
    let (store, token) = store_with_session().await;
    let foreign: [&[(&str, &str)]; 7] = [
        &[],
        &[("origin", "null")],
        &[("origin", "https://evil.example")],
        &[("origin", "https://app.example:8443")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://app.example"),
        ],
    ];
    let layers = [
        form_layer(store.clone()).build().unwrap(),
        // The form check does not depend on `require_json`.
        form_layer(store.clone())
            .require_json(false)
            .origin_check(OriginCheck::new())
            .build()
            .unwrap(),
        form_layer(store.clone())
            .origin_check(OriginCheck::new())
            .build()
            .unwrap(),
        form_layer(store.clone()).grpc().build().unwrap(),
    ];
    for layer in &layers {
        for headers in foreign {
            for accept in ["text/html", "application/json", "*/*"] {
                let mut request = form();
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                let mut request = with(request, &token);
                request
                    .headers_mut()
                    .insert("accept", accept.parse().unwrap());
                let answer = through(layer, request).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
                assert!(answer.body.contains("Cross-origin logout is not allowed"));
                assert!(answer.set_cookies().is_empty());
            }
        }
    }
    assert!(is_live(&store, &token).await);
}

#[tokio::test]
async fn a_form_of_a_trusted_origin_logs_out() {
    let (store, token) = store_with_session().await;
    let layer = form_layer(store.clone())
        .origin_check(
            OriginCheck::new()
                .add_trusted_origin("https://spa.example")
                .unwrap(),
        )
        .build()
        .unwrap();
    let request = form()
        .header("origin", "https://spa.example")
        .header("sec-fetch-site", "cross-site");
    let answer = through(&layer, with(request, &token)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn forms_change_nothing_for_json_clients_and_for_other_content_types() {
    let (store, token) = store_with_session().await;
    let layer = form_layer(store).build().unwrap();
    let mut request = logout_with(&token);
    request
        .headers_mut()
        .insert("accept", "text/html".parse().unwrap());
    through(&layer, request).await.assert_is_logged_out();

    let mut script = with(form().header("sec-fetch-site", "same-origin"), &token);
    script
        .headers_mut()
        .insert("accept", "application/json".parse().unwrap());
    through(&layer, script).await.assert_is_logged_out();

    let mut plain = with(form().header("sec-fetch-site", "cross-site"), &token);
    plain
        .headers_mut()
        .insert("content-type", "text/plain".parse().unwrap());
    let answer = through(&layer, plain).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn without_forms_a_form_of_the_same_origin_is_answered_with_json_and_another_is_a_415() {
    let from = async |site| {
        let request = with(form().header("sec-fetch-site", site), &Token::new("t"));
        through_default(MemoryStore::new(), request).await
    };
    from("same-origin").await.assert_is_logged_out();
    for site in ["cross-site", "same-site", "none"] {
        let answer = from(site).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{site}");
    }
}

const SITE_DATA: &str = "clear-site-data";

#[tokio::test]
async fn site_data_is_cleared_together_with_the_cookies_if_that_is_configured() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store.clone())
        .scoped_path("/auth/logout-others", Scope::Others)
        .clear_site_data([
            SiteData::Cookies,
            SiteData::Storage,
            SiteData::ExecutionContexts,
            SiteData::PrefetchCache,
            SiteData::PrerenderCache,
        ])
        .build()
        .unwrap();
    let mut others = logout_with(&token);
    *others.uri_mut() = "/auth/logout-others".parse().unwrap();
    let answer = through(&layer, others).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(!answer.headers.contains_key(SITE_DATA));

    let rejected = through(&layer, with(form(), &token)).await;
    assert!(!rejected.headers.contains_key(SITE_DATA));

    let answer = through(&layer, logout_with(&token)).await;
    answer.assert_is_logged_out();
    assert_eq!(
        answer.headers[SITE_DATA],
        r#""cookies", "storage", "executionContexts", "prefetchCache", "prerenderCache""#
    );
}

#[tokio::test]
async fn site_data_is_kept_by_default_and_on_failure() {
    let token = Token::new("t");
    let answer = through_default(MemoryStore::new(), logout_with(&token)).await;
    assert!(!answer.headers.contains_key(SITE_DATA));
    let none = LogoutLayer::builder(MemoryStore::new())
        .clear_site_data([])
        .build()
        .unwrap();
    let answer = through(&none, logout_with(&token)).await;
    assert!(!answer.headers.contains_key(SITE_DATA));
    let layer = LogoutLayer::<StoreFn<_>>::builder(store_fn(|_| async { Err("down".into()) }))
        .clear_site_data([SiteData::Storage])
        .build()
        .unwrap();
    let answer = through(&layer, logout_with(&token)).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert!(!answer.headers.contains_key(SITE_DATA));
}
