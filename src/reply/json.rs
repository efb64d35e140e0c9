//! The answers in JSON.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::{Reply, ReplyBody};
use crate::outcome::{Outcome, Rejection};

/// Answers in JSON. This is the default [`Reply`].
///
/// A logout gets `{"message":"Logged out successfully"}`, and an error gets, for example,
/// `{"error":"Error logging out"}`.
///
/// ```
/// # use tower_logout::{LogoutLayer, Revocation, store_fn};
/// use tower_logout::reply::Json;
///
/// # fn main() -> Result<(), tower_logout::ConfigError> {
/// # let store = store_fn(|_| async { Ok(Revocation::NotFound) });
/// let layer = LogoutLayer::builder(store)
///     .reply(Json::new().with_success("Bye").with_problem_details())
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Json {
    success: Message,
    failure: Message,
    unsupported_media_type: Message,
    strict: Message,
    cross_origin: Message,
    no_subject: Message,
    no_token: Message,
    problem_details: bool,
}

/// A text and the serialized body with this text.
#[derive(Clone, Debug)]
struct Message {
    text: String,
    bytes: Bytes,
}

impl Message {
    fn new(text: String, body: &Value) -> Self {
        let bytes = Bytes::from(body.to_string());
        Self { text, bytes }
    }

    fn success(text: String) -> Self {
        let body = json!({ "message": text });
        Self::new(text, &body)
    }

    fn error(text: String) -> Self {
        let body = json!({ "error": text });
        Self::new(text, &body)
    }

    fn problem(text: String, status: StatusCode) -> Self {
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": text,
        });
        Self::new(text, &body)
    }
}

impl Default for Json {
    fn default() -> Self {
        Self {
            success: Message::success("Logged out successfully".into()),
            failure: Message::error(super::FAILURE.into()),
            unsupported_media_type: Message::error(Rejection::UnsupportedMediaType.to_string()),
            strict: Message::error(Rejection::NotJson.to_string()),
            cross_origin: Message::error(Rejection::CrossOrigin.to_string()),
            no_subject: Message::error(Rejection::NoSubject.to_string()),
            no_token: Message::error(Rejection::NoToken.to_string()),
            problem_details: false,
        }
    }
}

impl Json {
    /// Creates a reply with the default texts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the text of a successful logout. `Logged out successfully` by default.
    ///
    /// ```
    /// tower_logout::reply::Json::new().with_success("Bye");
    /// ```
    pub fn with_success(mut self, text: impl Into<String>) -> Self {
        self.success = Message::success(text.into());
        self
    }

    /// Sets the text of a failed logout. `Error logging out` by default.
    ///
    /// ```
    /// tower_logout::reply::Json::new().with_failure("Try again");
    /// ```
    pub fn with_failure(mut self, text: impl Into<String>) -> Self {
        self.failure = self.error(text, StatusCode::INTERNAL_SERVER_ERROR);
        self
    }

    /// Sets the text of a logout that is neither JSON nor shown to come from the same origin.
    ///
    /// The default is `Content-Type must be application/json: send a JSON body, {} will do (fetch and axios
    /// drop the header of a request without a body), or send the logout from a page of the same origin`.
    /// With [`strict_json`](crate::builder::LogoutLayerBuilder::strict_json), the default ends before the
    /// comma.
    ///
    /// ```
    /// tower_logout::reply::Json::new().with_unsupported_media_type("Send JSON");
    /// ```
    pub fn with_unsupported_media_type(mut self, text: impl Into<String>) -> Self {
        let message = self.error(text, Rejection::UnsupportedMediaType.status());
        self.strict = message.clone();
        self.unsupported_media_type = message;
        self
    }

    /// Sets the text of a logout from another origin. `Cross-origin logout is not allowed` by default.
    ///
    /// ```
    /// tower_logout::reply::Json::new().with_cross_origin("Log out where you logged in");
    /// ```
    pub fn with_cross_origin(mut self, text: impl Into<String>) -> Self {
        self.cross_origin = self.error(text, Rejection::CrossOrigin.status());
        self
    }

    /// Sets the text of a logout of other sessions without a token that names a subject.
    ///
    /// The default is `Log in again to end other sessions: this one has ended`.
    ///
    /// ```
    /// tower_logout::reply::Json::new().with_no_subject("Log in again");
    /// ```
    pub fn with_no_subject(mut self, text: impl Into<String>) -> Self {
        self.no_subject = self.error(text, Rejection::NoSubject.status());
        self
    }

    /// Sets the text of a logout without a token, if
    /// [`require_token`](crate::builder::LogoutLayerBuilder::require_token) is set.
    ///
    /// The default is `Present the token of the session that has to end`.
    ///
    /// ```
    /// tower_logout::reply::Json::new().with_no_token("Send your token");
    /// ```
    pub fn with_no_token(mut self, text: impl Into<String>) -> Self {
        self.no_token = self.error(text, Rejection::NoToken.status());
        self
    }

    /// Sends errors as `application/problem+json` (RFC 9457), with the text as `detail`. Off by default.
    ///
    /// By default errors are `application/json`, like successes.
    ///
    /// ```
    /// tower_logout::reply::Json::new().with_problem_details();
    /// ```
    pub fn with_problem_details(mut self) -> Self {
        self.problem_details = true;
        for (message, status) in [
            (&mut self.failure, StatusCode::INTERNAL_SERVER_ERROR),
            (
                &mut self.unsupported_media_type,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ),
            (&mut self.strict, StatusCode::UNSUPPORTED_MEDIA_TYPE),
            (&mut self.cross_origin, StatusCode::FORBIDDEN),
            (&mut self.no_subject, StatusCode::UNAUTHORIZED),
            (&mut self.no_token, StatusCode::UNAUTHORIZED),
        ] {
            *message = Message::problem(std::mem::take(&mut message.text), status);
        }
        self
    }

    fn error(&self, text: impl Into<String>, status: StatusCode) -> Message {
        if self.problem_details {
            Message::problem(text.into(), status)
        } else {
            Message::error(text.into())
        }
    }

    #[cold]
    fn error_of(&self, outcome: &Outcome) -> &Message {
        match outcome {
            Outcome::Rejected { rejection, .. } => match rejection {
                Rejection::UnsupportedMediaType => &self.unsupported_media_type,
                Rejection::NotJson => &self.strict,
                Rejection::CrossOrigin => &self.cross_origin,
                Rejection::NoSubject => &self.no_subject,
                Rejection::NoToken => &self.no_token,
            },
            _ => &self.failure,
        }
    }
}

impl Reply for Json {
    fn reply(&self, outcome: &Outcome, request: Parts) -> Response<ReplyBody> {
        let is_error = !outcome.is_logged_out();
        let message = if is_error {
            self.error_of(outcome)
        } else {
            &self.success
        };
        let content_type = if is_error && self.problem_details {
            "application/problem+json"
        } else {
            "application/json"
        };
        let mut response = Response::new(ReplyBody::from(message.bytes.clone()));
        if is_error {
            *response.status_mut() = outcome.status();
        }
        // The header map of the request is reused, because it already has room for the headers.
        let mut headers = request.headers;
        headers.clear();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        *response.headers_mut() = headers;
        response
    }

    fn reads_request(&self) -> bool {
        false
    }
}
