//! An authorization server that ends the session (RFC 7009).

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::uri::Authority;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::percent_decode_str;
use tower_logout::{BoxError, Revocation, Token};

/// Shorter than the five seconds that the layer waits for a store.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The revocation endpoint, and the gateway's credentials as an OAuth client.
#[derive(Clone)]
pub(crate) struct AuthorizationServer {
    http: Client<HttpConnector, Full<Bytes>>,
    endpoint: Uri,
    id: String,
    /// `None` for a public client.
    secret: Option<String>,
}

impl AuthorizationServer {
    /// Parses `http://CLIENT_ID:SECRET@HOST/PATH`. A `:`, `@` or `/` in a value is percent-encoded.
    pub(crate) fn at(url: &str) -> Result<Self, BoxError> {
        let mut parts = url.parse::<Uri>()?.into_parts();
        let authority = parts.authority.take();
        let authority = authority.as_ref().map_or("", Authority::as_str);
        let (client, host) = authority.rsplit_once('@').ok_or(
            "an authorization server needs a client id: http://CLIENT_ID:SECRET@HOST/PATH",
        )?;
        let (id, secret) = match client.split_once(':') {
            Some((id, secret)) => (id, Some(decoded(secret)?)),
            None => (client, None),
        };
        parts.authority = Some(host.parse()?);
        Ok(Self {
            http: Client::builder(TokioExecutor::new()).build_http(),
            endpoint: Uri::from_parts(parts)?,
            id: decoded(id)?,
            secret,
        })
    }

    /// Sends a revocation request (RFC 7009 §2.1). The answer does not say whether the token was live.
    pub(crate) async fn revoke(self, token: Token) -> Result<Revocation, BoxError> {
        let request = self.http.request(self.request(&token)?);
        let response = tokio::time::timeout(TIMEOUT, request)
            .await
            .map_err(|_| "the authorization server did not answer in time")??;
        match response.status() {
            StatusCode::OK => Ok(Revocation::Revoked),
            status => Err(format!("the authorization server answered {status}").into()),
        }
    }

    fn request(&self, token: &Token) -> Result<Request<Full<Bytes>>, BoxError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", token.expose());
        form.append_pair("token_type_hint", "refresh_token");
        if self.secret.is_none() {
            form.append_pair("client_id", &self.id);
        }
        let mut request = Request::post(self.endpoint.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(secret) = &self.secret {
            request = request.header(AUTHORIZATION, basic(&self.id, secret)?);
        }
        Ok(request.body(Full::from(form.finish()))?)
    }
}

fn decoded(value: &str) -> Result<String, BoxError> {
    Ok(percent_decode_str(value).decode_utf8()?.into_owned())
}

/// The value of the `Authorization` header. The id and the secret are form-encoded first (RFC 6749
/// §2.3.1).
fn basic(id: &str, secret: &str) -> Result<HeaderValue, BoxError> {
    let [id, secret] = [id, secret]
        .map(|value| form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>());
    let credentials = BASE64_STANDARD.encode(format!("{id}:{secret}"));
    let mut value = HeaderValue::try_from(format!("Basic {credentials}"))?;
    value.set_sensitive(true);
    Ok(value)
}
